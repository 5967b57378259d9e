"""Ids as texts, the same whatever program wrote the file: worker 7, 7.0 and "7" are one person."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["INEXACT", "id_text", "id_texts"]

INEXACT = 2**53
"""From here on a float no longer holds every whole number."""

_ROUNDED = r"^[+-]?[0-9](\.[0-9]+)?[eE]\+?[0-9]+$"


def id_text(value: object) -> tuple[str, str]:
    """(the id as text, "") of one value, or ("", why it cannot be one). Empty ids are ("", "is empty")."""
    if value is None or value is pd.NA or value != value:
        return "", "is empty"
    if isinstance(value, bool):
        return "", f"is {value}, no id"
    if isinstance(value, float):
        if not value.is_integer():
            return "", f"is {value!r}, a text or a whole number is required"
        if abs(value) >= INEXACT:
            return "", f"is the float {value!r}, which may be rounded: write it as text or as a whole number"
        return str(int(value)), ""
    texts, why = id_texts(pd.Series([str(value)], dtype=object))
    return texts[0], why.get(0, "")


def id_texts(values: pd.Series[str]) -> tuple[list[str], dict[int, str]]:
    """The ids of a column, and why some cannot be: row -> the sentence's end.

    White space around an id is no part of it, a whole number has no ``.0``, and a name is in Unicode's form NFC. Floats
    from 2**53 up, and texts such as ``1.2E+17``, are refused: a program may have rounded them.
    """
    if pd.api.types.is_integer_dtype(values) and not values.hasnans:
        return [str(value) for value in values.tolist()], {}
    if not (pd.api.types.is_string_dtype(values) and pa.types.is_string(pa.array(values).type)):
        return _one_by_one(values)
    texts = pa.array(values, type=pa.string(), from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    texts = pc.utf8_trim_whitespace(pc.fill_null(texts, ""))
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = pc.utf8_normalize(texts, form="NFC")
    texts = pc.replace_substring_regex(texts, r"^([+-]?[0-9]+)\.0+$", r"\1")
    why = {}
    rounded = pc.match_substring_regex(texts, _ROUNDED)
    for mask, text in (
        (rounded, "looks like a number that a spreadsheet rounded"),
        (pc.equal(texts, ""), "is empty"),
    ):
        for row in pc.indices_nonzero(mask).to_pylist():
            why[row] = text
    return texts.to_pylist(), why


def _one_by_one(values: pd.Series[str]) -> tuple[list[str], dict[int, str]]:
    """Columns of floats, and of values of several kinds, as JSON has them."""
    known: dict[tuple[type, object], tuple[str, str]] = {}
    texts, why = [], {}
    for row, value in enumerate(values.tolist()):
        try:
            found = known.get((type(value), value)) or known.setdefault((type(value), value), id_text(value))
        except TypeError:  # a list or an object of JSON
            found = ("", "is a list or an object, a text or a whole number is required")
        texts.append(found[0])
        if found[1]:
            why[row] = found[1]
    return texts, why
