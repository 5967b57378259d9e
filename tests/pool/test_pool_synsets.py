"""The text-based rule against NLTK itself, on the words of the real captions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from needs import missing

from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.select import select
from newtest.pool.filtering.text_synsets import first_noun_synset, text_based, wordnet_folder
from newtest.pool.storage.pool import open_pool


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return wordnet_folder()
    except PoolError as error:
        missing(str(error))
        raise


@pytest.mark.filterwarnings("ignore:The multilingual functions")
def test_first_synsets_are_nltks(
    folder: Path, captions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])

    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    # NLTK wants this file too, which Debian leaves out; noun lookups use none of its names.
    (tmp_path / "lexnames").write_text("".join(f"{n:02d}\tx.{n}\t1\n" for n in range(45)))

    class Reader(WordNetCorpusReader):
        def map_wn(self, version: str = "wordnet") -> None:
            """No other version is asked for, so nothing is mapped to one."""

    reader = Reader(str(tmp_path), None)
    words = sorted({word for text in captions[:1200] for word in text.split()})
    assert len(words) > 5000

    def reference(word: str) -> str | None:
        synsets = reader.synsets(word, "n")
        return f"n{synsets[0].offset():08d}" if synsets else None

    assert {word: first_noun_synset(word, str(folder)) for word in words} == {
        word: reference(word) for word in words
    }


def test_the_rule_keeps_captions_with_a_listed_word(
    folder: Path, datacomp: Path, captions: list[str], tmp_path: Path
) -> None:
    listing = tmp_path / "wnids.txt"
    listing.write_text("# dog and car\nn02084071\tdog\nn02958343 car\n")
    subset = select(open_pool(datacomp), FilterPlan((text_based(listing),)), LocalEngine(), Resources(1))
    assert 5 < len(subset) < 200
    assert subset.manifest["rules"][0]["filters"][0]["wnids"] == 2
    assert first_noun_synset("Dogs", str(folder)) == "n02084071"
    assert first_noun_synset("geese", str(folder)) == first_noun_synset("goose", str(folder))
    assert first_noun_synset("quickly", str(folder)) is None


@pytest.mark.parametrize(("text", "sentence"), [("dog\n", "line 1: 'dog' is not a wnid"), ("\n", "no wnid")])
def test_a_list_that_is_none_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    listing = tmp_path / "w.txt"
    listing.write_text(text)
    with pytest.raises(PoolError, match=sentence):
        text_based(listing, tmp_path)
