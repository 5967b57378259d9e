"""What a plan says, on the command line and on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from join_work import made_vectors, vector_pool
from pool_commands import contents, newtest

from newtest.errors import UsageError
from newtest.pool.dedup.planning import join_plan

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_it_is_printed_and_nothing_is_written(tmp_path: Path) -> None:
    vector_pool(tmp_path / "pool", made_vectors())
    before = contents(tmp_path)
    done = newtest("dedup-pool", "pool", "--plan", "--workers", "10", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["method"], told["rows"], told["width"], told["items"]) == ("exact", 500, 32, 1)
    assert told["operations"] == 500 * 499 / 2 * 32
    assert told["hours_on_workers"] == pytest.approx(told["hours_here"] / 10)
    assert contents(tmp_path) == before


def test_methods_without_a_plan_are_named() -> None:
    with pytest.raises(UsageError, match="not for hash; give the pool vectors"):
        join_plan(100, 8, "hash")


def test_the_page_has_the_figures_of_the_code() -> None:
    text = PAGE.read_text()
    found = re.findall(r"^\| ([\d,]+) \| (exact|semantic) \| ([\d,]+) \| (\S+) \| ([\d,.]+) \|", text, re.M)
    assert len(found) == 8
    for rows, method, items, operations, gigabytes in found:
        plan = join_plan(int(rows.replace(",", "")), 512, method)
        assert f"{plan.items:,}" == items
        assert f"{plan.operations:.1e}" == operations
        assert f"{plan.bytes_read / 1e9:,.0f}" == gigabytes
