"""A pytest plugin of .ci/lowest: a test that failed for a package that is left out there counts as skipped.

Only two things make a skip: an error that names one of the packages below as not installed, or an import of one.
Any other failure stays one, and fewer than MOST_SKIPPED of the tests may be skipped, so that the run proves something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

LEFT_OUT = (
    "torch|torchvision|open_clip|open_clip_torch|timm|safetensors|sentence_transformers|efficientnet_lite_pytorch|"
    "ray|datasets|webdataset|mlcroissant|playwright|pillow_heif|statsmodels|sphinx|myst_parser|mypy|importlinter|build"
)
"""Modules of the extras clip, conse, ray, croissant, heic, lint, docs, and of the tests' own tools."""
NEEDS = re.compile(
    rf"No module named '(?:{LEFT_OUT})[.']|No module named (?:{LEFT_OUT})\b"
    rf'|(?:{LEFT_OUT}|open_clip|ray)\S* is not installed; it comes with: pip install \\?"newtest'
)
MOST_SKIPPED = 0.35


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "left_out: needs a package that the lowest environment leaves out")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed and (found := _needs(report)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"left out here: {found}")


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed and (found := _needs(report)):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"left out here: {found}")


def _needs(report: Any) -> str | None:
    text = "\n".join([str(report.longrepr), *(content for _, content in report.sections)])
    found = NEEDS.search(text)
    return found[0] if found else None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        reporter is None
        or session.config.option.collectonly
        or exitstatus != 0
        or hasattr(session.config, "workerinput")
    ):
        return
    skipped, passed = (len(reporter.stats.get(name, ())) for name in ("skipped", "passed"))
    if skipped > MOST_SKIPPED * (skipped + passed):
        session.exitstatus = 1
        reporter.write_line(f"{skipped} of {skipped + passed} tests were skipped: this run proves too little")
