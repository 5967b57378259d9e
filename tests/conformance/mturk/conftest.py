"""A small study for the market, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crowd_browser import chromium
from crowd_study import fill

from newtest.catalog import transaction
from newtest.study import Study

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with Study(tmp_path / "study", create=True) as made:
        with transaction(made.catalog):
            fill(made, candidates=16, references=12)
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched
