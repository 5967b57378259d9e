"""The option --plan, and how a plan is printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from newtest.cli.options import print_json, print_table

__all__ = ["Plan", "print_plan"]

Plan = Annotated[
    bool, typer.Option("--plan", help="Print rows, bytes and hours, measured in about a second, and stop.")
]
GIB = 2.0**30


def print_plan(told: Mapping[str, Any], *, as_json: bool) -> None:
    """A plan as a table, or as JSON."""
    if as_json:
        print_json(dict(told))
        return
    rows: list[tuple[str, object]] = [("rows", f"{told['rows']:,}")]
    if "done" in told:
        rows += [
            ("rows that are done", f"{told['done']:,}"), ("shards", f"{told['shards']:,}"),
            ("passes", told["passes"]), ("rows per second and worker", f"{told['rate']:,.4g}"),
            ("measured on rows", f"{told['tried']:,}"), ("workers on this machine", told["here"]),
        ]  # fmt: skip
    else:
        rows += [
            ("images of the sets", f"{told['images']:,}"), ("numbers per row", told["width"]),
            ("operations", f"{told['operations']:.3g}"),
        ]  # fmt: skip
    rows += [
        ("GiB to read", f"{told['bytes_read'] / GIB:,.2f}"),
        ("hours on this machine", f"{told['hours_here']:,.3g}"),
        (
            f"hours of {told['workers']} worker{'s' if told['workers'] > 1 else ''}",
            f"{told['hours_on_workers']:,.3g}",
        ),
    ]
    if told["hours_on_h100"] is not None:
        rows.append(("hours on an H100 (assumed rate)", f"{told['hours_on_h100']:,.3g}"))
    print_table(["", told["command"]], rows)
