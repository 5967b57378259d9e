"""Releases read by the libraries of others: datasets 5.2, mlcroissant 1.1, webdataset 1.0, torchvision, pandas.

FiftyOne (1 GB with its database) is not installed for the tests. Its own importer, 1.22.1, read such a release by hand
on 26 November 2026, with class names and votes; here the files that it reads are looked at.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from release_study import drawn_study

import newtest as nt
from newtest.fetching import fetch_missing
from newtest.releasing import build_release
from newtest.releasing.about import read_about

ALL = ("imagefolder", "webdataset", "parquet", "csv", "fiftyone")
ABOUT = """
creator = ["Ada Example", "Bo Example"]
url = "https://example.org/fruit"
citation = "@misc{fruit, title={Fruit}}"
license = "https://creativecommons.org/licenses/by/4.0/"
use_cases = "Measuring classifiers of fruit."
social_impact = "None that we know of."
personal_information = "No people."
annotators = "Our colleagues."
maintenance = "We answer mail."
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A release in all formats whose images are JPEGs and one PNG."""
    root = tmp_path_factory.mktemp("released")
    (root / "about.toml").write_text(ABOUT)
    photos = root / "photos"
    photos.mkdir()
    with drawn_study(root, fetch=False) as study:
        png = io.BytesIO()
        Image.open(photos / "2.jpg").save(png, "PNG")
        (photos / "2.jpg").write_bytes(png.getvalue())
        fetch_missing(study)
        build_release(study, "a-0", root / "a-0", formats=ALL, about=read_about(root / "about.toml"))
    yield root / "a-0"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and a cache of its own."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_each_format_where_it_is_the_only_one(tmp_path: Path, hub: None) -> None:
    """Nobody voted: the card and croissant.json claim no people."""
    from datasets import load_dataset

    with drawn_study(tmp_path, votes=False) as study:
        for form in ALL:
            build_release(study, "a-0", tmp_path / form, formats=(form,))
    own = {"webdataset": "shards", "parquet": "parquet"}
    places = [tmp_path / form for form in ALL] + [tmp_path / form / folder for form, folder in own.items()]
    for at, place in enumerate(places):
        loaded = load_dataset(str(place), cache_dir=str(tmp_path / f"cache-{at}"))
        label = "cls" if "webdataset" in str(place) else "label"
        assert list(loaded) == ["test"], place
        assert loaded["test"].features[label].names == ["apple", "pear"]
        if label == "label":
            assert {"wnid", "image_id", "frequency"} <= set(loaded["test"].features)
    told = json.loads((tmp_path / "csv" / "croissant.json").read_text())
    assert "rai:annotationsPerItem" not in told
    assert "Crowdsourcing" not in told["rai:dataCollectionType"]
    assert told["rai:dataAnnotationProtocol"] == [
        "Nobody was asked about these images: each has the class that it was collected for."
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", ["", "shards", "parquet"])
def test_datasets_loads_every_format(released: Path, hub: None, tmp_path: Path, folder: str) -> None:
    from datasets import load_dataset

    loaded = load_dataset(str(released / folder), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["test"]
    rows = loaded["test"]
    label, image = ("cls", "jpg") if folder == "shards" else ("label", "image")
    assert len(rows) == 7
    assert rows.features[label].names == ["apple", "pear"]
    assert sorted(rows[label]) == [0, 0, 0, 1, 1, 1, 1]
    assert rows[0][image].size == (160, 120)
    counts = pd.DataFrame(rows["json"] if folder == "shards" else rows.remove_columns(image).to_pandas())
    manifest = pd.read_csv(released / "manifest.csv").set_index(["image_id", "wnid"])
    for row in counts.itertuples():
        known = manifest.loc[(row.image_id, row.wnid)]
        assert (row.num_selected, row.num_shown) == (known["num_selected"], known["num_shown"])
        assert row.frequency == pytest.approx(known["frequency"])


@pytest.mark.filterwarnings("ignore")
def test_each_format_alone_loads_too(hub: None, tmp_path: Path) -> None:
    """The first format is the default configuration, whichever it is."""
    from datasets import load_dataset

    with drawn_study(tmp_path) as study:
        for form in ("webdataset", "parquet"):
            build_release(study, "a-0", tmp_path / form, formats=(form,))
            rows = load_dataset(str(tmp_path / form), cache_dir=str(tmp_path / "cache"))["test"]
            assert rows.features["cls" if form == "webdataset" else "label"].names == ["apple", "pear"]


@pytest.mark.filterwarnings("ignore")
def test_webdataset_and_torchvision_read_them(released: Path) -> None:
    import webdataset

    from newtest.clip.torch_runtime import library

    shards = [f"file:{path}" for path in sorted((released / "shards").glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert len(samples) == 7 and all(sample["jpg"].size == (160, 120) for sample in samples)
    assert sorted(sample["cls"] for sample in samples) == [0, 0, 0, 1, 1, 1, 1]
    folder = library("torchvision.datasets", "torchvision", "clip").ImageFolder(str(released / "images"))
    assert folder.classes == ["apple", "pear"] and len(folder) == 7


def test_plain_csv_and_fiftyone_name_files_that_are_there(released: Path) -> None:
    table = pd.read_csv(released / "data.csv")
    assert list(table.columns[:4]) == ["path", "label", "class", "wnid"] and len(table) == 7
    assert all((released / path).is_file() for path in table["path"])
    document = json.loads((released / "fiftyone" / "labels.json").read_text())
    assert document["classes"] == ["apple", "pear"]
    stems = {path.stem for path in (released / "fiftyone" / "data").iterdir()}
    assert stems == set(document["labels"]) and len(stems) == 7


@pytest.mark.filterwarnings("ignore")
def test_croissant_is_valid_without_a_warning(released: Path, caplog: pytest.LogCaptureFixture) -> None:
    import mlcroissant

    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=str(released / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings, dataset.metadata.ctx.issues.report()
    assert not [record for record in caplog.records if "WARNING" in record.getMessage()], caplog.text
    metadata = dataset.metadata
    assert metadata.ctx.is_v1_1()
    assert [maker.name for maker in metadata.creators] == ["Ada Example", "Bo Example"]
    assert metadata.url == "https://example.org/fruit"
    assert metadata.data_limitations and metadata.data_biases and metadata.annotations_per_item
    assert metadata.data_social_impact == "None that we know of."
    rows = list(dataset.records("images"))
    assert len(rows) == 7


def test_what_neurips_asks_for_is_there(released: Path) -> None:
    """The minimal responsible-AI fields of 2026 (neurips.cc/Conferences/2026/EvaluationsDatasetsHosting)."""
    document = json.loads((released / "croissant.json").read_text())
    asked = (
        "rai:dataLimitations", "rai:dataBiases", "rai:personalSensitiveInformation", "rai:dataUseCases",
        "rai:dataSocialImpact", "rai:hasSyntheticData", "prov:wasDerivedFrom", "prov:wasGeneratedBy",
    )  # fmt: skip
    assert not [name for name in asked if name not in document]
    assert document["rai:hasSyntheticData"] is False
    assert "10 to 10 votes per image" in document["rai:annotationsPerItem"]


def test_checking_a_release_in_all_formats_finds_its_bytes_whole(released: Path) -> None:
    findings = nt.check(released)
    made_on_purpose = {"balance", "ids twice", "licences"}
    assert set(findings.loc[findings["severity"] == "error", "check"]) == made_on_purpose


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "about.toml").write_text('url = "our lab"')
    with pytest.raises(
        nt.NewtestError, match="url: an address that begins with https:// is required, got 'our lab'"
    ):
        read_about(tmp_path / "about.toml")
