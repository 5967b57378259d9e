"""newtest report table, line, html"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, own_file, own_folder, print_json, print_table
from newtest.cli.report_options import Among, Cluster, Groups, Metric, Sets, Tables, Unit, load, save, write

if TYPE_CHECKING:
    from newtest.evaluation.analysis.line import Line

__all__ = ["html", "line", "table"]


def table(
    tables: Tables,
    original: Annotated[
        str | None, typer.Option(metavar="SET", help="Changes and ranks are against this set.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "--sets", metavar="SET", help="Only these sets, in this order; may be repeated."
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Group by class, frequency, or any column of the manifest."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Widen the intervals for images that come in groups of this column."
        ),
    ] = None,
    worst_of: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Count a group of this column as right if all its images are (pm-k)."
        ),
    ] = None,
    metric: Metric = "top1",
    format_: Annotated[str, typer.Option("--format", help="markdown, csv or latex.")] = "markdown",
    groups: Groups = None,
    unit: Unit = "auto",
    among: Among = "auto",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here instead of stdout.", callback=own_file)
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show accuracies with exact 95 % intervals: one set per column, change and rank change.

    Example: newtest report table results --original val --format latex --out table.tex
    """
    from newtest.errors import UsageError
    from newtest.evaluation.analysis.clusters import clustered, over_sets
    from newtest.evaluation.analysis.clusters import worst_of as worst
    from newtest.evaluation.analysis.tables import accuracy_table, plain_rows, render, table_by

    wanted = None if sets is None or original is None else list(dict.fromkeys([original, *sets]))
    loaded = load(tables, groups, unit, metric, sets=wanted or sets, among=among)
    if sum(choice is not None for choice in (by, cluster, worst_of)) > 1:
        raise UsageError("--by, --cluster and --worst-of are three tables; give one")
    if cluster is not None or worst_of is not None:
        stored = [loaded.set(name) for name in sets or sorted(loaded.stored)]
        found = (
            over_sets(stored, cluster, clustered)
            if cluster is not None
            else over_sets(stored, worst_of or "", worst)
        )
    elif by is not None:
        found = table_by([loaded.set(name) for name in sets or sorted(loaded.stored)], by)
    else:
        found = accuracy_table(loaded.results.table, original, sets)
    if json:
        print_json(plain_rows(found))
    else:
        write(render(found, format_), out)


def line(
    tables: Tables,
    x: Annotated[
        list[str],
        typer.Option(
            "--x",
            metavar="SET",
            help="The original set; several are several axes at once.",
            show_default=False,
        ),
    ],
    y: Annotated[str, typer.Option("--y", metavar="SET", help="The new set.", show_default=False)],
    scale: Annotated[str, typer.Option(help="logit, probit or linear.")] = "logit",
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Fit the models of this group.", show_default="all")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Leave out of the fit (shell patterns); may be repeated."),
    ] = None,
    pivot: Annotated[float | None, typer.Option(metavar="PERCENT", help="Let the line bend here.")] = None,
    two_fits: Annotated[
        bool,
        typer.Option("--two-fits", help="Fit both sides of --pivot by themselves: the line may jump there."),
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the figure, as .svg or .png.", callback=own_file)
    ] = None,
    resamples: Annotated[int, typer.Option(min=20, help="Redraw the images this often (400 at most).")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the redrawn images.")] = 0,
    cluster: Cluster = None,
    metric: Metric = "top1",
    groups: Groups = None,
    unit: Unit = "auto",
    sets: Sets = None,
    among: Among = "auto",
    json: JsonFlag = False,
) -> None:
    """Fit new against original accuracy, and say how far each model is off the line.

    Example: newtest report line robustness_top1s.csv --x val --y imagenetv2-matched-frequency-format-val
    --group STANDARD
    """
    from newtest.errors import UsageError
    from newtest.evaluation.analysis.clusters import codes_of
    from newtest.evaluation.analysis.line import LineConfig, fit_line
    from newtest.evaluation.analysis.outliers import far_below
    from newtest.evaluation.analysis.scales import check_scale
    from newtest.evaluation.analysis.tables import image_column

    loaded = load(tables, groups, unit, metric, sets=sets, among=among)
    options = LineConfig(
        tuple(x), y, check_scale(scale), group, tuple(exclude or ()), pivot, two_fits, resamples, seed=seed
    )
    correct = (
        [loaded.stored[s].correct for s in (*x, y)]
        if metric == "top1" and {*x, y} <= set(loaded.stored)
        else None
    )
    groups_of = None
    if cluster is not None:
        if metric != "top1":
            raise UsageError("--cluster needs to know which images are right: give it with --metric top1")
        correct = [loaded.set(s).correct for s in (*x, y)]
        groups_of = [codes_of(image_column(loaded.set(s), cluster)) for s in (*x, y)]
    fitted = fit_line(loaded.results, options, correct, groups_of)
    for caution in far_below(loaded.results.table, x[0], y):
        note(f"warning: {caution}")
    if figure is not None:
        from newtest.evaluation.report.figures import draw_scatter, scatter_of

        save(draw_scatter(scatter_of(loaded.results.table, (x[0], y), options.scale, fitted)), figure)
    found = fitted.to_json()
    if json:
        print_json(found)
        return
    title = f"{y} against {', '.join(x)}, {scale}: {fitted.n} models" + (f" of {group}" if group else "")
    _print_line(fitted, found["intervals"], title)


def _print_line(fitted: Line, over: dict[str, Any], title: str) -> None:
    intervals = [
        ("models", over["over_models"]),
        ("images", over["over_images"] or {}),
    ]
    names = list(intervals[0][1])
    values = [
        *fitted.fit.values,
        fitted.fit.r2,
    ]
    print_table(
        ["", "value", *(f"95 % over {what}" for what, some in intervals if some)],
        [
            (
                name,
                f"{value:.4f}",
                *(f"[{some[name][0]:.4f}, {some[name][1]:.4f}]" for _, some in intervals if some),
            )
            for name, value in zip(names, values, strict=True)
        ],
        title=title,
    )
    for model, reason in fitted.left_out:
        note(f"left out: {model}: {reason}")
    uncounted = int((~fitted.models["counted"]).sum())
    furthest = fitted.models.reindex(fitted.models["rho"].abs().sort_values(ascending=False).index).head(10)
    print_table(
        ["model", "group", "accuracy", "line", "rho, points", "95 % of the line" if uncounted else "95 %"],
        [
            (
                r.model,
                r.group,
                f"{r.y:.2f}",
                f"{r.predicted:.2f}",
                f"{r.rho:+.2f}",
                f"[{r.rho_lo:+.2f}, {r.rho_hi:+.2f}]",
            )
            for r in furthest.itertuples()
        ],
        title="Furthest off the line (--json has all)",
    )
    if uncounted:
        note(
            f"{uncounted} of {len(fitted.models)} models have no n: the intervals of their rho know how sure the line "
            "is, and not how sure their own accuracies are; give k and n to have both"
        )
    based = fitted.models[fitted.models["tau"].notna()].sort_values("tau", ascending=False)
    if len(based):
        print_table(
            ["model", "base", "tau, points", "rho, points"],
            [(r.model, r.base, f"{r.tau:+.2f}", f"{r.rho:+.2f}") for r in based.itertuples()],
            title="Relative robustness: the change on the new set from the base model",
        )


def html(
    tables: Tables,
    original: Annotated[str, typer.Option(metavar="SET", help="The original set.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where report.html goes, and its figures and numbers.",
            show_default=False,
            callback=own_folder,
        ),
    ],
    title: Annotated[str, typer.Option(help="The page's title.")] = "How good is the new test set?",
    scale: Annotated[str, typer.Option(help="logit, probit or linear.")] = "logit",
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Fit the models of this group.", show_default="all")
    ] = None,
    per_bin: Annotated[
        int, typer.Option(min=0, help="Gallery images per frequency bin, from the study.")
    ] = 12,
    groups: Groups = None,
    unit: Unit = "auto",
    sets: Sets = None,
    among: Among = "auto",
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Write one self-contained page: what was built, galleries, histograms, lines, the gap, the table, warnings.

    Example: newtest report html results --original val --out report
    """
    from newtest.evaluation.analysis.scales import check_scale
    from newtest.evaluation.report.build import build_report
    from newtest.evaluation.report.inputs import ReportChoice, gather

    loaded = load(tables, groups, unit, sets=sets, among=among)
    files = build_report(
        gather(loaded, ReportChoice(title, original, check_scale(scale), group, per_bin, study)), out
    )
    if files.missing:
        from newtest.lettering import without_glyphs

        note(f"warning: {without_glyphs(files.missing)}")
    if json:
        print_json({"html": files.html, "json": files.json, "table": files.table, "figures": files.figures})
    else:
        typer.echo(files.html)
