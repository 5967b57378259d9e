"""pyarrow does without pandas until somebody imports it, and is then as it always was."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALONE = """
import sys
{first}
import newtest.pool
import pyarrow as pa
assert pa.array(["a", None]).null_count == 1
{then}
"""
SERIES = """
import pandas as pd
assert pa.array(pd.Series([1.0, float("nan")])).null_count == 1, "a NaN of a Series is null"
assert pa.array([1.0, float("nan")]).null_count == 0, "a NaN of a list is a number"
assert pa.Table.from_pandas(pd.DataFrame({"a": ["x", None]}))["a"].null_count == 1
"""


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("", "assert 'pandas' not in sys.modules"),
        ("", SERIES),
        ("", "import importlib.util; importlib.util.find_spec('pandas')" + SERIES),
        ("", "import polars; assert 'pandas' not in sys.modules" + SERIES),
        ("import pandas", SERIES),
        ("import pyarrow; pyarrow.array([1])", SERIES),
        ("", "assert pa.table({'a': [1.0]}).to_pandas()['a'].sum() == 1.0"),
        ("", "import newtest.reading.without_pandas as more; more.hide(); more.hide()" + SERIES),
    ],
)
def test_what_pyarrow_makes_of_pandas_is_the_same(first: str, then: str) -> None:
    code = ALONE.format(first=first, then=then)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
