"""Build, check, export formats, dataset card."""

from __future__ import annotations

from newtest.releasing.build import Release, build_release
from newtest.releasing.formats import WRITERS

__all__ = ["WRITERS", "Release", "build_release"]
