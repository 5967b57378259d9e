"""newtest report compare, similarity"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.options import JsonFlag, own_file, print_json, print_table
from newtest.cli.report_options import Among, Cluster, Tables, load, save

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare", "similarity"]


def compare(
    tables: Tables,
    set_: Annotated[
        str, typer.Option("--set", metavar="SET", help="The set they are compared on.", show_default=False)
    ],
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Only these models; may be repeated.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="SET", help="Print rank correlations with this set too.")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Pairs to print (--json has all).")] = 20,
    resamples: Annotated[int, typer.Option(min=20, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    among: Among = "auto",
    cluster: Cluster = None,
    json: JsonFlag = False,
) -> None:
    """Compare models on the same images: exact McNemar with Holm over all pairs, paired bootstrap, power.

    Example: newtest report compare results --set matched-0 --against val
    """
    from dataclasses import asdict

    from newtest.errors import EvaluationError
    from newtest.evaluation.analysis.compare import pairs, power, rank_correlations
    from newtest.evaluation.analysis.ranks import rank_intervals
    from newtest.evaluation.analysis.tables import plain_rows
    from newtest.evaluation.scoring.results import pick

    loaded = load(tables, None, "auto", among=among)
    correct = loaded.set(set_).correct
    if model:
        unknown = sorted(set(model) - set(correct.index))
        if unknown:
            raise EvaluationError(f"no results of {unknown[0]!r} on {set_}")
        correct = correct.loc[list(dict.fromkeys(model))]
    rows = pairs(correct, resamples=resamples, seed=seed)
    if cluster is not None:
        from newtest.evaluation.analysis.clusters import differences
        from newtest.evaluation.analysis.tables import image_column

        rows = differences(correct, image_column(loaded.set(set_), cluster), rows)
    places = rank_intervals(correct, rows)
    found: dict[str, Any] = {"set": set_, "power": asdict(power(rows, correct.shape[1])), "ranks": None}
    if against is not None:
        one, two = (
            pick(loaded.results.table, name).set_index("model")["accuracy"] for name in (against, set_)
        )
        common = [name for name in correct.index if name in one.index]
        found["ranks"] = {
            "against": against,
            "models": len(common),
            **rank_correlations(one[common], two[common]),
        }
    if json:
        print_json({**found, "rank_intervals": plain_rows(places), "pairs": plain_rows(rows)})
        return
    _print_pairs(rows, found, top)
    print_table(
        ["model", "accuracy", "rank", "95 %"],
        [
            (r.model, f"{r.accuracy:.2f}", r.rank, f"{r.rank_lo} to {r.rank_hi}")
            for r in places.head(top).itertuples()
        ],
        title=f"Ranks of the {min(top, len(places))} best of {len(places)} models on {set_}",
    )


def _print_pairs(rows: pd.DataFrame, found: dict[str, Any], top: int) -> None:
    print_table(
        ["better", "worse", "points", "95 %", "only better", "only worse", "p", "p, Holm"],
        [
            (r.better, r.worse, f"{r.difference:+.2f}", f"[{r.lo:+.2f}, {r.hi:+.2f}]", r.only_better, r.only_worse,
             f"{r.p:.2g}", f"{r.p_holm:.2g}")
            for r in rows.tail(top)[::-1].itertuples()
        ],
        title=f"The {min(top, len(rows))} least sure of {len(rows)} pairs on {found['set']}",
    )  # fmt: skip
    strength = found["power"]
    typer.echo(
        f"{strength['told_apart']} of {strength['pairs']} pairs are told apart (Holm, 5 %) "
        f"by {strength['images']} images"
    )
    for share, size in strength["images_for"].items():
        wanted = "no number of images would do" if size is None else f"{size} images"
        typer.echo(f"for {float(share):.0%} of the pairs, one by one with power 80 %: {wanted}")
    if found["ranks"]:
        spearman, kendall = (
            "-" if found["ranks"][name] is None else f"{found['ranks'][name]:.4f}"
            for name in ("spearman", "kendall")
        )
        typer.echo(f"ranks against {found['ranks']['against']}: Spearman {spearman}, Kendall {kendall}")


def similarity(
    tables: Tables,
    set_: Annotated[str, typer.Option("--set", metavar="SET", help="The set.", show_default=False)],
    margin: Annotated[
        float, typer.Option(min=0.01, help="Points by which a worse model must not look better.")
    ] = 1.0,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Leave out these models (shell patterns); may be repeated."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The heat map, as .svg or .png.", callback=own_file)
    ] = None,
    matrix: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The matrix, as CSV.", callback=own_file)
    ] = None,
    among: Among = "auto",
    json: JsonFlag = False,
) -> None:
    """Measure how alike the models' mistakes are, against independence, and how many models the set can rank.

    Example: newtest report similarity results --set matched-0 --figure similarity.svg
    """
    from newtest.evaluation.analysis.similarity import agreement, without
    from newtest.evaluation.analysis.similarity import similarity as measure
    from newtest.evaluation.report.figures import draw_matrix
    from newtest.outputs import write_made

    correct = load(tables, None, "auto", among=among).set(set_).correct
    correct = without(correct, exclude or ())
    found = measure(correct, margin=margin)
    observed, independent = agreement(correct)
    if matrix is not None:
        write_made(matrix, observed.to_csv(float_format="%.6f", lineterminator="\n"))
    if figure is not None:
        order = correct.mean(axis=1).sort_values(ascending=False, kind="stable").index
        values = observed.loc[order, order].to_numpy()
        save(draw_matrix(values, [str(name) for name in order], f"agreement on {set_}", "similarity"), figure)
    if json:
        matrices = {
            "matrix": observed.to_numpy().tolist(),
            "independent_matrix": independent.to_numpy().tolist(),
        }
        print_json({"set": set_, **found.to_json(), "names": list(observed.index), **matrices})
        return
    print_table(
        ["", "observed", "if independent"],
        [
            ("mean agreement of two models", f"{found.agreement:.4f}", f"{found.independent:.4f}"),
            (
                f"models rankable at {margin:g} points",
                f"{found.rankable:.3g}",
                f"{found.rankable_independent:.3g}",
            ),
        ],
        title=f"{found.models} models on the {found.images} images of {set_}",
    )
