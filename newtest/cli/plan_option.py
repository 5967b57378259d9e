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
_TOLD = (
    ("rows", "rows", "{:,}"),
    ("done", "rows that are done", "{:,}"),
    ("shards", "shards", "{:,}"),
    ("passes", "passes", "{}"),
    ("rate", "rows per second and worker", "{:,.4g}"),
    ("tried", "measured on rows", "{:,}"),
    ("here", "workers on this machine", "{}"),
    ("alone", "seconds of the command itself", "{:,.3g}"),
    ("hosts", "hosts of these", "{:,}"),
    ("share_of_the_largest_host", "share of the largest host", "{:.1%}"),
    ("connections", "downloads at once", "{:,}"),
    ("per_host", "downloads at once from one host", "{:,}"),
    ("seconds_per_image", "seconds per download (assumed)", "{:g}"),
    ("bytes_per_image", "bytes per image (assumed)", "{:,.0f}"),
    ("images", "images of the sets", "{:,}"),
    ("clusters", "clusters", "{:,}"),
    ("width", "numbers per row", "{}"),
    ("operations", "operations", "{:.3g}"),
)
"""What a plan may tell, in this order: its name there, its label, and how it is shown."""


def print_plan(told: Mapping[str, Any], *, as_json: bool) -> None:
    """A plan as a table, or as JSON."""
    if as_json:
        print_json(dict(told))
        return
    rows = [(label, shown.format(told[name])) for name, label, shown in _TOLD if name in told]
    rows += [
        (
            "GiB to read" + (" (assumed)" if "bytes_per_image" in told else ""),
            f"{told['bytes_read'] / GIB:,.2f}",
        ),
        ("hours on this machine", f"{told['hours_here']:,.3g}"),
        (
            f"hours of {told['workers']} worker{'s' if told['workers'] > 1 else ''}",
            f"{told['hours_on_workers']:,.3g}",
        ),
    ]
    if told["hours_on_h100"] is not None:
        rows.append(("hours on an H100 (assumed rate)", f"{told['hours_on_h100']:,.3g}"))
    else:
        rows.append(("hours on an H100", str(told["gpu"])))
    print_table(["", told["command"]], rows)
