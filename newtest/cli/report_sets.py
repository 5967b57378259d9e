"""newtest report gap, shift"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, own_file, print_json, print_table
from newtest.cli.report_options import Among, Cluster, Exclude, Groups, Metric, Sets, Tables, Unit, load, save

__all__ = ["gap", "shift"]


def gap(
    tables: Tables,
    original: Annotated[str, typer.Option(metavar="SET", help="The original set.", show_default=False)],
    new: Annotated[str, typer.Option(metavar="SET", help="The new set.", show_default=False)],
    pool: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Vote counts of the pool the new set was drawn from (num_selected, num_shown).",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Accuracy by frequency, as .svg or .png.", callback=own_file),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    exclude: Exclude = None,
    cluster: Cluster = None,
    metric: Metric = "top1",
    groups: Groups = None,
    unit: Unit = "auto",
    sets: Sets = None,
    among: Among = "auto",
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Take the gap apart: what is observed, what is bounded, and what is left.

    With votes or several labels per image in both sets it is also split into frequency, share of multi-label images,
    and rest.

    Example: newtest report gap results --original val --new matched-0 --exclude '*-broken'
    """
    from newtest.evaluation.analysis.frequency_gap import (
        adjusted,
        by_frequency,
        has_votes,
        read_pool,
        study_pool,
    )
    from newtest.evaluation.analysis.gap import decompose, model_gaps
    from newtest.evaluation.analysis.measured import (
        by_metric,
        clustered_gap,
        has_parts,
        kept_per_image,
        numbers_of_labels,
        split_gap,
    )
    from newtest.evaluation.analysis.outliers import far_below
    from newtest.evaluation.analysis.tables import plain_rows
    from newtest.evaluation.report.figures import draw_by_frequency

    loaded = load(tables, groups, unit, metric, sets=sets, among=among, exclude=exclude)
    table = loaded.results.table
    if cluster is None:
        whole, gaps = decompose(table, original, new).to_json(), model_gaps(table, original, new)
    else:
        one, two = (by_metric(loaded.set(name), metric) for name in (original, new))
        whole, gaps = clustered_gap(table, one, two, cluster)
    rows = plain_rows(gaps)
    for caution in far_below(table, original, new):
        note(f"warning: {caution}")
    found: dict[str, Any] = {**whole, "by_model": rows, "by_frequency": None, "adjusted": None, "parts": None}
    stored = [
        by_metric(loaded.stored[name], metric)
        for name in (original, new)
        if name in loaded.stored and kept_per_image(metric)
    ]
    counts = read_pool(pool) if pool else study_pool(study)
    if len(stored) == 2 and has_parts(*stored):
        found["parts"] = split_gap(*stored, cluster=cluster, pool=counts, seed=seed).to_json()
    elif len(stored) == 2 and any(numbers_of_labels(one) is not None or has_votes(one) for one in stored):
        note("no parts of the gap: both sets need votes, or several labels per image (evaluate --labels)")
    if len(stored) == 2 and all(has_votes(one) for one in stored):
        curves = [by_frequency(one) for one in stored]
        found["by_frequency"] = [curve.to_json() for curve in curves]
        found["adjusted"] = adjusted(*stored, pool=counts, seed=seed, cluster=cluster)
        if figure is not None:
            save(draw_by_frequency(curves), figure)
    elif figure is not None or pool is not None:
        note("no accuracy by frequency: both sets must be results of evaluate whose manifests have votes")
    if json:
        print_json(found)
        return
    print_table(
        ["", "points"],
        _gap_rows(found),
        title=f"{new} against {original}, mean over {whole['models']} models",
    )
    if found["parts"]:
        print_table(
            ["part of the gap", "points", "95 %"], _part_rows(found["parts"]), title=_shares(found["parts"])
        )
    said = [*(found["adjusted"] or {}).get("warnings", ()), *(found["parts"] or {}).get("warnings", ())]
    for warning in dict.fromkeys(said):
        note(f"warning: {warning}")


def _gap_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    def points(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    rest = found["adaptivity_and_distribution"]
    tau = found["rank_tau"]
    rows = [
        ("observed gap (the sum)", points(found["mean"])),
        ("smallest and largest of a model", f"{points(found['smallest'])} to {points(found['largest'])}"),
        (
            "generalization gap: bounded by the new set's interval",
            f"at most ± {points(found['generalization_bound'])}",
        ),
        (
            "adaptivity and distribution gap: the rest",
            f"{points(rest[0])} to {points(rest[1])}" if rest else "-",
        ),
        ("rank changes, which adaptivity would make", f"{found['rank_changes']} models, tau {points(tau)}"),
    ]
    if found["adjusted"]:
        left = found["adjusted"]
        rows.append(
            (
                "at equal true selection frequencies",
                f"{left['adjusted']:.2f} ± {left['adjusted_error']:.2f} (s.e.)",
            )
        )
    return rows


def _part_rows(parts: dict[str, Any]) -> list[tuple[str, str, str]]:
    names = {
        "observed": "observed",
        "frequency": "selection frequency",
        "several": "share of multi-label images",
        "rest": "rest",
    }
    return [
        (said, f"{part['points']:.2f}", f"[{part['lo']:.2f}, {part['hi']:.2f}]")
        for name, said in names.items()
        if (part := parts[name]) is not None
    ]


def _shares(parts: dict[str, Any]) -> str:
    if parts["share_original"] is None or parts["share_new"] is None:
        return "The gap in parts"
    return (
        f"The gap in parts; multi-label images: {parts['share_original']:.1f} % of the original, "
        f"{parts['share_new']:.1f} % of the new set"
    )


def shift(
    embeddings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="Embeddings: .npy (N, D), or .npz (embeddings, labels).",
            show_default=False,
        ),
    ] = None,
    overlap_: Annotated[
        Path | None,
        typer.Option(
            "--overlap",
            metavar="FILE|STUDY",
            help="Test images that are in the training set: ids, one per line; the pairs of decontaminate-pool; "
            "or a study, after dedup.",
        ),
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE",
            help="The study's training set, with --overlap STUDY.",
            show_default="its only other reference",
        ),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Results of evaluate, with --overlap and --set.")
    ] = None,
    set_: Annotated[
        str | None, typer.Option("--set", metavar="SET", help="The set that --overlap is about.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of folds and bootstrap.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Test whether a classifier can tell sets apart: AUC of two, "name that dataset" of many, transfer, overlap.

    The first file is the original. Example: newtest report shift val.npz matched-0.npz
    """
    from itertools import combinations

    from newtest.errors import UsageError
    from newtest.evaluation.analysis.overlapping import overlapping
    from newtest.evaluation.analysis.shift import cross_dataset, name_that_dataset, overlap, tell_apart
    from newtest.evaluation.analysis.tables import plain_rows
    from newtest.evaluation.scoring.embeddings import read_embeddings, shared_rows

    found: dict[str, Any] = {"apart": [], "named": None, "across": None, "overlap": None}
    if not embeddings and overlap_ is None:
        raise UsageError("nothing to compare: give files of embeddings, or --overlap")
    sets = [read_embeddings(path) for path in embeddings or ()]
    if len({one.name for one in sets}) < len(sets):
        raise UsageError("two files have the same name; rename one")
    for other in sets[1:]:
        found["apart"].append(
            {"set": other.name, **tell_apart(sets[0].vectors, other.vectors, seed=seed).to_json()}
        )
        if shared := found["apart"][-1]["shared"]:
            note(
                f"warning: {shared} images of {other.name} are also in {sets[0].name} (equal embeddings), "
                "which pulls the AUC below 0.5"
            )
    if len(sets) > 2:
        found["named"] = name_that_dataset({one.name: one.vectors for one in sets}, seed=seed).to_json()
    labelled = {one.name: (one.vectors, one.labels) for one in sets if one.labels is not None}
    if len(sets) > 1 and len(labelled) == len(sets):
        found["across"] = plain_rows(cross_dataset(labelled, seed=seed).reset_index())
        for one, other in combinations(sets[1:], 2):
            if shared := shared_rows(one.vectors, other.vectors):
                note(
                    f"warning: {shared} images of {other.name} are also in {one.name} (equal embeddings): "
                    "trained on in one and tested on in the other"
                )
    if overlap_ is not None:
        if results is None or set_ is None:
            raise UsageError("--overlap needs --results and --set")
        stored = load([results], None, "auto").set(set_)
        shared = overlapping(stored, overlap_, training)
        if shared.unknown:
            note(f"{shared.unknown} names of {overlap_} are not images of {set_}")
        if shared.waiting:
            note(f"{shared.waiting} images of {set_} count as clean that nobody has judged: newtest review")
        found["overlap"] = plain_rows(overlap(stored.correct, shared.mask))
    if json:
        print_json(found)
        return
    _print_shift(found, sets[0].name if sets else "")


def _print_shift(found: dict[str, Any], original: str) -> None:
    if found["apart"]:
        rows = [
            (r["set"], r["original"], r["new"], f"{r['auc']:.3f}", f"[{r['lo']:.3f}, {r['hi']:.3f}]")
            for r in found["apart"]
        ]
        print_table(
            ["set", f"images of {original}", "images", "AUC", "95 %"], rows, title="0.5: cannot be told apart"
        )
    if found["named"]:
        named = found["named"]
        typer.echo(
            f"name that dataset: {100 * named['accuracy']:.2f} % [{100 * named['lo']:.2f}, {100 * named['hi']:.2f}]; "
            f"chance {100 * named['chance']:.2f} %"
        )
    for key, title in (
        ("across", "Accuracy across datasets, %; drop: percent lost on the others"),
        ("overlap", "Overlap"),
    ):
        if found[key]:
            columns = list(found[key][0])
            cells = [
                [f"{v:.2f}" if isinstance(v, float) and c != "p" else v for c, v in row.items()]
                for row in found[key]
            ]
            print_table(columns, cells, title=title)
