"""Whether people were asked more often where they disagreed: then k/n is biased, the likelihood is not.

If an image's number of votes does not depend on them, the share of disagreeing pairs k (n - k) / (n (n - 1)) has the
same mean s (1 - s) whatever n is; its correlation with n shows another design.
"""

from __future__ import annotations

import numpy as np

from newtest.frequency.counts import VoteCounts

__all__ = ["follows_answers"]

FOLLOWS = 4.0
"""Standard errors of the correlation from which on the number of votes counts as following the answers."""
AT_LEAST = 0.1
"""The least correlation of that kind: classes that differ in votes and in frequency correlate a little."""


def follows_answers(counts: VoteCounts) -> bool:
    """Whether images on which people disagreed were shown to more of them."""
    asked = counts.num_shown >= 2
    n, k = counts.num_shown[asked].astype(np.float64), counts.num_selected[asked]
    if n.size < 10 or np.ptp(n) == 0:
        return False
    disagree = k * (n - k) / (n * (n - 1))
    if np.ptp(disagree) == 0:
        return False
    return bool(np.corrcoef(n, disagree)[0, 1] > max(FOLLOWS / np.sqrt(n.size), AT_LEAST))
