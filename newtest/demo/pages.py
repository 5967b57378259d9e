"""The demo's report: what the library's report page is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from newtest.draws import generator
from newtest.evaluation.report.build import (
    BuiltSet,
    Frequencies,
    Gallery,
    GalleryImage,
    ReportInputs,
    build_report,
)
from newtest.evaluation.report.study import built_set, study_facts
from newtest.files import bytes_of
from newtest.study import Study
from newtest.votes import frequencies

__all__ = ["BY_HAND", "write_report"]

SHOWN = 24  # images of each gallery

BY_HAND = (
    "newtest collect --study study --classes classes.toml --source folder:pool",
    "newtest reference add digits --study study --images original",
    "newtest fetch --study study",
    "newtest votes simulate --study study --difficulty difficulty.csv",
    "newtest dedup --study study --radius 2 --auto-radius 2",
    "newtest sample --study study --strategy matched-frequency --per-class 20 --fill-upward --name matched-frequency",
    "newtest release matched-frequency --study study --out releases/matched-frequency",
    "newtest report html results.csv --original original --out .",
)
"""The same by hand, typed in the demo's folder."""


def write_report(study: Study, sets: Mapping[str, Path], results: pd.DataFrame, out: Path) -> Path:
    """Write ``out/report.html`` and what belongs to it; ``sets`` maps names to folders, the original's first."""
    results.to_csv(out / "results.csv", index=False)
    votes = frequencies(study).set_index(["image_id", "wnid"])
    members = {name: _members(folder, votes) for name, folder in sets.items()}
    inputs = ReportInputs(
        title="A test set of handwritten digits, replicated",
        subtitle="scikit-learn's digits: an original test set, and four new ones drawn from a pool of other scans",
        facts=study_facts(study),
        built=_built(study, members),
        warnings=(
            "The votes are SIMULATED: ten annotators per image, who err more on ambiguous scans. Everything else is "
            "real: the scans, the near-duplicate search, the draws, the classifiers and their accuracies.",
        ),
        galleries=tuple(_gallery(name, rows, sets[name]) for name, rows in members.items()),
        frequencies=tuple(
            Frequencies(name, rows["num_selected"].to_numpy(), rows["num_shown"].to_numpy())
            for name, rows in members.items()
        ),
        results=results,
        commands=BY_HAND,
    )
    return build_report(inputs, out).html


def _members(folder: Path, votes: pd.DataFrame) -> pd.DataFrame:
    """image_id, wnid, file, num_selected, num_shown of a release, or of the original's class folders."""
    manifest = folder / "manifest.parquet"
    if manifest.exists():
        return pd.read_parquet(manifest)[["image_id", "wnid", "file", "num_selected", "num_shown"]]
    files = sorted(folder.glob("*/*.png"))
    rows = pd.DataFrame(
        {
            "image_id": [file.name for file in files],
            "wnid": [file.parent.name for file in files],
            "file": [str(file.relative_to(folder)) for file in files],
        }
    )
    return rows.join(votes[["num_selected", "num_shown"]], on=["image_id", "wnid"])


def _gallery(name: str, rows: pd.DataFrame, folder: Path) -> Gallery:
    """A random sample of a set, not its best pictures."""
    some = rows.iloc[
        generator(0, "demo", "gallery", name).choice(len(rows), min(SHOWN, len(rows)), replace=False)
    ]
    columns = zip(
        some["file"], some["wnid"], some["num_selected"], some["num_shown"], some["image_id"], strict=True
    )
    images = tuple(
        GalleryImage(bytes_of(folder / file), wnid, int(selected), int(shown), image_id)
        for file, wnid, selected, shown, image_id in columns
    )
    return Gallery(name, images, note=f"{len(some)} of {len(rows)} images, drawn at random")


def _built(study: Study, members: Mapping[str, pd.DataFrame]) -> tuple[BuiltSet, ...]:
    original, *drawn = members
    found = [BuiltSet(original, "scans kept apart before the pool was made", len(members[original]))]
    return (*found, *(one for name in drawn if (one := built_set(study, name)) is not None))
