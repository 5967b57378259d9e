"""Zero-shot over sets: the real encoder on real photos, embeddings of one's own, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import missing
from shared_encoders import conse_once

from newtest.classes import wordnet
from newtest.clip import cache as caching
from newtest.clip.encoder import Pixels, Vectors, unit_rows
from newtest.errors import ClassError, EvaluationError, UsageError
from newtest.evaluation.scoring import zeroshot
from newtest.evaluation.scoring.class_names import class_names
from newtest.evaluation.scoring.set_vectors import set_vectors
from newtest.evaluation.scoring.sets import read_set
from newtest.evaluation.scoring.store import read_store
from newtest.evaluation.scoring.zeroshot import ZeroShotConfig, find_images, zero_shot
from newtest.files import cache_folder

PHOTOS = 32  # each costs a forward pass of the classifier


@pytest.fixture(scope="module")
def photos(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ImageFolder of real photos, one per class."""
    folder = tmp_path_factory.mktemp("zeroshot") / "photos"
    for photo in sorted((data / "images").glob("*.JPEG"))[:PHOTOS]:
        place = folder / photo.name.split("_")[0] / photo.name
        place.parent.mkdir(parents=True)
        place.symlink_to(photo)
    return folder


@pytest.fixture(scope="module")
def options(data: Path, tmp_path_factory: pytest.TempPathFactory) -> ZeroShotConfig:
    folder = tmp_path_factory.mktemp("cache")
    (folder / "templates.txt").write_text("a photo of a {}.\n")
    return ZeroShotConfig(
        names=data / "imagenetv2" / "metadata" / "class_info.json",
        templates=folder / "templates.txt",
        cache=folder / "cache",
    )


@pytest.fixture(autouse=True)
def one_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's encoder in place of a fresh one: loading is the dearest part."""
    monkeypatch.setattr(zeroshot, "encoder", lambda *_, **__: conse_once())


def test_conse_is_far_above_chance_and_not_above_its_own_classifier(
    photos: Path, options: ZeroShotConfig, tmp_path: Path
) -> None:
    outcome = zero_shot(str(photos), replace(options, out=tmp_path / "results"))
    [score] = outcome.scores
    evaluated = read_set(photos)
    probabilities = conse_once().probabilities(
        np.stack([conse_once().prepare(_rgb(path)) for path in evaluated.images["path"]])
    )
    tables = json.loads((options.names or Path()).read_text())
    position = {entry["wnid"]: entry["cid"] for entry in tables}
    columns = [position[wnid] for wnid in evaluated.classes]
    classifier = int((probabilities[:, columns].argmax(axis=1) == evaluated.labels).sum())
    chance = PHOTOS / len(evaluated.classes)
    assert score.n == PHOTOS and chance == 1
    assert 0.75 * PHOTOS < score.k <= classifier + 2
    assert score.top5_k is not None and score.k <= score.top5_k
    assert not outcome.cautions
    [stored] = read_store(tmp_path / "results")
    row = stored.results.iloc[0]
    assert (row["model"], row["group"], row["k"]) == ("conse zero-shot", "zero-shot", score.k)
    assert row["preprocessing"].startswith(
        "templates: 1; names: class_info.json; pixels: shorter side 256 (bicubic)"
    )


def test_embeddings_are_cached_and_a_damaged_cache_is_made_again(
    photos: Path, options: ZeroShotConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = zero_shot(str(photos), replace(options, out=tmp_path / "one"))
    asked: list[int] = []

    class Counting:
        name, dimension, preprocessing = conse_once().name, conse_once().dimension, conse_once().preprocessing
        prepare, images = staticmethod(conse_once().prepare), staticmethod(conse_once().images)

        @staticmethod
        def texts(texts: list[str]) -> Vectors:
            asked.append(len(texts))
            return conse_once().texts(texts)

    monkeypatch.setattr(zeroshot, "encoder", lambda *_, **__: Counting())
    zero_shot(str(photos), replace(options, out=tmp_path / "two"))
    assert asked == []
    kept = list((options.cache or Path()).glob("texts/*/*.npy"))
    assert len(kept) == 1
    kept[0].write_bytes(kept[0].read_bytes()[:200])
    again = zero_shot(str(photos), replace(options, out=tmp_path / "three"))
    assert asked == [PHOTOS]
    assert [s.k for s in again.scores] == [s.k for s in first.scores]


def test_the_inverse_direction_finds_the_goldfish(photos: Path, options: ZeroShotConfig) -> None:
    found = find_images(str(photos), ["an orange goldfish in a bowl", "a bird"], options, best=3)
    assert [(f.text, f.rank) for f in found[:3]] == [("an orange goldfish in a bowl", r) for r in (1, 2, 3)]
    assert found[0].wnid == "n01443537" and found[0].path.endswith("goldfish.JPEG")
    assert found[0].cosine > found[1].cosine > found[2].cosine
    assert len(found) == 6


def test_without_an_encoder_from_embeddings_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("no encoder is needed")

    monkeypatch.setattr(zeroshot, "encoder", refused)
    np.save(tmp_path / "set.npy", np.array([0, 1, 2, 3, 4, 5, 0]))
    images = np.eye(6, 8)[[0, 1, 2, 3, 4, 0, 0]]
    np.save(tmp_path / "images.npy", images)
    texts = np.repeat(np.eye(6, 8)[:, None], 3, axis=1) + np.array([0.0, 0.01, 0.02])[:, None]
    for name, rows in (("many", texts), ("one", texts[:, 0])):
        np.save(tmp_path / f"{name}.npy", rows)
        given = ZeroShotConfig(
            image_embeddings=tmp_path / "images.npy",
            text_embeddings=tmp_path / f"{name}.npy",
            out=tmp_path / "results",
            label=name,
        )
        outcome = zero_shot(str(tmp_path / "set.npy"), given)
        assert [(s.model, s.k, s.n) for s in outcome.scores] == [(name, 6, 7)]
    assert sorted(read_store(tmp_path / "results")[0].results["model"]) == ["many", "one"]
    np.savez(tmp_path / "images.npz", embeddings=images, labels=np.arange(7) % 6)
    for change, complaint in (
        ({"text_embeddings": tmp_path / "images.npy"}, "neither"),
        ({"image_embeddings": tmp_path / "one.npy"}, "is not"),
    ):
        with pytest.raises(EvaluationError, match=complaint):
            zero_shot(str(tmp_path / "set.npy"), replace(given, **change))  # type: ignore[arg-type]
    np.savez(tmp_path / "images.npz", embeddings=images, labels=np.arange(7))
    with pytest.raises(EvaluationError, match="another order"):
        zero_shot(str(tmp_path / "set.npy"), replace(given, image_embeddings=tmp_path / "images.npz"))


def test_a_picture_that_cannot_be_read_counts_as_wrong_and_is_named(
    photos: Path, options: ZeroShotConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    for wnid in sorted(path.name for path in photos.iterdir())[:6]:
        shutil.copytree(photos / wnid, folder / wnid)
    [before] = zero_shot(str(folder), replace(options, out=tmp_path / "results")).scores
    broken = folder / "n01443537" / "a.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    outcome = zero_shot(str(folder), replace(options, out=tmp_path / "results"))
    [caution] = outcome.cautions
    assert caution.fatal and "1 images could not be read" in caution.message and "a.jpg" in caution.message
    assert [(s.k, s.n) for s in outcome.scores] == [(before.k, before.n + 1)]


@pytest.fixture
def nouns() -> None:
    """WordNet 3.0 on this machine."""
    try:
        wordnet()
    except ClassError as error:
        missing(str(error))


@pytest.mark.usefixtures("nouns")
def test_names_come_from_files_from_wordnet_or_are_the_ids(data: Path, tmp_path: Path) -> None:
    wnids = ("n01443537", "n02012849")
    assert class_names(wnids).names == {"n01443537": "goldfish", "n02012849": "crane"}
    assert class_names(("0", "1")).names == {"0": "0", "1": "1"}
    (tmp_path / "names.txt").write_text("gold fish\ncrane (bird)\n")
    (tmp_path / "names.csv").write_text("wnid,name\nn02012849,crane bird\nn01443537,goldfish\nn1,more\n")
    (tmp_path / "classes.toml").write_text(
        '[n01443537]\nlemmas = ["carp"]\n[n02012849]\nlemmas = ["crane"]\n'
    )
    assert list(class_names(wnids, tmp_path / "names.txt").names.values()) == ["gold fish", "crane (bird)"]
    assert class_names(wnids, tmp_path / "names.csv").names["n02012849"] == "crane bird"
    assert class_names(wnids, tmp_path / "classes.toml").lemmas["n01443537"] == ("carp",)
    info = class_names(wnids, data / "imagenetv2" / "metadata" / "class_info.json")
    assert info.names["n01443537"] == "goldfish" and "Carassius auratus" in info.lemmas["n01443537"]
    for text, complaint in (("one\n", "1 names for 2"), ("a\nb\nc\n", "3 names for 2")):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(EvaluationError, match=complaint):
            class_names(wnids, tmp_path / "bad.txt")
    (tmp_path / "bad.csv").write_text("wnid,name\nn01443537,goldfish\n")
    with pytest.raises(EvaluationError, match="first 'n02012849'"):
        class_names(wnids, tmp_path / "bad.csv")


@pytest.mark.usefixtures("nouns")
def test_two_cranes_are_found_by_the_lint(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("id,wnid\na,n02012849\nb,n03126707\nc,n01443537\n")
    np.save(tmp_path / "images.npy", np.ones((3, 384)))
    given = ZeroShotConfig(image_embeddings=tmp_path / "images.npy", out=tmp_path / "r", cache=tmp_path / "c")
    outcome = zero_shot(str(tmp_path / "set.csv"), given)
    assert [f.kind for f in outcome.findings] == ["same-name"]
    assert outcome.names == "WordNet"


def test_a_cache_that_cannot_be_written_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NEWTEST_CACHE", str(tmp_path / "file"))
    assert cache_folder() == tmp_path / "file"
    with pytest.raises(UsageError, match="set NEWTEST_CACHE"):
        caching.text_vectors(conse_once(), ["a"])
    monkeypatch.delenv("NEWTEST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "newtest"


def test_a_killed_embedding_goes_on_behind_its_last_piece(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newtest.evaluation.scoring.set_vectors.PIECE", 12)
    evaluated, seen = read_set(photos), []

    class MeanColor:
        """An encoder that needs no weights: the mean of each channel."""

        name, dimension, preprocessing = "mean-color", 3, "none"
        prepare = staticmethod(conse_once().prepare)

        def images(self, images: Pixels) -> Vectors:
            if len(seen) == 2:
                seen.append(0)
                raise KeyboardInterrupt
            seen.append(len(images))
            return unit_rows(images.mean(axis=(1, 2)))

        texts = staticmethod(conse_once().texts)

    with pytest.raises(KeyboardInterrupt):
        set_vectors(evaluated, MeanColor(), tmp_path / "cache")  # type: ignore[arg-type]
    resumed = set_vectors(evaluated, MeanColor(), tmp_path / "cache")  # type: ignore[arg-type]
    assert seen == [12, 12, 0, 8], "the two whole pieces are not made again"
    whole = set_vectors(evaluated, MeanColor(), tmp_path / "other")  # type: ignore[arg-type]
    assert np.array_equal(resumed.vectors, whole.vectors) and resumed.readable.all()


def test_a_set_without_files_has_no_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.array([0, 1]))
    with pytest.raises(EvaluationError, match="names no files"):
        set_vectors(read_set(tmp_path / "labels.npy"), conse_once(), tmp_path / "cache")


def _rgb(path: str):  # type: ignore[no-untyped-def]
    import PIL.Image

    return PIL.Image.open(path).convert("RGB")
