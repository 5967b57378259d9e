"""newtest evaluate"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.encoder_options import Like
from newtest.cli.options import (
    JsonFlag,
    StudyDir,
    choice,
    note,
    own_folder,
    print_json,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from newtest.engines import Engine
    from newtest.evaluation.scoring.evaluate import Evaluation

__all__ = ["evaluate"]

_SET = (
    "A release, a folder of class folders, ImageNetV2's JSON, a table, labels (.npy), "
    "or a revision or reference of the study."
)


def evaluate(
    which: Annotated[str, typer.Argument(metavar="SET", help=_SET, show_default=False)],
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions", metavar="FILE", help="npy, npz, pt, json, jsonl, csv, parquet; may be repeated."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Run efficientnet-lite0, timm:NAME, torchvision:NAME[.WEIGHTS], or an encoder as zeroshot takes it "
            "(open_clip:MODEL/TAG); may be repeated.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The set's name in the results.", show_default="its file's")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model's classes, in the order of its outputs.")
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Many-to-one: a table of 'from' (model) and 'to' (set)."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Several valid labels per image, any of which is right: ReaL's JSON, or a table of ids and classes.",
        ),
    ] = None,
    reversed_: Annotated[
        list[str] | None,
        typer.Option(
            "--reversed", metavar="MODEL", help="A model whose top-5 is stored worst first; may be repeated."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="The columns of the files that are models' answers; may be repeated.",
            show_default="told by names and values; the truth is never scored",
        ),
    ] = None,
    answers: Annotated[
        str,
        typer.Option(
            help="Read answers that could be either as a class's name or number: auto, name, number."
        ),
    ] = "auto",
    kind: Annotated[
        str, typer.Option(help="Read rows of numbers that could be either as: auto, ranking, scores.")
    ] = "auto",
    among: Annotated[
        str,
        typer.Option(
            help="Compare a model of more classes among the set's, among all of its own, or both: auto, set, all, "
            "both. auto is the set's where scores allow it."
        ),
    ] = "auto",
    unreachable: Annotated[
        str,
        typer.Option(
            help="Count images of classes that no output can mean as wrong, or leave them out: auto, wrong, left-out. "
            "auto leaves them out of a class map, and asks for a class list."
        ),
    ] = "auto",
    groups: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A table of model and type, kept with the results.")
    ] = None,
    class_names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The classes in words, as newtest zeroshot takes them: for open_clip.",
            show_default="WordNet's first lemma, else the id",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the model's weights. Pictures are prepared as for the named weights.",
        ),
    ] = None,
    like: Like = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at once, with --model.")] = 64,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16, with --model.")] = "float32",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ..., with --model.", show_default="a GPU if there is one")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            help="Run classifiers in workers: local, ray, or ray:ADDRESS; settings of Ray after commas.",
            show_default="this process; local with several GPUs",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Workers; 0 is one per GPU, or one without.")
    ] = 0,
    study: StudyDir = Path(),
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept.",
            show_default="results/ of the study",
            callback=own_folder,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Score predictions, or run a model, on a set: k of n per model, and which images it got right.

    Example: newtest evaluate releases/matched-0 --predictions resnet50.npy --out results
    """
    from newtest.errors import UsageError
    from newtest.evaluation.scoring.evaluate import EvaluateConfig
    from newtest.evaluation.scoring.evaluate import evaluate as run
    from newtest.evaluation.scoring.models import ModelConfig

    if not predictions and not model:
        raise UsageError("nothing to score: give --predictions FILE or --model NAME")
    options = EvaluateConfig(
        predictions=tuple(predictions or ()),
        models=tuple(model or ()),
        name=name,
        classes=classes,
        class_map=class_map,
        labels=labels,
        reversed_models=tuple(reversed_ or ()),
        groups=groups,
        columns=tuple(columns or ()),
        answers=choice("--answers", answers, ("auto", "name", "number")),
        kind=choice("--kind", kind, ("auto", "ranking", "scores")),
        among=choice("--among", among, ("auto", "set", "all", "both")),
        unreachable=choice("--unreachable", unreachable, ("auto", "wrong", "left-out")),
        class_names=class_names,
        study=study,
        out=out,
        model=ModelConfig(
            batch_size=batch_size,
            precision=precision,
            device=device,
            weights=weights,
            like=like,
        ),
    )
    runs = _engine(engine, workers, device) if model else None
    with progress() as bars:
        outcome = run(which, options, bars, engine=runs, workers=workers)
    _print(outcome, as_json=json)
    if any(caution.fatal for caution in outcome.cautions):
        raise typer.Exit(1)


def _engine(name: str | None, workers: int, device: str | None) -> Engine | None:
    """What runs classifiers; None for this process."""
    from newtest.cli.pool_options import engine_of
    from newtest.clip.torch_runtime import gpus

    if name is None and workers < 2 and (device is not None or gpus() < 2):
        return None
    return engine_of(name or "local")


def _how_read(rows: list[dict[str, Any]]) -> list[str]:
    """How the predictions were read, models that were read alike in one line."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        columns = "its own column" if row["columns"] == row["model"] else row["columns"] or "the model's run"
        how = (row["source"], columns, row["key"], row["kind"], row["class_rule"])
        alike.setdefault(how, []).append(row["model"])
    return [
        f"read: {models[0]}{f' and {len(models) - 1} more' if len(models) > 1 else ''} from {source}: {columns}; "
        f"key: {key}; {kind} {rule}"
        for (source, columns, key, kind, rule), models in alike.items()
    ]


_SEVERAL = ("set's class, %", "one label, %")


def _several(row: dict[str, Any]) -> tuple[str, str]:
    """Of a set with several labels per image: by the set's own class, and among the images with one label."""
    given = f"{100 * row['given_k'] / row['n']:.2f}"
    return given, f"{100 * row['single_k'] / row['single_n']:.2f}" if row["single_n"] else "-"


def _print(outcome: Evaluation, *, as_json: bool) -> None:
    for caution in outcome.cautions:
        note(f"{'failed' if caution.fatal else 'warning'}: {caution}")
    rows = [score.to_json() for score in outcome.scores]
    if as_json:
        print_json(
            {
                "folder": outcome.folder,
                "results": rows,
                "files": outcome.census.as_json() if outcome.census else None,
                "warnings": [caution.to_json() for caution in outcome.cautions],
            }
        )
    else:
        several = any(r["given_k"] is not None for r in rows)
        print_table(
            ["model", "set", "k", "n", "accuracy, %", *(_SEVERAL if several else ())],
            [
                (
                    r["model"],
                    r["set"],
                    r["k"],
                    r["n"],
                    f"{r['accuracy']:.2f}",
                    *(_several(r) if several else ()),
                )
                for r in rows
            ],
        )
        for said in _how_read(rows):
            note(said)
        if outcome.folder:
            note(f"kept in {outcome.folder}")
