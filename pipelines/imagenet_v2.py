"""ImageNetV2 (Recht et al. 2019), as its method section tells it, for any classes and any original.

    python pipelines/imagenet_v2.py STUDY REFERENCE_DIR WNID...

REFERENCE_DIR is the original set, a folder a wnid. Run it again after people voted and after they judged the pairs:
each stage does what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from newtest.classes import QueryConfig, classes_of
from newtest.collecting import CollectConfig, collect
from newtest.duplicates import judge_automatically, measure_dssim, measure_l2, scan, unreviewed_pairs
from newtest.fetching import FetchConfig, fetch_missing
from newtest.records import Query
from newtest.reference import add_reference, members_of_folder
from newtest.releasing import build_release
from newtest.sampling import SamplingConfig, sample_study
from newtest.sources import open_source
from newtest.study import Study
from newtest.votes import Simulation, frequencies, simulate_votes

MATCHED, THRESHOLD, TOP = (SamplingConfig(rule) for rule in ("matched-frequency", "threshold", "top-images"))
SETS = {"matched-frequency": MATCHED, "threshold-0.7": THRESHOLD, "top-images": TOP}
WINDOW = Query("", "", taken_after="2012-07-11", taken_before="2013-07-11")


@dataclass(frozen=True)
class Recipe:
    """What to replicate. ``simulate`` puts SIMULATED votes where nobody has voted: for tests and rehearsals."""

    study: Path
    reference: Path
    wnids: list[str]
    source: str | None = None
    window: Query = WINDOW
    fetch: FetchConfig = field(default_factory=FetchConfig)
    simulate: Simulation | None = None


def replicate(recipe: Recipe, say: Callable[[str], None] = print) -> list[Path]:
    """Go as far as the study allows; gives the releases."""
    with Study(recipe.study, create=True) as study:
        say(
            "Gather candidates: a query a lemma, photos of one year from the original's source; and the original."
        )
        classes, options = classes_of(recipe.wnids), QueryConfig(window=recipe.window)
        collect(study, open_source(recipe.source, say), classes, CollectConfig(options=options))
        add_reference(study, "original", members_of_folder(recipe.reference), str(recipe.reference))
        fetch_missing(study, recipe.fetch)
        say("Ask ten people about each image, the original's among the candidates.")
        if recipe.simulate:
            simulate_votes(study, recipe.simulate)
        if frequencies(study).empty:
            say("Nobody has voted yet: newtest annotate asks people. Then run this again.")
            return []
        say(
            "Find near-duplicates within the candidates and of the original; what is close waits for a person."
        )
        for find in (scan, measure_l2, measure_dssim, judge_automatically):
            find(study)
        say(
            f"{len(unreviewed_pairs(study))} distances wait for newtest review; until then those images stay out."
        )

        say("Sample three sets by selection frequency, and release each.")
        for name, sampling in SETS.items():
            if not (study.releases / name).exists():
                sample_study(study, sampling, name=name)
                build_release(study, name)
        return [study.releases / name for name in SETS]


if __name__ == "__main__":
    replicate(Recipe(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
