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

app.command("table", short_help="Show accuracies with exact intervals.")(report_accuracy.table)
app.command("line", short_help="Fit new against original accuracy.")(report_accuracy.line)
app.command("gap", short_help="Take the gap of two sets apart.")(report_sets.gap)
app.command("compare", short_help="Compare models on the same images.")(report_models.compare)
app.command("similarity", short_help="Measure how alike the models' mistakes are.")(report_models.similarity)
app.command("shift", short_help="Test whether a classifier can tell sets apart.")(report_sets.shift)
app.command("forecast", short_help="Predict accuracies on images without labels.")(report_forecast.forecast)
app.command("atlas", short_help="Fit a line for every shift of published results.")(report_atlas.atlas)
app.command("html", short_help="Write one self-contained page.")(report_accuracy.html)
