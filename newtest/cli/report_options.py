"""What the commands of ``newtest report`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from newtest.cli.options import note

__all__ = [
    "Among",
    "Cluster",
    "Exclude",
    "Groups",
    "Metric",
    "Sets",
    "Tables",
    "Unit",
    "load",
    "save",
    "write",
]

Tables = Annotated[
    list[Path],
    typer.Argument(
        metavar="TABLE...",
        help="Results: CSV or Parquet tables, or folders that evaluate wrote.",
        show_default=False,
    ),
]
Groups = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A table of model and type.", show_default="model_types.csv beside a wide table"
    ),
]
Unit = Annotated[str, typer.Option(help="What accuracies are in: percent, fraction or auto.")]
Metric = Annotated[
    str,
    typer.Option(
        help="top1 (any_of), given, single_label, top5, mean_per_class, map11, or one of the table (f1, em)."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Intervals for images that come in groups of this column."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="MODEL", help="Leave out these models (shell patterns); may be repeated."
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--sets",
        metavar="SET",
        help="Use only these sets; of a wide table, these columns are sets. May be repeated.",
        show_default="all",
    ),
]
Among = Annotated[
    str,
    typer.Option(
        help="For models with more classes than a set, take the rows compared among the set's or among all: "
        "auto, set, all. auto is the set's where both are kept."
    ),
]


def load(
    paths: list[Path],
    groups: Path | None,
    unit: str,
    metric: str = "top1",
    *,
    sets: list[str] | None = None,
    among: str = "auto",
    exclude: list[str] | None = None,
) -> Any:
    from newtest.errors import UsageError
    from newtest.evaluation.scoring.loading import LoadConfig, load

    if unit not in ("auto", "percent", "fraction"):
        raise UsageError(f"--unit {unit}: known are auto, percent, fraction")
    if among not in ("auto", "set", "all"):
        raise UsageError(f"--among {among}: known are auto, set, all")
    loaded = load(paths, LoadConfig(groups, unit, metric, tuple(sets or ()), among))  # type: ignore[arg-type]
    if exclude:
        from newtest.evaluation.analysis.similarity import kept

        models = list(loaded.results.table["model"].unique())
        loaded = loaded.without(set(models) - set(kept(models, exclude)))
    for caution in loaded.results.cautions:
        note(f"warning: {caution}")
    return loaded


def write(text: str, out: Path | None) -> None:
    from newtest.outputs import write_made

    if out is None:
        typer.echo(text, nl=False)
    else:
        write_made(out, text)
        note(f"written to {out}")


def save(picture: Any, path: Path) -> None:
    from newtest.errors import UsageError
    from newtest.lettering import without_glyphs
    from newtest.outputs import write_made

    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"--figure {path}: figures are .png or .svg")
    write_made(path, picture.png if path.suffix == ".png" else picture.svg)
    note(f"drawn in {path}")
    if picture.missing and path.suffix == ".png":
        note(f"warning: {without_glyphs(picture.missing)}")
