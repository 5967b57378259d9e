"""Whether a set's counts are cut off, as those are by which a set was chosen.

Fresh votes on a set are a binomial mixture. Counts that no population shows were not all kept: a threshold leaves them.
A histogram that was matched to another one can be that of fresh votes, too, and is not told apart from it.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from newtest.frequency.counts import VoteCounts, tally
from newtest.frequency.mixture import fit, likelihood

__all__ = ["misfit"]

EXPECTED = 5.0
"""Images that a count must be expected to have to be a cell of its own."""


def misfit(counts: VoteCounts) -> float:
    """The chance of so bad a fit of the binomial mixture, by Pearson's statistic per number of votes.

    Degrees of freedom are counted as if nothing had been fitted, so a good fit is never called a bad one.
    """
    found = tally(counts)
    weights = fit(counts, iterations=2000).weights
    statistic, free = 0.0, 0
    for votes in np.unique(found.num_shown):
        here = found.num_shown == votes
        images = np.zeros(votes + 1)
        images[found.num_selected[here]] = found.images[here]
        every = VoteCounts(np.arange(votes + 1), np.full(votes + 1, votes))
        expected = images.sum() * (likelihood(every) @ weights)
        rare = expected < EXPECTED
        seen, expected = (
            np.append(images[~rare], images[rare].sum()),
            np.append(expected[~rare], expected[rare].sum()),
        )
        kept = expected > 0
        statistic += float(np.sum((seen[kept] - expected[kept]) ** 2 / expected[kept]))
        free += max(int(kept.sum()) - 1, 0)
    return float(chi2.sf(statistic, free)) if free else 1.0
