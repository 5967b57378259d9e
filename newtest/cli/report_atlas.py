"""newtest report atlas"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, note, own_file, print_json, print_table
from newtest.cli.report_options import Groups, Metric, Unit

if TYPE_CHECKING:
    from newtest.evaluation.analysis.atlas import Atlas

__all__ = ["atlas"]

MOST_CURVE = 0.1
"""Of the scatter about a line, from which on a curve is reported to explain it."""

Boards = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULTS...",
        help="Results as they were published: the testbed's, timm's or open_clip's CSV, JSON of CLIP_benchmark or "
        "lm-eval, any table of accuracies, folders of these, and folders that evaluate wrote.",
        show_default=False,
    ),
]


def atlas(
    results: Boards,
    x: Annotated[
        list[str] | None,
        typer.Option(
            "--x",
            metavar="SET",
            help="An original set; several are an axis each, and all of them together one more.",
            show_default="the set that is known to be an original",
        ),
    ] = None,
    y: Annotated[
        list[str] | None,
        typer.Option("--y", metavar="SET", help="Use only this shift; may be repeated.", show_default="all"),
    ] = None,
    shift: Annotated[
        str | None,
        typer.Option(metavar="SET", help="Print the models on this shift.", show_default="an overview"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page, as .html.", show_default="no page", callback=own_file),
    ] = None,
    scale: Annotated[str, typer.Option(help="logit, probit or linear.")] = "logit",
    group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Fit the models of this group (a shell pattern).", show_default="all"
        ),
    ] = None,
    fit_data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fit the models with this training data (a shell pattern).",
            show_default="all",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Leave out of the fit (shell patterns); may be repeated."),
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="SHIFT=SET", help="The original of one shift, instead of --x; may be repeated."),
    ] = None,
    mean: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATTERN",
            help="A new set: the mean of all sets that fit a pattern; may be repeated.",
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(metavar="SET=N", help="The number of images in a set, where the results do not say it."),
    ] = None,
    family: Annotated[
        str, typer.Option(help="What Holm corrects for: all models on all shifts (atlas), or on one (shift).")
    ] = "atlas",
    alpha: Annotated[float, typer.Option(min=1e-9, max=0.5, help="Off the line: p below this.")] = 0.05,
    top: Annotated[int, typer.Option(min=0, help="Models to print (--json has all).")] = 20,
    title: Annotated[str, typer.Option(help="The page's title.")] = "Atlas of distribution shifts",
    metric: Metric = "top1",
    groups: Groups = None,
    unit: Unit = "auto",
    json: JsonFlag = False,
) -> None:
    """Fit a line for every shift over published results, and say which models are off it by more than chance.

    Example: newtest report atlas robustness_top1s.csv --x val --group STANDARD --out atlas.html
    """
    from newtest.errors import UsageError
    from newtest.evaluation.analysis.atlas import AtlasConfig, build_atlas
    from newtest.evaluation.analysis.scales import check_scale
    from newtest.evaluation.scoring.board_files import BoardConfig, read_boards

    if out is not None and out.suffix not in (".html", ".htm"):
        raise UsageError(f"--out {out}: the page is .html")
    if unit not in ("auto", "percent", "fraction"):
        raise UsageError(f"--unit {unit}: known are auto, percent, fraction")
    counts = {name: _count(name, text) for name, text in _pairs("images", images).items()}
    config = AtlasConfig(
        x=tuple(x or ()),
        y=tuple(y or ()),
        scale=check_scale(scale),
        group=group,
        data=fit_data,
        exclude=tuple(exclude or ()),
        pairs=_pairs("pair", pair),
        means=_pairs("mean", mean),
        images=counts,
        family=family,
        alpha=alpha,
    )
    found = build_atlas(read_boards(results, BoardConfig(metric, groups, unit)), config)
    if out is not None:
        from newtest.evaluation.report.atlas_page import render_atlas
        from newtest.outputs import write_made

        write_made(out, render_atlas(found, title))
    for warning in found.warnings:
        note(f"note: {warning}")
    if json:
        _print_json(found, shift)
    elif shift is not None:
        _print_shift(found, shift, top)
    else:
        _print_overview(found)
    if out is not None:
        note(f"written to {out}")


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """NAME=VALUE of an option that may be repeated. Raises UsageError."""
    from newtest.errors import UsageError

    found = {}
    for text in given or ():
        name, mark, value = text.rpartition("=")
        if not mark or not name or not value:
            raise UsageError(f"--{option} {text}: write NAME=VALUE")
        found[name] = value
    return found


def _count(name: str, text: str) -> int:
    from newtest.errors import UsageError

    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 40:
        raise UsageError(f"--images {name}={text}: write how many images the set has, as a whole number")
    return int(text)


def _print_json(found: Atlas, shift: str | None) -> None:
    from newtest.evaluation.analysis.tables import plain_rows
    from newtest.evaluation.report.atlas_page import atlas_numbers

    if shift is None:
        print_json({**atlas_numbers(found), "overview": plain_rows(found.overview())})
        return
    choices = {
        choice: {
            "models": plain_rows(found.shift(shift, choice)),
            "left_out": [
                {"model": m, "config": c, "reason": reason} for m, c, reason in found.left_out(shift, choice)
            ],
        }
        for choice in found.choices
    }
    print_json({"shift": found.line(shift).y, "alpha": found.config.alpha, "choices": choices})


def _print_overview(found: Atlas) -> None:
    for choice in found.choices:
        rows = [
            (r.set, r.axes, r.models, r.fitted, f"{r.slope:.3f}", f"{r.r2:.3f}", r.above, r.below)
            if not r.refused
            else (r.set, r.axes, r.models, r.fitted, "-", "-", "-", r.refused)
            for r in found.overview(choice).itertuples()
        ]
        print_table(
            ["shift", "axes", "models", "fitted", "slope", "R2", "above", "below"],
            rows,
            title=f"{len(found.models)} models and configurations; line on {choice}, {found.config.scale}; above and "
            f"below: off the line by more than chance (Holm, {found.config.alpha:g})",
        )


def _print_shift(found: Atlas, shift: str, top: int) -> None:
    for choice in found.choices:
        line, table = found.line(shift, choice), found.shift(shift, choice)
        off = table[table["off"]]
        print_table(
            ["model", "configuration", "group", "data", "accuracy", "line", "rho", "95 %", "p, Holm", "off"],
            [
                (
                    r.model,
                    r.config,
                    r.group,
                    r.data,
                    f"{r.y:.2f}",
                    f"{r.predicted:.2f}",
                    f"{r.rho:+.2f}",
                    f"[{r.rho_lo:+.2f}, {r.rho_hi:+.2f}]",
                    f"{r.p_holm:.2g}",
                    "yes" if r.off else "no",
                )
                for r in table.head(top).itertuples()
            ],
            title=f"{line.y} on {', '.join(line.axes)}: slope {line.slopes[0]:.3f}, R2 {line.r2:.3f}, {line.n} fitted; "
            f"{len(off)} of {len(table)} are off the line by more than chance",
        )
        if line.curve >= MOST_CURVE:
            note(
                f"warning: the cloud bends: a curve explains {line.curve:.0%} of the scatter about the line; models "
                "at its ends may be off a straight line and not off the others"
            )
        without = found.left_out(shift, choice)
        if without:
            note(f"{len(without)} models have no place on {line.y}, first {without[0][0]}: {without[0][2]}")
        if int((~table["counted"]).sum()):
            note(
                f"{int((~table['counted']).sum())} of {len(table)} models have no number of images: their intervals "
                "know how sure the line is, and not how sure their own accuracies are (`images` gives it)"
            )
