"""newtest demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, note, own_folder, print_json

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything goes.", callback=own_folder)
    ] = Path("newtest-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the deal, the votes and the draw.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Replicate a test set of handwritten digits from end to end, in about a minute; open report.html at its end.

    Real scans (scikit-learn's digits), sixteen real classifiers, simulated annotators. No network, no torch.

    Example: newtest demo --out newtest-demo
    """
    from newtest.demo.recipe import load_recipe
    from newtest.outputs import claim_folder

    claim_folder(out)

    recipe = load_recipe("digits_demo")
    report = recipe.main(out, seed=seed, say=note)
    if json:
        print_json({"report": str(report), "study": str(out / "study"), "releases": str(out / "releases")})
        return
    from newtest.demo.pages import BY_HAND

    note(f"\nThe same by hand, in {out}:")
    for command in BY_HAND:
        note(f"  {command}")
    note(f"\nstudy     {out / 'study'}   (newtest status --study {out / 'study'})")
    note(f"releases  {out / 'releases'}   (each with its manifest, card and SHA256SUMS)")
    note("report    (open it in a browser)")
    print(report)
