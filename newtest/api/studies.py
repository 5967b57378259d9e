"""The stages of a study in Python: each takes a study (open, or its folder) and gives a DataFrame or a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from newtest.progress import UNWATCHED, Progress
from newtest.study import Study

if TYPE_CHECKING:
    from newtest.duplicates import DedupReport, DedupRequest
    from newtest.fetching import FetchConfig
    from newtest.fetching.stage import FetchSummary
    from newtest.planner import Forecast, PlannerConfig
    from newtest.reference import Added
    from newtest.releasing.build import Release
    from newtest.sampling import Sample, SamplingConfig
    from newtest.votes import Simulation
    from newtest.votes.importing import ImportConfig, ImportReport
    from newtest.votes.simulate import SimulationReport

__all__ = [
    "add_reference", "collect", "dedup", "design", "fetch", "frequencies", "import_votes", "release", "sample",
    "simulate_votes", "take_down",
]  # fmt: skip

StudyLike = Study | str | Path
"""An open study, or the folder of one."""


def collect(
    study: StudyLike,
    wnids: Sequence[str],
    *,
    source: str | None = None,
    max_images: int = 200,
    classes: str | Path | None = None,
    taken: tuple[str | None, str | None] = (None, None),
    licenses: Sequence[str] = (),
    progress: Progress = UNWATCHED,
) -> pd.DataFrame:
    """Find candidates for classes, as ``newtest collect`` does without downloading; makes a missing study.

    ``wnids``: classes of WordNet 3.0, or names of the file ``classes`` (TOML or CSV of classes of your own).
    ``source``: flickr, openverse, recorded:PATH, folder:PATH or table:PATH. ``max_images`` per class. ``taken``: first
    and last day (YYYY-MM-DD). Gives one row per search: wnid, query, found, candidates, error.
    Raises ClassError, SourceError, StudyError, UsageError.
    """
    from newtest.classes import QueryConfig, classes_of, read_classes
    from newtest.collecting import CollectConfig
    from newtest.collecting import collect as run
    from newtest.records import Query
    from newtest.sources import checked_licenses, open_source

    window = replace(
        Query("", ""), taken_after=taken[0], taken_before=taken[1], licenses=checked_licenses(list(licenses))
    )
    own = read_classes(Path(classes)) if classes is not None else None
    chosen = classes_of(list(wnids), own)
    config = CollectConfig(max_images, QueryConfig(window=window))
    with opened(study, create=True) as there:
        found = run(there, open_source(source, progress.say, page_size=max_images), chosen, config, progress)
    return pd.DataFrame([asdict(entry) for entry in found])


def fetch(
    study: StudyLike, config: FetchConfig | None = None, *, progress: Progress = UNWATCHED
) -> FetchSummary:
    """Download the images of a study that have no bytes yet, as ``newtest fetch`` does. Raises StudyError, OSError."""
    from newtest.fetching import fetch_missing

    with opened(study) as there:
        return fetch_missing(there, config, progress=progress)


def add_reference(study: StudyLike, name: str, images: str | Path) -> Added:
    """Register the original test set: a folder with one folder per class, or a table (CSV, Parquet, JSON).

    Its bytes are stored with the next ``fetch``. Raises StudyError, UsageError.
    """
    from newtest.reference import add_reference as run
    from newtest.reference import members_of_folder, members_of_table

    path = Path(images)
    members = members_of_folder(path) if path.is_dir() else members_of_table(path)
    with opened(study, create=True) as there:
        return run(there, name, members, str(path.resolve()))


def import_votes(study: StudyLike, votes: str | Path, config: ImportConfig | None = None) -> ImportReport:
    """Import votes or counts from CSV, Parquet or JSON lines, as ``newtest votes import``. Raises VotesError."""
    from newtest.votes import ImportConfig
    from newtest.votes import import_votes as run

    with opened(study) as there:
        return run(there, Path(votes), config or ImportConfig())


def simulate_votes(study: StudyLike, simulation: Simulation | None = None) -> SimulationReport:
    """Put SIMULATED votes where nobody has voted: for rehearsals. What is drawn by them says so. Raises VotesError."""
    from newtest.votes import Simulation
    from newtest.votes import simulate_votes as run

    with opened(study) as there:
        return run(there, simulation or Simulation())


def frequencies(study: StudyLike, *, filtered: bool = False) -> pd.DataFrame:
    """Selection frequencies: image_id, wnid, num_selected, num_shown, frequency, and its 95 % interval lo, hi.

    ``filtered`` leaves out the votes of excluded workers.
    """
    from newtest.votes import frequencies as run

    with opened(study) as there:
        return run(there, filtered=filtered)


def dedup(
    study: StudyLike,
    request: DedupRequest | None = None,
    *,
    auto_radius: int | None = None,
    progress: Progress = UNWATCHED,
) -> DedupReport:
    """Find near-duplicates among the candidates and of the original, and judge identical bytes as duplicates.

    ``auto_radius``: hash distances up to this are duplicates without a person's look. Raises UsageError.
    """
    from newtest.duplicates import DedupRequest, judge_automatically
    from newtest.duplicates import dedup as run

    with opened(study) as there:
        report = run(there, request or DedupRequest(), progress=progress)
        judge_automatically(there, radius=auto_radius)
    return report


def design(
    study: StudyLike,
    candidates: Sequence[int] = (50, 100, 200),
    votes: Sequence[int | str] = (5, 10, 20),
    *,
    within: float | None = None,
    reference: str | None = None,
    filtered: bool = False,
    config: PlannerConfig | None = None,
    progress: Progress = UNWATCHED,
) -> Forecast:
    """Predict errors and costs of designs from the votes so far, as ``newtest annotate design``.

    ``candidates`` per class and ``votes`` per image span the grid; ``"5:20"`` is 5 votes, and 20 in all where they
    disagree. ``Forecast.table`` has a row per design, ``best`` the cheapest within ``within`` points.
    Raises SamplingError without votes on candidates and originals, and UsageError.
    """
    from newtest.planner import designs_of, foretell, pilot_of_study

    with opened(study) as there:
        pilot = pilot_of_study(there, reference=reference, filtered=filtered)
    return foretell(pilot, designs_of(candidates, votes), config, within=within, progress=progress)


def sample(
    study: StudyLike,
    strategy: Literal[
        "matched-frequency", "threshold", "top-images", "random", "matched-keywords"
    ] = "matched-frequency",
    *,
    per_class: int = 10,
    seed: int = 0,
    min_votes: int = 10,
    name: str | None = None,
    reference: str | None = None,
    parent: str | None = None,
    filtered: bool = False,
    config: SamplingConfig | None = None,
) -> Sample:
    """Draw a revision and keep it in the study; ``Sample.name`` is its name, ``members`` and ``exclusions`` tables.

    ``config`` replaces strategy, per_class, seed and min_votes. The same inputs and seed give the same members.
    Raises SamplingError where classes cannot be filled, and UsageError.
    """
    from newtest.sampling import SamplingConfig, sample_study
    from newtest.sampling.revision import Origin

    config = config or SamplingConfig(strategy, per_class=per_class, seed=seed, min_votes=min_votes)
    with opened(study) as there:
        return sample_study(there, config, name=name, origin=Origin(reference, parent, filtered))


def release(
    study: StudyLike,
    revision: str,
    out: str | Path | None = None,
    *,
    formats: Sequence[str] = ("imagefolder",),
    progress: Progress = UNWATCHED,
) -> Release:
    """Write a revision as a dataset: images, manifest, card, hashes. Raises ReleaseError, UsageError."""
    from newtest.releasing import build_release

    with opened(study) as there:
        target = None if out is None else Path(out)
        return build_release(there, revision, target, formats=formats, progress=progress)


def take_down(study: StudyLike, image: str, *, reason: str, by: str) -> None:
    """Remove an image for good, and keep why and who asked. Raises UsageError for an image that is not there."""
    from newtest.withdrawal import takedown

    with opened(study) as there:
        takedown(there, image, reason=reason, by=by)


@contextmanager
def opened(study: StudyLike, *, create: bool = False) -> Iterator[Study]:
    """The study itself where it is open, else opened for the block. Raises StudyError."""
    if isinstance(study, Study):
        yield study
        return
    with Study(Path(study), create=create) as there:
        yield there
