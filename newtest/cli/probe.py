"""newtest probe"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.encoder_options import Device, EncoderName, Like, Precision
from newtest.cli.options import JsonFlag, StudyDir, note, own_folder, print_json, print_table, progress

if TYPE_CHECKING:
    from newtest.clip.probe import ProbeConfig
    from newtest.evaluation.scoring.probing import Efficiency, Labelled

__all__ = ["probe"]

_DATA = "a set with files (as for zeroshot), or an .npz with embeddings, labels and optionally classes."


def probe(
    train: Annotated[
        str, typer.Option("--train", metavar="SET", help=f"Labels to learn from: {_DATA}", show_default=False)
    ],
    test: Annotated[
        str, typer.Option("--test", metavar="SET", help=f"What is scored: {_DATA}", show_default=False)
    ],
    model: EncoderName = "conse",
    like: Like = None,
    shots: Annotated[
        str, typer.Option(help="Labelled images per class, with commas; all takes every image.")
    ] = "1,2,4,8,16,all",
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the few labels, for the error bars.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the first draw.")] = 0,
    zeroshot: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Zero-shot accuracy: how many labels match it?"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the figure and probe.json go.", callback=own_folder),
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Fit logistic regression on frozen embeddings, with few labels and with all: the label-efficiency curve.

    Example: newtest probe --train train.npz --test test.npz --zeroshot 63.2 --out probe
    """
    from json import dumps

    from newtest.clip.probe import ProbeConfig, parse_shots
    from newtest.evaluation.scoring.probing import Source, label_efficiency, labelled
    from newtest.outputs import write_made

    config = ProbeConfig(shots=parse_shots(shots), seeds=seeds, seed=seed)
    source = Source(model, like, device, precision, study)
    sides = []
    with progress() as bars:
        for which in (train, test):
            sides.append(labelled(which, source, bars))
    found = label_efficiency(sides[0], sides[1], config, zeroshot)
    _warn(sides, found, config)
    if out is not None:
        from newtest.evaluation.report.efficiency import write_label_efficiency

        write_made(out / "probe.json", dumps(found.to_json(), indent=1) + "\n")
        write_label_efficiency(found, out)
        note(f"drawn in {out / 'label-efficiency.png'}")
    if json:
        print_json(found.to_json())
        return
    _print(found, zeroshot)


def _warn(sides: Sequence[Labelled], found: Efficiency, config: ProbeConfig) -> None:
    for side in sides:
        if side.unreadable:
            note(f"warning: {side.name}: {side.unreadable} images could not be read and are left out")
    if found.shared:
        note(
            f"warning: {found.shared} images of {found.test} are also in {found.train} (equal embeddings): "
            "the accuracies are too high; leave them out"
        )
    for one in sorted(
        {s for s in config.shots if s} - {point.shots for point in found.points if point.shots}
    ):
        note(f"warning: {one} shots are left out: some class of {found.train} has fewer images")
    for probed in (result for point in found.points if point.shots is None for result in point.results):
        if probed.unsplit:
            note(
                f"warning: {probed.unsplit} classes of {found.train} have no part in the choice of C "
                f"({probed.strength:g} with all labels): a class needs 2 labels, and one class 4"
            )


def _print(found: Efficiency, zeroshot: float | None) -> None:
    print_table(
        ["labels per class", "accuracy, %", "± sd", "probes", "C"],
        [
            (
                f"all ({p.labels:.3g})" if p.shots is None else str(p.shots),
                f"{p.mean:.2f}",
                "" if p.deviation is None else f"{p.deviation:.2f}",
                len(p.results),
                ", ".join(f"{strength:g}" for strength in sorted({r.strength for r in p.results})),
            )
            for p in found.points
        ],
        title=f"{found.test}, trained on {found.train}",
    )
    if zeroshot is not None:
        enough = next((p.labels for p in found.points if p.shots is None and p.mean >= zeroshot), None)
        matched = "no number of labels tried"
        if found.match is not None:
            matched = f"{found.match:.1f} labels per class"
        elif enough is not None:
            matched = f"all {enough:.3g} labels per class; fewer do not reach it"
        typer.echo(f"zero-shot {zeroshot:g} % is matched by {matched}")
