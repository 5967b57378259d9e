"""What a test needs and this machine may lack."""

from __future__ import annotations

import os

import pytest

__all__ = ["missing"]


def missing(reason: str) -> None:
    """Skip, or fail in CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI nothing may be missing: {reason}")
    pytest.skip(reason)
