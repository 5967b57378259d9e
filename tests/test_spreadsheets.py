from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.spreadsheets import guarded, unguarded

SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


@pytest.mark.parametrize("sign", SIGNS)
def test_what_begins_like_a_formula_becomes_a_text(sign: str) -> None:
    assert guarded(f"{sign}1+1") == f"'{sign}1+1"


@pytest.mark.parametrize("text", ["", "a fish", "'twas", "1 - 2", " =1", "''", "'"])
def test_all_else_stays_as_it_is(text: str) -> None:
    assert guarded(text) == unguarded(text) == text


@settings(deadline=None)
@given(st.text(alphabet=f"'a1 {SIGNS}", max_size=6))
def test_reading_gives_back_what_was_written(text: str) -> None:
    cell = guarded(text)
    assert cell[:1] not in SIGNS or not cell
    assert unguarded(cell) == text
