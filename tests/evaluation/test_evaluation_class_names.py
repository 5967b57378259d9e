"""Names of classes, with and without ids in front of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.class_names import class_names

WNIDS = ("n01443537", "n01498041")


def names(tmp_path: Path, text: str, classes: tuple[str, ...], suffix: str = "txt") -> list[str]:
    path = tmp_path / f"names.{suffix}"
    path.write_text(text, encoding="utf-8")
    return list(class_names(classes, path).names.values())


@pytest.mark.parametrize("between", [" ", "\t", ": ", ",", ", ", " = ", ";", "  "])
def test_ids_in_front_are_read_by_id(tmp_path: Path, between: str) -> None:
    """The lines stand in another order than the classes, and there is one more."""
    lines = [("n01498041", "stingray, a ray"), ("n01443537", 'gold "fish"'), ("n01496331", "crampfish")]
    text = "".join(f"{wnid}{between}{name}\n" for wnid, name in lines)
    assert names(tmp_path, text, WNIDS) == ['gold "fish"', "stingray, a ray"]


@pytest.mark.parametrize(
    ("text", "classes", "expected"),
    [
        ("1 cat\n0 dog\n", ("0", "1"), ["dog", "cat"]),
        ("0: tench\n1: goldfish\n", WNIDS, ["tench", "goldfish"]),
        ("2 goldfish\n1 tench\n", WNIDS, ["tench", "goldfish"]),
        (
            "tiger cat\tstriped cat\ndog\ta dog: small\n",
            ("dog", "tiger cat"),
            ["a dog: small", "striped cat"],
        ),
        ("dog: hound\ncat: tabby\n", ("cat", "dog"), ["tabby", "hound"]),
        ("101 dalmatians\n12 monkeys\n", ("a", "b"), ["101 dalmatians", "12 monkeys"]),
        ("cat, domestic\ndog, large\n", ("cat", "dog"), ["cat, domestic", "dog, large"]),
        (
            "great white shark\n\"quoted\", 'and more'\n",
            ("a", "b"),
            ["great white shark", "\"quoted\", 'and more'"],
        ),
        ("NA\nNone\nnan\n1.0\ntrue\n", tuple("abcde"), ["NA", "None", "nan", "1.0", "true"]),
        ("dog house\ncat tree\n", ("cat", "dog"), ["dog house", "cat tree"]),
    ],
)
def test_whole_lines_and_other_ids(
    tmp_path: Path, text: str, classes: tuple[str, ...], expected: list[str]
) -> None:
    assert names(tmp_path, text, classes) == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (
            {"n01498041": "stingray", "n01443537": "goldfish", "n01496331": "crampfish"},
            ["goldfish", "stingray"],
        ),
        ({"0": ["n01498041", "stingray"], "1": ["n01443537", "goldfish"]}, ["goldfish", "stingray"]),
        ({"1": "stingray", "0": "goldfish"}, ["goldfish", "stingray"]),
        (["goldfish", "sting, ray"], ["goldfish", "sting, ray"]),
    ],
)
def test_json_with_ids(tmp_path: Path, held: object, expected: list[str]) -> None:
    assert names(tmp_path, json.dumps(held), WNIDS, "json") == expected


def test_a_table_keeps_text_as_it_is(tmp_path: Path) -> None:
    text = 'class,name\n002,"shark, ""great"" white"\n001,NA\n'
    assert names(tmp_path, text, ("001", "002"), "csv") == ["NA", 'shark, "great" white']


@pytest.mark.parametrize(
    ("text", "classes", "sentence"),
    [
        ("n01443537 goldfish\nn01443537 carp\n", WNIDS, "'n01443537' is named twice"),
        (
            "n01443537 goldfish\nn01496331 crampfish\n",
            WNIDS,
            "1 classes have no name there, first 'n01498041'",
        ),
        ("n01443537\nn01498041\n", WNIDS, "2 classes have no name there"),
        ("0 tench\n1 goldfish\n2 shark\n", WNIDS, "3 numbered names for 2 classes"),
        ("dog, hound\ncat, tabby\n", ("cat", "dog"), "in another order, and could be names with commas"),
        ("one\n", WNIDS, "1 names for 2 classes"),
    ],
)
def test_what_names_no_class_or_two_is_one_sentence(
    tmp_path: Path, text: str, classes: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(EvaluationError, match=sentence):
        names(tmp_path, text, classes)
