"""newtest merge wise | uniform | greedy"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.merge_options import (
    AllowNonfinite,
    Copy,
    MixedPrecision,
    Network,
    Recalibrate,
    Skip,
    State,
    StripPrefix,
    joined,
)
from newtest.cli.options import JsonFlag, note, on_this_machine, own_file, own_folder, print_json, print_table

if TYPE_CHECKING:
    from newtest.clip.weights.ensemble import EnsemblePoint
    from newtest.clip.weights.sweep import SweepPoint

__all__ = ["app"]

app = typer.Typer(
    help="Merge checkpoints: WiSE-FT's interpolation, uniform and greedy soups. Tensors are streamed."
    " No network is built.",
    no_args_is_help=True,
)

Checkpoints = Annotated[
    list[Path], typer.Argument(metavar="CHECKPOINT...", help=".safetensors, .npz, or PyTorch state dicts.")
]
Out = Annotated[
    Path, typer.Option("--out", help="The merged checkpoint: .safetensors or .npz.", callback=own_file)
]


def _draw_curve(
    points: list[SweepPoint], chosen: SweepPoint, ensembles: list[EnsemblePoint], out: Path
) -> None:
    """The scores over alpha as a picture, with the outputs' ensembles where they were asked for."""
    from newtest.clip.weights.curve import write_alpha_curve

    outputs: dict[float, dict[str, float]] = {}
    for one in ensembles:
        outputs.setdefault(one.alpha, {})[one.set] = one.output_space
    curve = [(point.alpha, point.scores) for point in points]
    write_alpha_curve(curve, chosen.alpha, out, outputs=list(outputs.items()))


def _print_points(
    points: list[SweepPoint], chosen: SweepPoint | None, ensembles: list[EnsemblePoint], out: Path
) -> None:
    names = sorted({name for point in points for name in point.scores})
    rows = [(p.alpha, str(out / p.checkpoint), *(p.scores.get(name) for name in names)) for p in points]
    print_table(["alpha", "checkpoint", *names], rows)
    if ensembles:
        print_table(
            ["alpha", "set", "weights mixed, %", "outputs mixed, %", "same answer, %"],
            [(e.alpha, e.set, e.weight_space, e.output_space, e.agreement) for e in ensembles],
        )
    if chosen is not None:
        note(
            f"chosen on in-distribution data only: alpha {chosen.alpha:g} (curve: {out / 'alpha-curve.png'})"
        )


@app.command("wise", short_help="Interpolate between two checkpoints.")
def wise(
    zeroshot: Annotated[Path, typer.Option("--zeroshot", help="The model before fine-tuning (alpha 0).")],
    finetuned: Annotated[Path, typer.Option("--finetuned", help="The model after fine-tuning (alpha 1).")],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for alpha-X.safetensors and sweep.json.", callback=own_folder),
    ],
    alphas: Annotated[str, typer.Option("--alphas", help="FIRST:LAST:STEP, or a list with commas.")] = "0.5",
    score_command: Annotated[
        str | None,
        typer.Option(
            "--score-command",
            help='Run for each {checkpoint}; prints {"in_distribution": A, "shifted": B} as its last line, or '
            "writes logits to {logits} (.npz), which also compares output-space ensembles.",
        ),
    ] = None,
    state: State = None,
    strip_prefix: StripPrefix = None,
    copy: Copy = None,
    skip: Skip = None,
    mixed_precision: MixedPrecision = False,
    allow_nonfinite: AllowNonfinite = False,
    recalibrate: Recalibrate = None,
    network: Network = None,
    json: JsonFlag = False,
) -> None:
    """Interpolate between a zero-shot and a fine-tuned model; choose alpha on in-distribution data only.

    Example: newtest merge wise --zeroshot zs.safetensors --finetuned ft.safetensors --alphas 0:1:.05 --out wise
    """
    from dataclasses import asdict

    from newtest.clip.weights import MergeConfig, parse_alphas
    from newtest.clip.weights.ensemble import compare_ensembles, read_outputs
    from newtest.clip.weights.sweep import choose, command_outputs, command_score, logits_path, sweep
    from newtest.errors import UsageError

    steps = parse_alphas(alphas)
    with_logits = score_command is not None and "{logits}" in score_command
    if with_logits and not {0, 1} <= set(steps):
        raise UsageError(
            "output-space ensembles need both ends: let --alphas hold 0 and 1, or leave {logits} away"
        )
    score = None
    if score_command is not None:
        score = command_outputs(score_command) if with_logits else command_score(score_command)
    config = MergeConfig(
        state=state,
        strip_prefix=tuple(strip_prefix or ()),
        copy=tuple(copy or ()),
        skip=tuple(skip or ()),
        mixed_precision=mixed_precision,
        allow_nonfinite=allow_nonfinite,
    )
    both = joined([zeroshot, finetuned], config, recalibrate=recalibrate, network=network, prefer=1)
    points = sweep(
        zeroshot,
        finetuned,
        steps,
        out,
        score=score,
        scored_by=score_command or "",
        config=config,
        recalibrate=both.recalibration,
    )
    ensembles = []
    if with_logits:
        ensembles = compare_ensembles(
            [(point.alpha, read_outputs(logits_path(out / point.checkpoint))) for point in points]
        )
    chosen = choose(points) if score is not None else None
    if chosen is not None:
        _draw_curve(points, chosen, ensembles, out)
    if json:
        print_json(
            {
                "points": [
                    {"alpha": p.alpha, "checkpoint": str(out / p.checkpoint), **p.scores} for p in points
                ],
                "chosen": None if chosen is None else chosen.alpha,
                "ensembles": [asdict(one) for one in ensembles],
                **both.to_json(),
            }
        )
        return
    _print_points(points, chosen, ensembles, out)


@app.command("uniform")
def uniform(
    checkpoints: Checkpoints,
    out: Out,
    state: State = None,
    strip_prefix: StripPrefix = None,
    copy: Copy = None,
    skip: Skip = None,
    mixed_precision: MixedPrecision = False,
    allow_nonfinite: AllowNonfinite = False,
    recalibrate: Recalibrate = None,
    network: Network = None,
    json: JsonFlag = False,
) -> None:
    """Merge checkpoints into the mean of their weights.

    Example: newtest merge uniform run1.safetensors run2.safetensors run3.safetensors --out soup.safetensors
    """
    from newtest.clip.weights import MergeConfig, uniform_soup

    config = MergeConfig(
        state=state,
        strip_prefix=tuple(strip_prefix or ()),
        copy=tuple(copy or ()),
        skip=tuple(skip or ()),
        mixed_precision=mixed_precision,
        allow_nonfinite=allow_nonfinite,
    )
    all_ = joined(checkpoints, config, recalibrate=recalibrate, network=network)
    uniform_soup(checkpoints, out, config, all_.recalibration)
    if json:
        print_json({"out": str(out), "checkpoints": [str(path) for path in checkpoints], **all_.to_json()})
    else:
        note(f"{out}: the mean of {len(checkpoints)} checkpoints")


def _own_log(path: Path | None) -> Path | None:
    from newtest.clip.weights.soups import check_log

    if path is not None and path.is_file():
        check_log(path)
    return on_this_machine(path)


@app.command(short_help="Merge a greedy soup by held-out scores.")
def greedy(
    checkpoints: Checkpoints,
    out: Out,
    score_command: Annotated[
        str,
        typer.Option(
            "--score-command", help="Prints a checkpoint's score on held-out data; {checkpoint} is its path."
        ),
    ],
    scores: Annotated[
        Path | None,
        typer.Option(
            "--scores", help="JSON: checkpoint file name -> its own held-out score, where they are known."
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="Write every decision here, one JSON line each.", callback=_own_log),
    ] = None,
    state: State = None,
    strip_prefix: StripPrefix = None,
    copy: Copy = None,
    skip: Skip = None,
    mixed_precision: MixedPrecision = False,
    allow_nonfinite: AllowNonfinite = False,
    recalibrate: Recalibrate = None,
    network: Network = None,
    json: JsonFlag = False,
) -> None:
    """Merge a greedy soup: by falling held-out score, a model stays if the soup's score does not fall.

    Example: newtest merge greedy runs/*.safetensors --score-command 'python held.py {checkpoint}' --out s.safetensors
    """
    from dataclasses import asdict

    from newtest.clip.weights import Ingredient, MergeConfig, greedy_soup
    from newtest.clip.weights.soups import read_scores
    from newtest.clip.weights.sweep import IN_DISTRIBUTION, command_score

    config = MergeConfig(
        state=state,
        strip_prefix=tuple(strip_prefix or ()),
        copy=tuple(copy or ()),
        skip=tuple(skip or ()),
        mixed_precision=mixed_precision,
        allow_nonfinite=allow_nonfinite,
    )
    measure = command_score(score_command)
    all_ = joined(checkpoints, config, recalibrate=recalibrate, network=network)

    def held_out(path: Path) -> float:
        return measure(path)[IN_DISTRIBUTION]

    known = {} if scores is None else read_scores(scores)
    ingredients = [
        Ingredient(path.name, path, known[path.name] if path.name in known else held_out(path))
        for path in checkpoints
    ]
    record = log or out.with_suffix(".log.jsonl")
    steps = greedy_soup(
        ingredients,
        held_out,
        out,
        log=record,
        scored_by=score_command,
        config=config,
        recalibrate=all_.recalibration,
    )
    if json:
        print_json({"out": str(out), "steps": [asdict(step) for step in steps], **all_.to_json()})
        return
    print_table(
        ["tried", "its score", "soup before", "soup with it", "stays"],
        [(s.tried, s.own_score, s.before, s.with_it, "yes" if s.added else "no") for s in steps],
    )
    note(f"{out}: {sum(step.added for step in steps)} of {len(steps)} checkpoints")
