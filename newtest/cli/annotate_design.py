"""newtest annotate design"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from newtest.cli.options import JsonFlag, StudyDir, choice, note, own_file, print_json, print_table, progress

if TYPE_CHECKING:
    from newtest.planner import Forecast, Outlook

__all__ = ["design"]

COLUMNS = (
    "candidates", "votes per image", "error", "bias", "95 % of errors", "95 % of gaps", "filled", "votes", "hours",
    "dollars",
)  # fmt: skip


def design(
    study: StudyDir = Path(),
    candidates: Annotated[
        str, typer.Option("--candidates", metavar="N,N,...", help="Candidates per class to compare.")
    ] = "50,100,200",
    votes: Annotated[
        str,
        typer.Option(
            "--votes",
            metavar="N,N,...",
            help="Votes per image to compare; 5:20 gives 5, and 20 in all where the 5 disagree.",
        ),
    ] = "5,10,20",
    within: Annotated[
        float | None,
        typer.Option("--within", metavar="POINTS", help="Name the cheapest design with at most this error."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=1, help="Classes of the study.", show_default="the study's")
    ] = None,
    originals: Annotated[
        int | None,
        typer.Option(
            "--originals", min=1, help="Originals per class that are voted on.", show_default="the study's"
        ),
    ] = None,
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Images to draw per class.")] = 10,
    bias_correction: Annotated[
        str, typer.Option("--bias-correction", metavar="mixture|none", help="The rule of the draw.")
    ] = "mixture",
    min_reference_images: Annotated[
        int, typer.Option("--min-reference-images", min=1, help="Originals with votes that a class needs.")
    ] = 20,
    min_filled: Annotated[
        float,
        typer.Option(
            "--min-filled", min=0, max=1, help="Least share of classes that a named design must fill."
        ),
    ] = 0.95,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="NAME", help="The original set.", show_default="the only one"),
    ] = None,
    filtered: Annotated[
        bool, typer.Option("--filtered", help="Leave out the votes of excluded workers.")
    ] = False,
    slope: Annotated[
        float,
        typer.Option("--slope", help="Points of accuracy per point of frequency of the evaluated model."),
    ] = 0.8,
    base: Annotated[float, typer.Option("--base", help="Accuracy of that model at frequency 0.")] = 0.15,
    reward: Annotated[
        str | None,
        typer.Option(
            "--reward",
            metavar="DOLLARS",
            help="Reward per assignment.",
            show_default="the last plan's, else 0.10",
        ),
    ] = None,
    market: Annotated[
        str, typer.Option("--market", metavar="local|mturk", help="Whose fees to add.")
    ] = "local",
    pace: Annotated[
        float, typer.Option("--seconds-per-image", min=0.01, help="The pace that hours are estimated with.")
    ] = 1.5,
    images: Annotated[int, typer.Option("--images", min=1, help="Images per HIT, controls included.")] = 48,
    positive: Annotated[int, typer.Option("--positive", min=0, help="Positive controls per HIT.")] = 3,
    negative: Annotated[int, typer.Option("--negative", min=0, help="Negative controls per HIT.")] = 3,
    simulations: Annotated[
        int, typer.Option("--simulations", min=10, help="Simulated studies per design.")
    ] = 60,
    seed: Annotated[int, typer.Option("--seed", help="Seed of every draw.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Write the plot: .svg or .png.", callback=own_file),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compare designs before you pay: expected error, votes, hours and dollars, from the votes of a pilot.

    The whole study is simulated for each design: collect, vote, draw, evaluate. The study's votes so far are the pilot.

    Example: newtest annotate design --study goldfish --within 0.5 --plot design.svg
    """
    from newtest.catalog.money import last_plan
    from newtest.cli.markets import dollars
    from newtest.crowd.costs import CostConfig
    from newtest.crowd.hits import PlanConfig
    from newtest.errors import UsageError
    from newtest.outputs import write_made
    from newtest.planner import PlannerConfig, designs_of, foretell, pilot_of_study
    from newtest.planner.plot import draw_forecast
    from newtest.study import Study

    payer: Literal["local", "mturk"] = choice("--market", market, ("local", "mturk"))
    rule: Literal["mixture", "none"] = choice("--bias-correction", bias_correction, ("mixture", "none"))
    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise UsageError(f"--plot must be a file ending in .svg or .png, got {plot.name!r}")
    designs = designs_of([_whole(text) for text in candidates.split(",")], votes.split(","))
    with Study(study) as opened:
        amount = dollars("--reward", reward or last_plan(opened.catalog).get("reward") or "0.10")
        pilot = pilot_of_study(opened, reference=reference, filtered=filtered)
    config = PlannerConfig(
        classes=classes,
        originals=originals,
        per_class=per_class,
        bias_correction=rule,
        min_reference_images=min_reference_images,
        simulations=simulations,
        seed=seed,
        min_filled=min_filled,
        slope=slope,
        base=base,
        hits=PlanConfig(images=images, positive=positive, negative=negative),
        costs=CostConfig(amount, payer, pace),
    )
    with progress() as bars:
        found = foretell(pilot, designs, config, within=within, progress=bars)
    if plot is not None:
        shown = draw_forecast(found)
        write_made(plot, shown.png if plot.suffix == ".png" else shown.svg)
    if json:
        print_json(_document(found, plot))
    else:
        _print(found, per_class)
    for warning in found.warnings:
        note(f"warning: {warning}")
    if plot is not None:
        note(f"plot: {plot}")


def _whole(text: str) -> int:
    from newtest.errors import UsageError

    if not text.strip().isdecimal() or len(text.strip()) > 6:
        raise UsageError(f"`candidates` are whole numbers such as 50,100,200, got {text!r}")
    return int(text)


def _print(found: Forecast, per_class: int) -> None:
    print_table(
        COLUMNS,
        [_row(outlook) for outlook in found.outlooks],
        title=f"{found.classes:,} classes, {per_class} of the candidates drawn per class, {found.originals} originals",
    )
    note(
        "error, bias: points of true selection frequency, original less drawn; gaps: points of accuracy that would "
        "be measured where there is none"
    )
    for _, reason in found.refused:
        note(f"not offered: {reason}")
    if found.within is not None:
        from newtest.planner.plot import told

        if found.best is None:
            note(f"no design of the grid is within {found.within:g} points: add candidates, votes or classes")
        else:
            typer.echo(f"cheapest within {found.within:g} of the original: {told(found.best)}")


def _row(o: Outlook) -> tuple[Any, ...]:
    return (
        o.design.candidates,
        o.design.text,
        f"{o.error:.2f} ± {o.error_noise:.2f}",
        f"{o.bias:+.2f}",
        f"{o.low:+.2f} to {o.high:+.2f}",
        f"{o.gap_low:+.1f} to {o.gap_high:+.1f}",
        f"{100 * o.filled:.0f} %",
        f"{o.votes:,}",
        f"{o.hours:,.1f}",
        f"${o.dollars:,}",
    )


def _document(found: Forecast, plot: Path | None) -> dict[str, Any]:
    return {
        "classes": found.classes,
        "originals": found.originals,
        "designs": [_plain(o) for o in found.outlooks],
        "not_offered": [{**_plain(o), "reason": reason} for o, reason in found.refused],
        "within": found.within,
        "cheapest": None if found.best is None else _plain(found.best),
        "warnings": list(found.warnings),
        "plot": None if plot is None else str(plot),
    }


def _plain(o: Outlook) -> dict[str, Any]:
    numbers = {name: value for name, value in o.__dict__.items() if name != "design"}
    return {"candidates": o.design.candidates, "votes_per_image": o.design.text, **numbers}
