"""Names of classes in the language of the workers: from a JSON file, or from a file of the Open Multilingual WordNet.

Those files (``wn-data-LANG.tab``, http://compling.hss.ntu.edu.sg/omw/) hold one row a name: the offset and part of
speech in WordNet 3.0, ``LANG:lemma``, the name. A wnid is the same offset behind an ``n``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from newtest.errors import UsageError
from newtest.files import text_at
from newtest.reading.jsons import parse_json

__all__ = ["ClassNames", "read_class_names"]

ClassNames = Mapping[str, tuple[Sequence[str], str]]
"""wnid -> (names, the first is shown; definition, empty where there is none)."""

MAX_BYTES = 64_000_000
_ROW = re.compile(r"(\d{8})-n\t(?:[a-z]{2,8}(?:-[A-Za-z]+)?:)?(lemma|def)\t(?:\d+\t)?(.+)")


def read_class_names(path: Path) -> ClassNames:
    """The names in a file: ``wnid -> [names]``, ``wnid -> {"names": [...], "definition": "..."}``, or OMW's table.

    Raises UsageError for any other file.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: {path.stat().st_size:,} bytes are more than a file of names has")
        text = text_at(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not readable as UTF-8 text ({error})") from error
    found = _json_names(path, text) if text.lstrip().startswith("{") else _omw_names(text)
    if not found:
        raise UsageError(f"{path}: there are no names of classes in it")
    return found


def _json_names(path: Path, text: str) -> dict[str, tuple[Sequence[str], str]]:
    try:
        table = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error})") from error
    found: dict[str, tuple[Sequence[str], str]] = {}
    for wnid, given in table.items():
        names = given.get("names") if isinstance(given, dict) else given
        definition = given.get("definition", "") if isinstance(given, dict) else ""
        names = [names] if isinstance(names, str) else names
        listed = names if isinstance(names, list) else []
        good = bool(listed) and all(isinstance(name, str) and name.strip() for name in listed)
        if not good or not isinstance(definition, str):
            raise UsageError(f'{path}: {wnid}: the names must be a list of words such as ["goldfish"]')
        found[wnid] = ([name.strip() for name in listed], definition)
    return found


def _omw_names(text: str) -> dict[str, tuple[Sequence[str], str]]:
    names: dict[str, list[str]] = {}
    definitions: dict[str, str] = {}
    for line in text.splitlines():
        if match := _ROW.fullmatch(line.rstrip()):
            offset, kind, value = match.groups()
            if kind == "lemma":
                names.setdefault(f"n{offset}", []).append(value.replace("_", " "))
            else:
                definitions.setdefault(f"n{offset}", value)
    return {wnid: (found, definitions.get(wnid, "")) for wnid, found in names.items()}
