"""Ids as texts, the same whatever program wrote the file: worker 7, 7.0 and "7" are one person."""

from __future__ import annotations

import re
import unicodedata

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["EMPTY", "id_texts"]

INEXACT = 2**53
"""From here on a float no longer holds every whole number."""

EMPTY = "is empty"
ROUNDED = "looks like a number that a spreadsheet rounded"
_ROUNDED = r"^[+-]?[0-9](\.[0-9]+)?[eE]\+?[0-9]+$"
_WHOLE = r"^([+-]?[0-9]+)\.0+$"


def id_texts(values: pd.Series[str]) -> tuple[list[str], dict[int, str]]:
    """The ids of a column, and why some cannot be: row -> the sentence's end.

    White space around an id is not part of it, a whole number has no ``.0``, and a name is in Unicode's form NFC.
    Floats from 2**53 up, and texts such as ``1.2E+17``, are refused: a program may have rounded them.
    """
    if pd.api.types.is_integer_dtype(values) and not values.hasnans:
        return [str(value) for value in values.tolist()], {}
    try:
        texts = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # values of several kinds
        return _one_by_one(values)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return _one_by_one(values)
    texts = pc.utf8_trim_whitespace(pc.fill_null(texts, ""))
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = pc.utf8_normalize(texts, form="NFC")
    texts = pc.replace_substring_regex(texts, _WHOLE, r"\1")
    why: dict[int, str] = {}
    for mask, text in ((pc.match_substring_regex(texts, _ROUNDED), ROUNDED), (pc.equal(texts, ""), EMPTY)):
        why |= dict.fromkeys(pc.indices_nonzero(mask).to_pylist(), text)
    return texts.to_pylist(), why


def _one_by_one(values: pd.Series[str]) -> tuple[list[str], dict[int, str]]:
    """Columns of floats, and of values of several kinds, as JSON has them."""
    inexact = {"float16": 2**11, "float32": 2**24}.get(str(values.dtype), INEXACT)
    found = [_one(value, inexact) for value in values.tolist()]
    return [text for text, _ in found], {row: why for row, (_, why) in enumerate(found) if why}


def _one(value: object, inexact: int) -> tuple[str, str]:
    """(the id as text, "") of one value, or ("", why it cannot be one)."""
    if isinstance(value, str):
        text = re.sub(_WHOLE, r"\1", unicodedata.normalize("NFC", value.strip()))
        return text, ROUNDED if re.match(_ROUNDED, text) else "" if text else EMPTY
    if value is None or value is pd.NA or value != value:
        return "", EMPTY
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "", f"is {str(value)[:40]}, a text or a whole number is required"
    if isinstance(value, int):
        return str(value), ""
    if not value.is_integer():
        return "", f"is {value!r}, a text or a whole number is required"
    if abs(value) >= inexact:
        return "", f"is the float {value!r}, which may be rounded: write it as text or as a whole number"
    return str(int(value)), ""
