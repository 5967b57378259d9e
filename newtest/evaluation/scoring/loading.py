"""Results from wherever they are: tables, and folders that ``newtest evaluate`` wrote."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.results import (
    Results,
    Unit,
    as_results,
    first_of_each,
    read_results,
    with_groups,
)
from newtest.evaluation.scoring.store import StoredSet, aligned, is_results, read_store

__all__ = ["LoadConfig", "Loaded", "load"]

TOP1 = "top1"


@dataclass(frozen=True)
class LoadConfig:
    """``groups`` is a table of model and type; ``metric`` is top1, another column, or a value of a ``metric``
    column.
    """

    groups: Path | None = None
    unit: Unit = "auto"
    metric: str = TOP1
    sets: tuple[str, ...] = ()
    """Only these sets; of wide tables, the columns that are sets."""
    among: str = "auto"
    """Of models with more classes than a set: compared among the "set"'s, or "all"; "auto" is the set's if both are
    kept.
    """


@dataclass(frozen=True)
class Loaded:
    """Results, and for sets that were evaluated here their images and correctness."""

    results: Results
    stored: dict[str, StoredSet] = field(default_factory=dict)

    def set(self, name: str) -> StoredSet:
        """A set whose correctness is known; raises EvaluationError that lists those that are."""
        if name not in self.stored:
            known = ", ".join(sorted(self.stored)) or "none"
            raise EvaluationError(
                f"the correctness of each image on {name!r} is not known; it is for: {known} "
                "(newtest evaluate keeps it)"
            )
        return self.stored[name]

    def without(self, models: Collection[str]) -> Loaded:
        """The same without some models, and without cautions on them."""
        table = self.results.table
        kept = {
            name: replace(
                one,
                results=one.results[~one.results["model"].isin(models)].reset_index(drop=True),
                correct=one.correct.loc[~one.correct.index.isin(models)],
                given=None if one.given is None else one.given.loc[~one.given.index.isin(models)],
            )
            for name, one in self.stored.items()
        }
        cautions = tuple(one for one in self.results.cautions if one.model not in models)
        rest = table[~table["model"].isin(models)].reset_index(drop=True)
        return Loaded(replace(self.results, table=rest, cautions=cautions), kept)


def load(paths: Sequence[Path], options: LoadConfig | None = None) -> Loaded:
    """Read tables and results folders into one. Raises EvaluationError for what is neither."""
    options = options or LoadConfig()
    stored: dict[str, StoredSet] = {}
    parts: list[Results] = []
    for path in sorted(paths):
        if not path.is_dir():
            continue
        if not is_results(path):
            raise EvaluationError(f"{path}: neither a table nor results of newtest evaluate")
        for one in read_store(path, options.among):
            if options.sets and one.name not in options.sets:
                continue
            if one.name in stored and stored[one.name].hash != one.hash:
                raise EvaluationError(
                    f"{path}: another set of the name {one.name!r} was read before; name one of them anew"
                )
            stored[one.name] = _joined(stored[one.name], one) if one.name in stored else one
            frame = with_groups(one.results, options.groups) if options.groups else one.results
            parts.append(
                as_results(_metric(frame, options.metric), source=f"{path}/{one.name}", unit="percent")
            )
    files = [path for path in paths if not path.is_dir()]
    if files:
        parts.append(
            read_results(
                files, groups=options.groups, unit=options.unit, metric=options.metric, sets=options.sets
            )
        )
    if not parts and options.sets:
        raise EvaluationError(f"none of these results is on {', '.join(options.sets)}")
    if not parts:
        raise EvaluationError("no results were named; give a table, or a folder that newtest evaluate wrote")
    table, repeated = first_of_each(
        pd.concat([part.table for part in parts], ignore_index=True), ", ".join(str(path) for path in paths)
    )
    mixed = [caution for one in stored.values() if (caution := _mixed(one)) is not None]
    cautions = (
        *(caution for part in parts for caution in part.cautions),
        *mixed,
        *repeated,
        *_doubtful(stored),
    )
    return Loaded(Results(table, cautions, tuple(model for part in parts for model in part.left_out)), stored)


def _doubtful(stored: dict[str, StoredSet]) -> list[Caution]:
    """Models whose numbers ``evaluate`` warned of: they count in every mean all the same."""
    said = "evaluate warned of this number, which counts here"
    return [
        Caution("warned", name, f"{said}: {warning}", model)
        for name, one in stored.items()
        for model, warning in zip(one.results["model"].tolist(), one.results["warning"].tolist(), strict=True)
        if warning
    ]


def _mixed(stored: StoredSet) -> Caution | None:
    """Models of one set that were compared among different classes are not comparable."""
    rows = stored.results
    inside = rows["among"] == "set"
    # "among all 1000 classes" of a model whose classes are the set's is the same measure.
    beyond = rows["class_rule"].str.contains("among all") & ~rows["class_rule"].str.contains(
        f"among all {stored.images['class'].nunique()} classes"
    )
    if not (inside.any() and (beyond & ~inside).any()):
        return None
    first, other = rows.loc[inside, "model"].iloc[0], rows.loc[beyond & ~inside, "model"].iloc[0]
    return Caution(
        "mixed-measures",
        stored.name,
        f"{int(inside.sum())} models are compared among the set's classes (first {first!r}), "
        f"{int((beyond & ~inside).sum())} among all of their own (first {other!r}); choose one with `among`",
    )


def _joined(first: StoredSet, other: StoredSet) -> StoredSet:
    """The models of both for one set; a model that both have is the first's."""
    more = ~other.results["model"].isin(first.results["model"])
    results = pd.concat([first.results, other.results[more]], ignore_index=True)
    correct = pd.concat([first.correct, aligned(other, first.images)[more.to_numpy()]])
    given = (
        None
        if first.given is None or other.given is None
        else pd.concat([first.given, aligned(other, first.images, "given")[more.to_numpy()]])
    )
    return replace(first, results=results, correct=correct, given=given)


def _metric(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows with another metric in the place of top-1."""
    if metric in (TOP1, "any_of"):
        return frame
    if metric == "top5":
        return frame.assign(k=frame["top5_k"])
    if metric == "given":  # of a set with one label per image it is that label
        return frame.assign(k=frame["given_k"].fillna(frame["k"]))
    if metric == "single_label":
        return frame.assign(k=frame["single_k"].fillna(frame["k"]), n=frame["single_n"].fillna(frame["n"]))
    if metric not in frame.columns:
        raise EvaluationError(
            f"no metric {metric!r} in these results; there are top1, any_of, given, single_label, top5, "
            "mean_per_class and map11"
        )
    return frame.drop(columns=["k", "n"]).assign(accuracy=frame[metric])
