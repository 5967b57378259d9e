"""What a report says of the study that its sets come from: how much went in, how each set was made, its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from newtest.catalog.evaluation import amounts, class_words, left_out, members, revision_facts
from newtest.draws import generator
from newtest.errors import EvaluationError, SamplingError
from newtest.evaluation.analysis.tables import frequency_bins
from newtest.evaluation.report.build import BuiltSet, Gallery, GalleryImage
from newtest.files import bytes_of
from newtest.reading.jsons import parse_json
from newtest.sampling.diagnosis import stored_diagnostics
from newtest.study import Study

__all__ = ["built_set", "galleries", "study_facts", "study_warnings"]

_MOST_BYTES = 30_000_000
_LABELS = {
    "classes": "classes",
    "candidates": "candidates (pairs of image and class)",
    "images": "candidate images with their bytes",
    "originals": "images of original test sets",
    "votes": "votes (an image shown to a person)",
    "compared": "images compared for near-duplicates",
    "duplicate_pairs": "pairs judged near-duplicates",
}


def study_facts(study: Study) -> tuple[tuple[str, int], ...]:
    """Labels for a paper's reader, and numbers; what the study has none of is not mentioned."""
    found = amounts(study.catalog)
    labels = dict(_LABELS)
    if found["simulated_votes"]:
        all_of_them = found["simulated_votes"] == found["votes"]
        labels["votes"] = (
            "SIMULATED votes" if all_of_them else f"votes, {found['simulated_votes']} of them SIMULATED"
        )
    return tuple((label, found[name]) for name, label in labels.items() if found[name])


def built_set(study: Study, name: str) -> BuiltSet | None:
    """How a revision or a reference of the study came about; None for a set that is neither."""
    known = revision_facts(study.catalog, name)
    if known is None:
        try:
            return BuiltSet(name, "as it was published", len(members(study.catalog, name)))
        except EvaluationError:
            return None
    reasons = tuple((reason.replace("_", " "), number) for reason, number in left_out(study.catalog, name))
    how = _rule(parse_json(str(known["config"]))) + _mismatch(study, name)
    return BuiltSet(name, how, int(known["members"]), reasons)


def study_warnings(study: Study, name: str) -> tuple[str, ...]:
    """What a reader must know of a revision before its numbers."""
    known = revision_facts(study.catalog, name) or {}
    warnings = []
    if known.get("simulated"):
        warnings.append(f"{name} was drawn from SIMULATED votes: no person looked at its images.")
    if known.get("incomplete"):
        warnings.append(f"{name} is incomplete: some classes could not be filled.")
    return tuple(warnings)


def galleries(study: Study, names: list[str], per_bin: int) -> tuple[Gallery, ...]:
    """``per_bin`` pictures of each frequency bin of the sets that are of this study, drawn with a fixed seed."""
    words = class_words(study.catalog)
    found = []
    for name in names:
        try:
            frame = members(study.catalog, name)
        except EvaluationError:
            continue  # results on a set that is not of this study
        gallery = _gallery(study, name, frame, words, per_bin)
        if gallery is not None:
            found.append(gallery)
    return tuple(found)


def _rule(config: Mapping[str, Any]) -> str:
    """A revision's configuration in words; only what differs between sets of one strategy."""
    parts = [str(config["strategy"])]
    if config["strategy"] == "threshold":
        parts.append(f"frequency at least {config['threshold']}")
    if config["strategy"] != "all":
        parts.append(f"{config['per_class']} per class")
    if config["min_votes"]:
        parts.append(f"at least {config['min_votes']} votes per image")
    if config["fill_upward"]:
        parts.append("bins filled upward")
    if config["bias_correction"] != "none":
        parts.append(f"bias correction by {config['bias_correction']}")
    return ", ".join([*parts, f"seed\N{NO-BREAK SPACE}{config['seed']}"])


def _mismatch(study: Study, name: str) -> str:
    """How much harder than the original the set is expected to be; nothing for a set without a diagnosis."""
    try:
        found = stored_diagnostics(study, name).mismatch
    except SamplingError:
        return ""
    low, high = sorted((100 * found.low, 100 * found.high))
    return (
        f"; expected true selection frequency {100 * abs(found.value):.1f} points "
        f"{'below' if found.value > 0 else 'above'} the original's (95 % interval of original less drawn: "
        f"{low:+.1f} to {high:+.1f})"
    )


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
            images.append(GalleryImage(bytes_of(path), label, selected, shown, str(row["image_id"])))
    note = f"Up to {per_bin} images of each frequency bin, drawn at random from {len(frame)}."
    return Gallery(name, tuple(images), note) if images else None
