"""The correction on real people's votes: 78 raters answered the same questions, so their mean is nearly the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.draws import generator
from newtest.sampling import SamplingConfig, sample

VOTES, ORIGINALS, DRAWN, SPLITS = 10, 300, 30, 20


def gaps(answers: np.ndarray, seed: int) -> dict[str, float]:
    """Points of frequency by which a draw is harder than its original, judged by 58 raters whom the draw never saw.

    The original is rich in questions that most people say yes to, the pool is the rest.
    """
    random = generator(seed, "raters")
    judges = answers[random.permutation(len(answers))]
    truth = judges[2 * VOTES :].mean(axis=0)
    ease = 0.02 + judges[VOTES : 2 * VOTES].mean(axis=0)  # chosen by other raters than those who vote
    original = random.choice(len(ease), ORIGINALS, replace=False, p=ease / ease.sum())
    pool = np.setdiff1d(np.arange(len(ease)), original)
    # An original as large as the pool would leave nothing to draw: thin the easy ones of the original.
    kept = random.random(ORIGINALS) < 0.25 + 0.25 * (truth[original] < 0.5)
    frames = [
        pd.DataFrame(
            {
                "image_id": [f"{q:04d}" for q in rows],
                "wnid": "n",
                "num_selected": judges[:VOTES, rows].sum(axis=0).astype(int),
                "num_shown": VOTES,
            }
        )
        for rows in (pool, original[kept])
    ]
    found = {}
    for correction in ("none", "mixture"):
        config = SamplingConfig(per_class=DRAWN, seed=seed, bias_correction=correction, allow_incomplete=True)
        drawn = sample(*frames, config).members["image_id"].astype(int).to_numpy()
        found[correction] = 100 * (truth[original[kept]].mean() - truth[drawn].mean())
    return found


@pytest.mark.data
def test_real_votes_lose_the_bias(data: Path):
    """Over 20 splits the published rule leaves about 5 points of frequency; the correction none to speak of."""
    answers = np.load(data / "real" / "raters_golden.npz")["tensor"][:, :, 2]
    table = pd.DataFrame([gaps(answers, seed) for seed in range(SPLITS)])
    mean, error = table.mean(), table.std(ddof=1) / np.sqrt(SPLITS)
    assert mean["none"] > 3 * error["none"] > 0
    assert mean["none"] > 3
    assert abs(mean["mixture"]) < 3 * error["mixture"]
    assert abs(mean["mixture"]) < mean["none"] / 2
