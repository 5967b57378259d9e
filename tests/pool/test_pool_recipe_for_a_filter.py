"""CONTRIBUTING's recipe for a filter is code that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from newtest.engines import LocalEngine, Resources
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.filters import Filter, Rule
from newtest.pool.filtering.select import select
from newtest.pool.storage.pool import open_pool

CONTRIBUTING = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()


def test_the_filter_of_the_recipe_selects_from_a_pool(datacomp: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    few: Filter = names["MaxWords"](3)
    table = pa.table({"text": ["one two three", "one two three four", None, ""]})
    assert few.keep(table).kept.tolist() == [True, False, False, True]
    assert dict(zip(few.reasons, few.keep(table).dropped, strict=True)) == {
        "no caption": 1,
        "too many words": 1,
    }
    kept = select(
        open_pool(datacomp), FilterPlan((Rule("few", (few,)),)), LocalEngine(), Resources(workers=1)
    )
    frame = pd.concat(map(pd.read_parquet, sorted(datacomp.glob("*.parquet"))))
    expected = frame["uid"][frame["text"].str.split().str.len() <= 3]
    assert len(kept) == len(expected) > 0
    assert [f"{high:016x}{low:016x}" for high, low in kept.uids.tolist()] == sorted(expected)
