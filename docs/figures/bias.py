"""Draw docs/figures/bias.png: the bias of matching observed frequencies, and what the correction leaves of it.

    python docs/figures/bias.py

Left: closed form, exact. Right: one simulated draw per number of votes, original s ~ Beta(4, 1.5), pool s ~ Beta(2, 2).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta, betabinom

from newtest.drawing import COLORS, style
from newtest.draws import generator
from newtest.files import write_atomic
from newtest.sampling import SamplingConfig, sample
from newtest.sampling.histogram import bin_of

ORIGINAL, POOL = (4.0, 1.5), (2.0, 2.0)
SLOPE = 80.0
VOTES = np.array([5, 10, 20, 40])
SEEDS = 5


def exact_gap(votes: int, *, bins: bool) -> float:
    """The false gap in points when each bin (or each k) has the original's share of images."""
    k = np.arange(votes + 1)
    original, pool = betabinom(votes, *ORIGINAL).pmf(k), betabinom(votes, *POOL).pmf(k)
    expected = (POOL[0] + k) / (sum(POOL) + votes)
    place = bin_of(k, np.full_like(k, votes), (0.2, 0.4, 0.6, 0.8)) if bins else k
    drawn = 0.0
    for chosen in (place == b for b in np.unique(place)):
        drawn += original[chosen].sum() * np.average(expected[chosen], weights=pool[chosen])
    return float(SLOPE * (beta(*ORIGINAL).mean() - drawn))


def simulated_gap(votes: int, seed: int) -> float:
    """The false gap of one corrected draw of 5,000 from 100,000, for 5,000 originals."""
    frames = []
    for name, shape, size in (("pool", POOL, 100_000), ("original", ORIGINAL, 5_000)):
        random = generator(seed, "figure", name, str(votes))
        true = random.beta(*shape, size=size)
        ids = [f"{name}{index:06d}" for index in range(size)]
        counts = {"num_selected": random.binomial(votes, true), "num_shown": votes, "true": true}
        frames.append(pd.DataFrame({"image_id": ids, "wnid": "n", **counts}))
    config = SamplingConfig(per_class=5_000, min_votes=1, bias_correction="mixture", seed=seed)
    pool, original = frames
    drawn = sample(pool.drop(columns="true"), original.drop(columns="true"), config).members["image_id"]
    return float(SLOPE * (original["true"].mean() - pool["true"][pool["image_id"].isin(drawn)].mean()))


def main() -> None:
    """Two panels, one file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(7.2, 2.8), layout="constrained", dpi=150)
        left, right = figure.subplots(1, 2)
        s = np.linspace(0, 1, 400)
        for (shape, label), color in zip(
            ((ORIGINAL, "original with 7 of 10"), (POOL, "pool with 7 of 10")), COLORS, strict=False
        ):
            a, b = shape[0] + 7, shape[1] + 3
            mean = a / (a + b)
            left.plot(s, beta(a, b).pdf(s), color=color, label=f"{label}: mean {mean:.3f}")
            left.axvline(mean, color=color, linewidth=0.8, linestyle=":")
        left.set_title("Equal votes, unequal images")
        left.set_xlabel("true selection frequency s")
        left.set_ylabel("density given 7 of 10 votes")
        left.set_ylim(0, 4.6)
        left.legend(loc="upper left")
        for bins, label, color in ((True, "five bins (published)", COLORS[1]), (False, "every k", COLORS[4])):
            right.plot(VOTES, [exact_gap(n, bins=bins) for n in VOTES], "o-", color=color, label=label)
        gaps = np.array([[simulated_gap(n, seed) for seed in range(SEEDS)] for n in VOTES])
        right.errorbar(
            VOTES, gaps.mean(axis=1), yerr=gaps.std(axis=1, ddof=1) / np.sqrt(SEEDS),
            fmt="s-", color=COLORS[2], label=f"mixture, {SEEDS} draws ± standard error",
        )  # fmt: skip
        right.axhline(0, color="#8b929a", linewidth=0.8)
        right.set_xscale("log")
        right.set_xticks(VOTES, labels=[str(n) for n in VOTES])
        right.minorticks_off()
        right.set_title("False gap in accuracy")
        right.set_xlabel("votes per image")
        right.set_ylabel("points (the true gap is 0)")
        right.set_ylim(-0.8, 12.5)  # room for the legend
        right.legend(loc="upper right")
        target = Path(__file__).with_name("bias.png")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        buffer = BytesIO()
        canvas.print_png(buffer, metadata={"Software": None})
        write_atomic(target, buffer.getvalue())
        print(target, len(buffer.getvalue()), "bytes")
        print(pd.DataFrame(gaps, index=VOTES).round(2).to_string())


if __name__ == "__main__":
    main()
