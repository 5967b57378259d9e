from __future__ import annotations

import json
from pathlib import Path

import pytest

from newtest.classes import QueryConfig, classes_of, queries_of, read_classes
from newtest.classes.omw import lemmas_of
from newtest.errors import ClassError, ConfigError
from newtest.records import Class, Query

TURTLE = Class("n01669191", ("box turtle", "Box turtle", "box tortoise"), "a turtle", ("turtle", "reptile"))


def texts(options: QueryConfig) -> list[str]:
    return [query.text for query in queries_of(TURTLE, options)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (QueryConfig(), ["box turtle", "box tortoise"]),
        (QueryConfig(join="add"), ["box turtle", "boxturtle", "box tortoise", "boxtortoise"]),
        (QueryConfig(join="only"), ["boxturtle", "boxtortoise"]),
        (QueryConfig(hypernym="only"), ["box turtle turtle", "box tortoise turtle"]),
        (QueryConfig(terms=("terrapin",)), ["terrapin", "box turtle", "box tortoise"]),
        (
            QueryConfig(more_lemmas={"n01669191": ("Dosenschildkröte",)}),
            ["box turtle", "box tortoise", "Dosenschildkröte"],
        ),
    ],
)
def test_the_options_make_the_texts(options: QueryConfig, expected: list[str]) -> None:
    assert texts(options) == expected


def test_the_window_and_the_exclusions_go_with_every_query() -> None:
    window = Query("", "", taken_after="2012-07-11", licenses=("by",))
    queries = queries_of(TURTLE, QueryConfig(exclude=("cake",), window=window))
    assert queries[0] == Query(
        "n01669191", "box turtle", ("cake",), taken_after="2012-07-11", licenses=("by",)
    )


def test_classes_come_from_toml_and_csv_alike(tmp_path: Path) -> None:
    toml, table = tmp_path / "c.toml", tmp_path / "c.csv"
    toml.write_text('[digit-0]\nlemmas = ["zero", "nought"]\ngloss = "the digit"\nhypernyms = ["digit"]\n')
    table.write_text("wnid,lemmas,gloss,hypernyms\ndigit-0,zero; nought,the digit,digit\n")
    for file in (toml, table):
        expected = Class("digit-0", ("zero", "nought"), "the digit", ("digit",), origin=file.name)
        assert read_classes(file) == {"digit-0": expected}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.toml", "[x]\n", "class x has no lemmas"),
        ("c.toml", '[x]\nlemmas = "zero"\n', "lemmas must be a list"),
        ("c.toml", '[x]\nlemmas = ["a"]\nglos = "b"\n', "unknown key 'glos'"),
        ("c.toml", "x = 1\n", "'x' is not a table"),
        ("c.toml", "[x\n", "not valid TOML"),
        ("c.toml", '["../x"]\nlemmas = ["a"]\n', "is not a class id"),
        ("c.csv", "wnid,gloss\nx,y\n", "the column 'lemmas' is missing"),
        ("c.csv", "wnid,lemmas\nx,a\nx,b\n", "given twice"),
        ("c.csv", "wnid,lemmas\n", "no classes"),
    ],
)
def test_a_bad_class_file_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_classes(tmp_path / name)
    assert name in str(caught.value)


def test_other_languages_come_from_tab_files(tmp_path: Path) -> None:
    (tmp_path / "jpn").mkdir()
    (tmp_path / "jpn/wn-data-jpn.tab").write_text(
        "# Japanese\n01443537-n\tlemma\t金魚\n01443537-n\tjpn:lemma\tキンギョ\n"
        "01443537-n\tjpn:def\t魚\n01443537-v\tlemma\tx\n"
    )
    assert lemmas_of(tmp_path, ["jpn"], ["n01443537"]) == {"n01443537": ("金魚", "キンギョ")}
    with pytest.raises(ClassError, match="no wn-data-fra"):
        lemmas_of(tmp_path, ["fra"], ["n01443537"])
    with pytest.raises(ClassError, match="no such folder"):
        lemmas_of(tmp_path / "none", ["jpn"], [])


def test_imagenetv2_asked_for_lemmas_and_for_some_words_of_its_own(data: Path) -> None:
    """Its recorded search results: the keys of 101 of 127 classes are lemmas."""
    keys: dict[str, set[str]] = {}
    for file in sorted((data / "imagenetv2" / "search_results").glob("*.json")):
        for row in json.loads(file.read_text("utf-8")):
            if row.get("search_key"):
                keys.setdefault(row["wnid"], set()).add(row["search_key"].lower())
    own = {cls.wnid: {query.text.lower() for query in queries_of(cls)} for cls in classes_of(sorted(keys))}
    assert (len(keys), sum(asked <= own[wnid] for wnid, asked in keys.items())) == (127, 101)
