from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from needs import missing

from newtest.classes import classes_of, most_similar, path_similarity, wordnet
from newtest.errors import ClassError, PoolError, UsageError
from newtest.wordnet_files import SYSTEM_FOLDERS, find_wordnet, wordnet_folder

SMALL = (
    b"  14 WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.  \n"
    b"00000082 05 n 02 box_turtle 0 box_tortoise 0 000 | chiefly terrestrial turtle  \n"
)


@pytest.fixture(autouse=True, scope="module")
def _needs_wordnet() -> None:
    try:
        wordnet()
    except ClassError as error:
        missing(str(error))


def test_all_thousand_classes_agree_with_class_info(data: Path) -> None:
    info = json.loads((data / "imagenetv2/metadata/class_info.json").read_text())
    classes = classes_of([entry["wnid"] for entry in info])
    assert len(classes) == 1000
    assert [list(cls.lemmas) for cls in classes] == [entry["synset"] for entry in info]
    assert [cls.gloss for cls in classes] == [entry["gloss"] for entry in info]
    assert [entry["cid"] for entry in info] == [
        sorted(cls.wnid for cls in classes).index(cls.wnid) for cls in classes
    ]


def test_the_published_similar_wnids_come_out(data: Path) -> None:
    published = json.loads((data / "imagenetv2/metadata/wnid_to_most_similar_wnids.json").read_text())
    for wnid in sorted(published)[::50]:
        nearest = most_similar(wnid, published, 20)
        assert [wnid] + [other for other, _ in nearest] == published[wnid]
    assert path_similarity("n01443537", "n01443537") == 1.0


def test_hypernyms_come_nearest_first() -> None:
    goldfish = wordnet().cls("n01443537")
    assert goldfish.name == "goldfish"
    assert goldfish.hypernyms[:2] == ("cyprinid", "cypriniform fish")
    assert goldfish.hypernyms[-1] == "entity"


@pytest.mark.parametrize("wnid", ["goldfish", "n0144353", "n01443537\n", "../n01443537", "n٠١٤٤٣٥٣٧"])
def test_a_malformed_wnid_is_a_usage_error(wnid: str) -> None:
    with pytest.raises(UsageError, match="is not a wnid"):
        classes_of([wnid])


@pytest.mark.parametrize("wnid", ["n99999999", "n01443538", "n00000000"])
def test_an_unknown_wnid_is_named(wnid: str) -> None:
    with pytest.raises(ClassError, match=wnid):
        classes_of([wnid])


def test_nltk_data_is_read_unpacked_and_zipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked, zipped = tmp_path / "a", tmp_path / "b"
    (unpacked / "corpora/wordnet").mkdir(parents=True)
    (unpacked / "corpora/wordnet/data.noun").write_bytes(SMALL)
    (zipped / "corpora").mkdir(parents=True)
    with zipfile.ZipFile(zipped / "corpora/wordnet.zip", "w") as archive:
        archive.writestr("wordnet/data.noun", SMALL)
    for folder in (unpacked, zipped):
        monkeypatch.setenv("NLTK_DATA", str(folder))
        (data,), place = find_wordnet("data.noun")
        assert data == SMALL
        assert place.startswith(str(folder))


def test_wordnet_3_1_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpora/wordnet").mkdir(parents=True)
    (tmp_path / "corpora/wordnet/data.noun").write_bytes(SMALL.replace(b"3.0", b"3.1"))
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    with pytest.raises(ClassError, match=r"this is WordNet 3\.1.*WordNet 3\.0 is needed"):
        find_wordnet("data.noun")


def test_without_wordnet_one_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(ClassError, match="apt-get install wordnet-base"):
        find_wordnet("data.noun", system=(), download=lambda: False)


def test_what_was_downloaded_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    def download() -> bool:
        (tmp_path / "corpora/wordnet").mkdir(parents=True)
        (tmp_path / "corpora/wordnet/data.noun").write_bytes(SMALL)
        return True

    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert find_wordnet("data.noun", system=(), download=download)[0] == [SMALL]
    assert SYSTEM_FOLDERS


def test_pools_and_studies_find_the_same_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by NEWTEST_WORDNET as a folder, or by NLTK_DATA as an archive, which is unpacked into the cache."""
    from newtest.pool.filtering import text_synsets

    named = tmp_path / "named"
    named.mkdir()
    for name in ("data.noun", "index.noun", "noun.exc"):
        (named / name).write_bytes(SMALL)
    monkeypatch.setenv("NEWTEST_WORDNET", str(named))
    assert find_wordnet("data.noun")[1] == str(named / "data.noun")
    assert text_synsets.wordnet_folder() == named
    (named / "noun.exc").unlink()
    with pytest.raises(PoolError, match=r"noun\.exc is missing there"):
        text_synsets.wordnet_folder()
    monkeypatch.delenv("NEWTEST_WORDNET")
    (tmp_path / "nltk" / "corpora").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "nltk" / "corpora" / "wordnet.zip", "w") as archive:
        for name in ("index.noun", "noun.exc"):
            archive.writestr(f"wordnet/{name}", SMALL)
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "nltk"))
    monkeypatch.setenv("NEWTEST_CACHE", str(tmp_path / "cache"))
    folder = wordnet_folder("index.noun", "noun.exc")
    assert folder == tmp_path / "cache" / "wordnet-3.0" == text_synsets.wordnet_folder()
    assert {path.name for path in folder.iterdir()} == {"index.noun", "noun.exc"}
