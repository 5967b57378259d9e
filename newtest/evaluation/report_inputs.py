"""A report's inputs from results and, where there is one, the study that the sets came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from newtest.catalog.evaluation import members, revision_facts
from newtest.catalog.status import stages
from newtest.draws import generator
from newtest.errors import EvaluationError
from newtest.evaluation.frequency_gap import adjusted, by_frequency, has_votes, study_pool
from newtest.evaluation.loading import Loaded
from newtest.evaluation.report import Frequencies, Gallery, GalleryImage, ReportInputs
from newtest.evaluation.scales import Scale
from newtest.evaluation.tables import frequency_bins
from newtest.study import Study

__all__ = ["ReportChoice", "gather"]

_MOST_BYTES = 30_000_000


@dataclass(frozen=True)
class ReportChoice:
    """``per_bin`` images of each frequency bin are in a set's gallery, drawn with a fixed seed."""

    title: str
    original: str
    scale: Scale = "logit"
    group: str | None = None
    per_bin: int = 12
    study: Path = Path()


def gather(loaded: Loaded, choice: ReportChoice) -> ReportInputs:
    """Facts, galleries and warnings from the study (if ``choice.study`` is one), frequencies from the sets' images."""
    sets = list(dict.fromkeys([choice.original, *loaded.results.table["set"]]))
    facts: list[tuple[str, str | int | float]] = [
        ("models", int(loaded.results.table["model"].nunique())),
        ("sets", len(sets)),
    ]
    warnings: list[str] = []
    galleries: list[Gallery] = []
    pool = study_pool(choice.study)
    if (choice.study / "study.sqlite").exists():
        with Study(choice.study) as study:
            _from_study(study, sets, choice, facts, warnings, galleries)
    stored = [
        loaded.stored[name] for name in sets if name in loaded.stored and has_votes(loaded.stored[name])
    ]
    votes = stored if stored and stored[0].name == choice.original else []
    images = {name: loaded.stored[name].images for name in sets if name in loaded.stored}
    return ReportInputs(
        title=choice.title,
        facts=tuple(facts),
        warnings=tuple(warnings),
        galleries=tuple(galleries),
        frequencies=tuple(_frequencies(images)),
        results=loaded.results,
        original=choice.original,
        group=choice.group,
        scale=choice.scale,
        correct={name: one.correct for name, one in loaded.stored.items()},
        by_frequency=tuple(by_frequency(one) for one in votes),
        adjusted={new.name: adjusted(votes[0], new, pool=pool) for new in votes[1:]},
    )


def _frequencies(images: Mapping[str, pd.DataFrame]) -> list[Frequencies]:
    found = []
    for name, frame in images.items():
        if {"num_selected", "num_shown"} <= set(frame.columns):
            counts = (
                frame[["num_selected", "num_shown"]].apply(pd.to_numeric).fillna(0).to_numpy(dtype=np.int64)
            )
            if counts[:, 1].any():
                found.append(Frequencies(name, counts[:, 0], counts[:, 1]))
    return found


def _from_study(
    study: Study,
    sets: list[str],
    choice: ReportChoice,
    facts: list[tuple[str, str | int | float]],
    warnings: list[str],
    galleries: list[Gallery],
) -> None:
    facts += [(stage.stage, stage.done) for stage in stages(study.catalog) if stage.done]
    names = dict(study.catalog.execute("SELECT wnid, lemmas FROM classes").fetchall())
    for name in sets:
        try:
            frame = members(study.catalog, name)
        except EvaluationError:
            continue  # results on a set that is not of this study
        known = revision_facts(study.catalog, name)
        if known:
            config = json.loads(str(known["config"]))
            facts.append(
                (
                    name,
                    f"{config.get('strategy', 'revision')}, {known['members']} images, seed {config.get('seed', '–')}",
                )
            )
            if known["simulated"]:
                warnings.append(f"{name} was drawn from SIMULATED votes: no person looked at its images.")
            if known["incomplete"]:
                warnings.append(f"{name} is incomplete: some classes could not be filled.")
        gallery = _gallery(
            study,
            name,
            frame,
            {wnid: json.loads(lemmas)[0] for wnid, lemmas in names.items()},
            choice.per_bin,
        )
        if gallery is not None:
            galleries.append(gallery)


def _gallery(
    study: Study, name: str, frame: pd.DataFrame, names: Mapping[str, str], per_bin: int
) -> Gallery | None:
    frame = frame[frame["sha256"].notna()]
    images = []
    for _, rows in frame.groupby(frequency_bins(frame, name).fillna("not asked"), sort=True):
        drawn = generator(0, "gallery", name).permutation(len(rows))[:per_bin]
        for row in rows.iloc[sorted(drawn)].to_dict("records"):
            path = study.image_path(str(row["sha256"]))
            if not path.exists() or path.stat().st_size > _MOST_BYTES:
                continue
            asked = not pd.isna(row["num_shown"])
            selected, shown = (int(row["num_selected"]), int(row["num_shown"])) if asked else (None, None)
            label = names.get(str(row["wnid"]), str(row["wnid"]))
            images.append(GalleryImage(path.read_bytes(), label, selected, shown, str(row["image_id"])))
    note = f"Up to {per_bin} images of each frequency bin, drawn at random from {len(frame)}."
    return Gallery(name, tuple(images), note) if images else None
