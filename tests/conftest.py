"""Shared fixtures: the real data, and what a test may rely on.

A test that needs something this machine lacks skips with the reason and the command that would help; with CI=true
such a skip is a failure, GPU tests excepted.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from needs import missing

ROOT = Path(__file__).resolve().parent.parent
# Threads of torch (OpenMP) and NumPy (OpenBLAS) that wait for each other burn the core that they wait for: beside
# another pytest worker that is three quarters of the time. They sleep instead; what they compute, and how many, stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data: $NEWTEST_DATA, or ../shared/data beside the checkout."""
    for place in (os.environ.get("NEWTEST_DATA"), str(ROOT.parent / "shared" / "data")):
        if place and Path(place).is_dir():
            return Path(place)
    missing("no shared data: set NEWTEST_DATA to the folder, or put it at ../shared/data")
    raise AssertionError


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test counts calls or learns paces of hosts for another: loopback's ports come round again."""
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path_factory.mktemp("state")))
