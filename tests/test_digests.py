from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.digests import frame_digest

CELLS = st.one_of(st.none(), st.text(max_size=4))


@settings(deadline=None, max_examples=100)
@given(st.lists(CELLS, max_size=5), st.lists(CELLS, max_size=5))
def test_equal_text_and_only_equal_text_has_equal_digests(a: list[str | None], b: list[str | None]) -> None:
    left, right = (frame_digest(pd.DataFrame({"x": pd.Series(cells, dtype=object)})) for cells in (a, b))
    assert (left == right) == (a == b)


def test_a_digest_does_not_depend_on_how_a_table_is_held() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "n": [1, 2], "yes": [True, False], "p": [0.5, 1.0]})
    assert frame_digest(frame) == frame_digest(frame.astype({"id": object, "n": "int32", "yes": "int8"}))
    assert frame_digest(frame) == frame_digest(pd.concat([frame[:1], frame[1:]]))
    changed = (
        frame[::-1],
        frame.rename(columns={"id": "ID"}),
        frame.assign(n=[1, 3]),
        frame.assign(p=[0.5, 0.9]),
    )
    assert len({frame_digest(other) for other in (frame, *changed)}) == 5
