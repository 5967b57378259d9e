"""The pilot: counts of votes on a few hundred candidates and originals, and how many classes the study has."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from newtest.catalog.votes import single_votes
from newtest.errors import SamplingError
from newtest.planner.voting import Crowd
from newtest.sampling.bias.crowds import leniency, votes_of
from newtest.sampling.config import SamplingConfig
from newtest.sampling.pairs import Pairs, pairs_of, share_classes
from newtest.sampling.revision import Origin, gather
from newtest.study import Study

__all__ = ["Pilot", "pilot_of", "pilot_of_study"]

FEW_IMAGES = 100
FEW_VOTES = 5


@dataclass(frozen=True)
class Pilot:
    """Candidates and originals with at least one vote, in the same classes.

    ``usable`` is the share of the pilot's candidates that no duplicate, block or missing file keeps from being drawn.
    ``classes`` and ``original_images`` (per class) are those of the whole study. ``crowd`` has as many people as voted,
    who differ as they did; where single votes are not known, people do not differ.
    """

    candidates: Pairs
    originals: Pairs
    usable: float
    classes: int
    original_images: int
    crowd: Crowd = field(default_factory=Crowd)
    simulated: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what makes this pilot a weak ground."""
        found = []
        for name, pairs in (("candidates", self.candidates), ("originals", self.originals)):
            if len(pairs) < FEW_IMAGES:
                found.append(
                    f"few images: the pilot has votes on {len(pairs)} {name}; {FEW_IMAGES} and more predict better"
                )
            median = float(np.median(pairs.num_shown))
            if median < FEW_VOTES:
                found.append(
                    f"few votes: the pilot's {name} have {median:g} per image (median), which hardly tells true "
                    f"frequencies apart; collect at least {FEW_VOTES}"
                )
        if self.simulated:
            found.append("the pilot's votes are simulated: the prediction is no better than the simulation")
        return tuple(found)


def pilot_of(candidates: pd.DataFrame, originals: pd.DataFrame, votes: pd.DataFrame | None = None) -> Pilot:
    """A pilot from two tables with image_id, wnid, num_selected, num_shown; rows without votes only count the study.

    Candidates may have blocked, no_bytes, near_duplicate and unreviewed (booleans). ``votes`` are single ones, with
    image_id, wnid, worker, selected, hit_id, control. Raises SamplingError: an unusable table, or no votes on either.
    """
    pool, reference = share_classes(pairs_of(candidates, "candidates"), pairs_of(originals, "originals"))
    voted, asked = pool.where(pool.num_shown > 0), reference.where(reference.num_shown > 0)
    for name, pairs in (("candidate", voted), ("original", asked)):
        if not len(pairs):
            raise SamplingError(
                f"a pilot needs votes on candidates and on originals, and no {name} has any: ask people about a few "
                "hundred images first (newtest annotate plan)"
            )
    both = np.intersect1d(voted.class_index, asked.class_index)
    if not both.size:
        raise SamplingError("no class has votes on both candidates and originals: a pilot needs one at least")
    usable = ~(voted.blocked | voted.no_bytes | voted.near_duplicate | voted.unreviewed)
    inside, among = np.isin(voted.class_index, both), np.isin(asked.class_index, both)
    sizes = np.bincount(reference.class_index, minlength=len(reference.wnids))
    single = (
        None if votes is None or votes.empty else votes_of(votes, asked.where(among), voted.where(inside))
    )
    return Pilot(
        candidates=voted.where(inside),
        originals=asked.where(among),
        usable=float(usable.mean()),
        classes=len(np.unique(pool.class_index)),
        original_images=int(np.median(sizes[sizes > 0])),
        crowd=Crowd()
        if single is None
        else Crowd(len(np.unique(single.worker)), float(np.sqrt(leniency(single)))),
    )


def pilot_of_study(study: Study, *, reference: str | None = None, filtered: bool = False) -> Pilot:
    """The pilot that a study holds: every vote so far. ``filtered`` leaves out those of excluded workers.

    Raises SamplingError, UsageError: no candidates, no reference, an unknown reference, no votes.
    """
    inputs = gather(study, SamplingConfig(), Origin(reference=reference, filtered=filtered))
    assert inputs.reference is not None  # matched-frequency refuses to go on without one
    found = pilot_of(inputs.candidates, inputs.reference, single_votes(study.catalog, filtered=filtered))
    return Pilot(**{**found.__dict__, "simulated": inputs.simulated})
