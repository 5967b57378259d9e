"""Lists of classes in the order of a model's outputs, as text files, JSON and tables write them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.opening import read_text
from newtest.reading.jsons import parse_json
from newtest.reading.texts import lines_of

__all__ = ["read_classes", "read_names"]

_WNID = re.compile(r"n\d{8}\b")


def read_classes(path: Path, known: Collection[str] = ()) -> tuple[str, ...]:
    """The classes in the order of a model's outputs.

    A text file has a class per line: the whole line, unless every line begins with a wnid, or only the first words are
    the ``known`` classes. JSON: a list of names; ImageNetV2's ``class_info.json`` (``cid`` and ``wnid``); number ->
    name, as in a model's ``id2label``; number -> [wnid, name]; or name -> number. A table has a column ``class``,
    ``wnid`` or ``name``. Raises EvaluationError.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        names = _from_json(path, read_text(path))
    elif suffix in (".csv", ".tsv", ".parquet"):
        names = _from_table(path)
    else:
        names = _first_words(_lines(path), known)
    if not names:
        raise EvaluationError(f"{path}: no classes")
    repeated = (
        next((name for at, name in enumerate(names) if name in set(names[:at])), None)
        if len(set(names)) < len(names)
        else None
    )
    if repeated is not None:
        raise EvaluationError(f"{path}: a class is named twice, {repeated!r}")
    return names


def read_names(path: Path) -> tuple[str, ...]:
    """Classes in words, in the order of ``read_classes``: a line per class, a JSON list, or ``class_info.json``
    (the first lemma of each synset). Raises EvaluationError.
    """
    if path.suffix.lower() != ".json":
        return _lines(path)
    return _from_json(path, read_text(path), word=True)


def _lines(path: Path) -> tuple[str, ...]:
    lines = [line.strip() for line in lines_of(read_text(path))]
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        raise EvaluationError(
            f"{path}: line {lines.index('') + 1} is empty; every class after it would be off by one"
        )
    return tuple(lines)


def _first_words(lines: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    words = tuple(line.split()[0].rstrip(",:") for line in lines)
    if all(_WNID.match(line) for line in lines):
        return words
    if known and not set(known) <= set(lines) and set(known) <= set(words) and len(set(words)) == len(words):
        return words
    return lines


def _from_json(path: Path, text: str, *, word: bool = False) -> tuple[str, ...]:
    try:
        entries = parse_json(text)
        if isinstance(entries, dict):
            return _of_object(entries)
        if entries and isinstance(entries[0], dict):
            ordered = sorted(entries, key=lambda entry: entry["cid"])
            return tuple(str(entry["synset"][0] if word else entry["wnid"]) for entry in ordered)
        if any(isinstance(entry, list | dict) or entry is None for entry in entries):
            raise TypeError("a list of classes holds names")
        return tuple(str(entry) for entry in entries)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EvaluationError(f"{path}: not a list of classes ({reason})") from error


def _of_object(entries: Mapping[str, Any]) -> tuple[str, ...]:
    """Number -> name, or name -> number: the numbers must be 0 to N - 1."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in entries.values()):
        numbered = {number: name for name, number in entries.items()}
    else:
        numbered = {
            int(number): value[0] if isinstance(value, list) else value for number, value in entries.items()
        }
    if sorted(numbered) != list(range(len(entries))):
        raise ValueError(f"its numbers are not 0 to {len(entries) - 1}")
    return tuple(str(numbered[at]) for at in range(len(numbered)))


def _from_table(path: Path) -> tuple[str, ...]:
    frame = read_frame(path, text=True)
    column = next((name for name in ("wnid", "class", "name") if name in frame.columns), None)
    if column is None:
        raise EvaluationError(f"{path}: a table of classes has a column wnid, class or name")
    if frame[column].isna().any():
        raise EvaluationError(f"{path}: {int(frame[column].isna().sum())} rows have no {column}")
    return tuple(frame[column].astype(str))
