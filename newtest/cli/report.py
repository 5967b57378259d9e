"""newtest report: tables, line, gap, comparisons, similarity, shift, forecast, atlas, and the page with it all."""

from __future__ import annotations

import typer

from newtest.cli import report_accuracy, report_atlas, report_forecast, report_models, report_sets

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure how good a set is: tables, the line, the gap, comparisons, one page.",
)

app.command("table")(report_accuracy.table)
app.command("line")(report_accuracy.line)
app.command("gap")(report_sets.gap)
app.command("compare")(report_models.compare)
app.command("similarity")(report_models.similarity)
app.command("shift")(report_sets.shift)
app.command("forecast")(report_forecast.forecast)
app.command("atlas")(report_atlas.atlas)
app.command("html")(report_accuracy.html)
