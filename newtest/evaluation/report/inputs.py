"""A report's inputs from results and, where there is one, the study that the sets came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from newtest.evaluation.analysis.frequency_gap import adjusted, by_frequency, has_votes, study_pool
from newtest.evaluation.analysis.scales import Scale
from newtest.evaluation.report.build import BuiltSet, Frequencies, Gallery, HowRead, ReportInputs
from newtest.evaluation.report.study import built_set, galleries, study_facts, study_warnings
from newtest.evaluation.scoring.loading import Loaded
from newtest.evaluation.scoring.store import StoredSet
from newtest.evaluation.scoring.vote_columns import votes_of
from newtest.study import Study

__all__ = ["ReportChoice", "gather"]


@dataclass(frozen=True)
class ReportChoice:
    """``per_bin`` images of each frequency bin are in a set's gallery, drawn with a fixed seed."""

    title: str
    original: str
    scale: Scale = "logit"
    group: str | None = None
    per_bin: int = 12
    study: Path = Path()


@dataclass(frozen=True)
class _Study:
    """What the study knows; nothing where there is none."""

    facts: tuple[tuple[str, int], ...] = ()
    built: tuple[BuiltSet, ...] = ()
    warnings: tuple[str, ...] = ()
    galleries: tuple[Gallery, ...] = ()


def gather(loaded: Loaded, choice: ReportChoice) -> ReportInputs:
    """Facts, galleries and warnings from the study (if ``choice.study`` is one), frequencies from the sets' images."""
    sets = list(dict.fromkeys([choice.original, *loaded.results.table["set"]]))
    about = _Study()
    if (choice.study / "study.sqlite").exists():
        with Study(choice.study) as study:
            about = _Study(
                study_facts(study),
                tuple(one for name in sets if (one := built_set(study, name)) is not None),
                tuple(warning for name in sets for warning in study_warnings(study, name)),
                galleries(study, sets, choice.per_bin),
            )
    pool = study_pool(choice.study)
    stored = [
        loaded.stored[name] for name in sets if name in loaded.stored and has_votes(loaded.stored[name])
    ]
    votes = stored if stored and stored[0].name == choice.original else []
    images = {name: loaded.stored[name].images for name in sets if name in loaded.stored}
    return ReportInputs(
        title=choice.title,
        facts=(("models scored", int(loaded.results.table["model"].nunique())), *about.facts),
        built=_all_built(sets, about.built, images),
        warnings=about.warnings,
        galleries=about.galleries,
        frequencies=tuple(_frequencies(images)),
        results=loaded.results,
        original=choice.original,
        group=choice.group,
        scale=choice.scale,
        correct={name: one.correct for name, one in loaded.stored.items()},
        by_frequency=tuple(by_frequency(one) for one in votes),
        adjusted={new.name: adjusted(votes[0], new, pool=pool) for new in votes[1:]},
        read=_how_read([loaded.stored[name] for name in sets if name in loaded.stored]),
    )


def _how_read(stored: Sequence[StoredSet]) -> tuple[HowRead, ...]:
    """Models that were read alike, together; results of older versions say nothing and are left out."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in stored:
        for row in one.results[one.results["key"] != ""].astype(str).to_dict("records"):
            own = "its own column" if row["columns"] == row["model"] else row["columns"] or "the model's run"
            how = (one.name, own, *(row[part] for part in ("key", "kind", "class_rule", "preprocessing")))
            alike.setdefault(how, []).append(row["model"])
    return tuple(HowRead(how[0], tuple(models), *how[1:]) for how, models in alike.items())


def _all_built(
    sets: Sequence[str], built: Sequence[BuiltSet], images: Mapping[str, pd.DataFrame]
) -> tuple[BuiltSet, ...]:
    """Sets that the study does not know are named by their number of images, where it is known."""
    known = {one.set: one for one in built}
    return tuple(
        known.get(name) or BuiltSet(name, "not of this study" if built else "", len(images[name]))
        for name in sets
        if name in known or name in images
    )


def _frequencies(images: Mapping[str, pd.DataFrame]) -> list[Frequencies]:
    found = []
    for name, frame in images.items():
        if {"num_selected", "num_shown"} <= set(frame.columns):
            selected, shown = votes_of(frame, name)
            if shown.any():
                found.append(Frequencies(name, selected, shown))
    return found
