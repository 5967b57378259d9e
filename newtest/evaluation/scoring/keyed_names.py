"""Names of classes with ids in front of them: read by id, wherever the lines stand.

Text: ``n01443537 goldfish`` (ImageNet's ``synset_words.txt``), ``7: cock``, ``cat<tab>domestic cat``. JSON: an object
of ids and names, or of numbers and pairs (Keras' ``imagenet_class_index.json``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from newtest.errors import EvaluationError
from newtest.reading.jsons import parse_json

__all__ = ["of_lines", "of_object"]

_WNID = re.compile(r"(n\d{8})(?:\s*[\t,:;=]\s*|\s+|$)(.*)")
_NUMBER = re.compile(r"(\d+)(?:\s*[\t,:;=]\s*|\s+)(.*)")
_MARKED = re.compile(r"\s*[\t:=]\s*")
"""What stands between an id that is a word and its name. A comma may be a part of the name."""


def of_lines(lines: Sequence[str], classes: Sequence[str], path: Path) -> dict[str, str] | None:
    """Class -> name where every line begins with an id; None for a list of names without ids.

    Numbers in front are ids where the classes are numbers, else places among the classes, counted from 0 or 1. Raises
    EvaluationError for an id that stands there twice or has no name, and for lines that can be read in two ways.
    """
    pairs = [_WNID.fullmatch(line) for line in lines]
    if all(pairs):
        return _of_pairs([(pair[1], pair[2]) for pair in pairs if pair], path)
    numbers = [_NUMBER.fullmatch(line) for line in lines]
    if all(numbers):
        return _numbered([(number[1], number[2]) for number in numbers if number], classes, path)
    known = set(classes)
    marked = [_marked(line, known) for line in lines]
    if all(pair is not None for pair in marked):
        return _of_pairs([pair for pair in marked if pair is not None], path)
    before_comma = [line.partition(",")[0].strip() for line in lines]
    if all("," in line for line in lines) and known <= set(before_comma) and before_comma != list(classes):
        raise EvaluationError(
            f"{path}: its lines begin with the classes, in another order, and could be names with commas as well; give "
            "a CSV with the columns class and name"
        )
    return None


def of_object(text: str, classes: Sequence[str], path: Path) -> dict[str, str] | None:
    """Class -> name of a JSON object; None for any other JSON. Raises EvaluationError."""
    try:
        entries = parse_json(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entries, dict) or not entries:
        return None
    values = list(entries.values())
    if all(isinstance(value, list) and len(value) == 2 for value in values):
        return _of_pairs([(str(wnid), str(name)) for wnid, name in values], path)
    if not all(isinstance(value, str) for value in values):
        return None
    if all(str(key).isdigit() for key in entries):
        return _numbered(list(entries.items()), classes, path)
    return _of_pairs([(str(key), value) for key, value in entries.items()], path)


def _marked(line: str, known: set[str]) -> tuple[str, str] | None:
    for mark in _MARKED.finditer(line):
        if line[: mark.start()] in known:
            return line[: mark.start()], line[mark.end() :]
    return None


def _numbered(pairs: Sequence[tuple[str, str]], classes: Sequence[str], path: Path) -> dict[str, str] | None:
    if set(classes) <= {number for number, _ in pairs}:
        return _of_pairs(pairs, path)
    named = _of_pairs(pairs, path)
    places = sorted(int(number) for number in named)
    first = places[0]
    if first not in (0, 1) or places != list(range(first, first + len(places))):
        return None  # "101 dalmatians" is a name
    if len(places) != len(classes):
        raise EvaluationError(
            f"{path}: {len(places)} numbered names for {len(classes)} classes; put the classes' ids in front of them"
        )
    by_place = {int(number): name for number, name in named.items()}
    return {cls: by_place[first + at] for at, cls in enumerate(classes)}


def _of_pairs(pairs: Sequence[tuple[str, str]], path: Path) -> dict[str, str]:
    named: dict[str, str] = {}
    for key, name in pairs:
        if key in named:
            raise EvaluationError(f"{path}: class {key!r} is named twice")
        named[key] = name.strip()
    return named
