"""newtest report forecast"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table

if TYPE_CHECKING:
    import pandas as pd

    from newtest.evaluation.analysis.forecast import Forecast

__all__ = ["forecast"]


def forecast(
    original: Annotated[
        str, typer.Argument(metavar="SET", help="The original set, with labels, as evaluate takes it.")
    ],
    predictions: Annotated[
        list[Path], typer.Option(metavar="FILE", help="The models' answers to the original; may be repeated.")
    ],
    unlabelled: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE", help="The same models' answers to images without labels; may be repeated."
        ),
    ],
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out models, such as 'fv_*'; may be repeated."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(metavar="RESULTS", help="Compare with what evaluate found once labels were there."),
    ] = None,
    set_: Annotated[
        str | None,
        typer.Option("--set", metavar="SET", help="The set of --check.", show_default="its only one"),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap over models.")] = 0,
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Predict accuracies on images that nobody labelled, from how often the models agree.

    Nothing is predicted where the agreements lie on no line. The images must be of the original's classes.

    Example: newtest report forecast val.json --predictions val.npz --unlabelled candidates.npz
    """
    from newtest.evaluation.analysis.forecast import forecast as run
    from newtest.evaluation.analysis.similarity import kept
    from newtest.evaluation.scoring.sets import find_set
    from newtest.evaluation.scoring.unlabelled import labelled_answers, unlabelled_answers

    evaluated = find_set(original, study)
    old = labelled_answers(evaluated, predictions)
    new = unlabelled_answers(evaluated.classes, unlabelled)
    both = [model for model in old.models if model in set(new.models)]
    models = kept(both, exclude or [])
    for sentence in (*old.left_out, *new.left_out):
        note(f"left out: {sentence}")
    if lone := sorted(set(old.models) ^ set(new.models)):
        note(f"left out: {len(lone)} models have answers to one of the sets only, first {lone[0]!r}")
    one, other = old.of(models), new.of(models)
    assert one.accuracy is not None
    found = run(models, one.answers, one.accuracy, other.answers, seed=seed)
    actual = None if check is None else _actual(check, set_)
    _print(found, actual, as_json=json)


def _actual(path: Path, name: str | None) -> pd.Series[float]:
    """model -> accuracy (percent) on a set that has labels by now. Raises EvaluationError."""
    from newtest.errors import EvaluationError
    from newtest.evaluation.scoring.loading import load
    from newtest.evaluation.scoring.results import pick

    table = load([path]).results.table
    sets = sorted(table["set"].unique())
    if name is None and len(sets) != 1:
        raise EvaluationError(f"{path} has the sets {', '.join(sets)}; `set` names one")
    return pick(table, name or sets[0]).set_index("model")["accuracy"]


def _print(found: Forecast, actual: pd.Series[float] | None, *, as_json: bool) -> None:
    table = found.models
    checked = None
    if actual is not None:
        table = table.assign(accuracy=table["model"].map(actual)).dropna(subset=["accuracy"])
        error = (table["forecast"] - table["accuracy"]).abs()
        inside = table["accuracy"].between(table["lo"], table["hi"])
        checked = {
            "models": len(table),
            "mean_error": float(error.mean()),
            "inside": int(inside.sum()),
            "rank_correlation": float(table["forecast"].corr(table["accuracy"], method="spearman")),
        }
    if as_json:
        print_json({**found.to_json(), "models": table.to_dict(orient="records"), "check": checked})
        return
    columns = ["rank", "model", "original", "forecast", "lo", "hi", *(["accuracy"] if checked else [])]
    rows = [
        [row.rank, row.model, *(f"{getattr(row, name):.2f}" for name in columns[2:])]
        for row in table.itertuples()
    ]
    print_table(columns, rows, title=f"Forecast on {found.images:,} images without labels, percent")
    print(
        f"mean {found.mean:.2f} (the agreements' line alone says {found.plain:.2f}); the agreements lie on a line with "
        f"R2 {found.r2:.3f}; intervals of 95 % count images, models, half of "
        "the extrapolation, and a tenth of the change for the rule"
    )
    if checked:
        print(
            f"checked: mean error {checked['mean_error']:.2f} points over {checked['models']} models, "
            f"{checked['inside']} accuracies inside their intervals, rank correlation {checked['rank_correlation']:.4f}"
        )
