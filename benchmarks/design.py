"""Predicted and realised errors of designs: in three simulated worlds, and on the votes of real raters.

A pilot of 600 images is voted on, ``newtest.planner`` predicts the error of six designs from it, and each design is
realised many times in the world itself (fresh classes and images), through ``newtest.sampling.prepare``. Errors are
root mean squares in points of true selection frequency, original less drawn. Prints Markdown.

    python benchmarks/design.py [--pilots 8] [--studies 100] [--uneven] > benchmarks/results/design-M.md

The raters are 78 people who answered the same 1,135 questions (``shared/data/real``): 20 of them vote, the mean of
the others stands for the truth, and what its own noise adds to the squared errors is taken off.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from newtest.draws import generator
from newtest.planner import Design, Pilot, PlannerConfig, foretell, pilot_of
from newtest.planner.outlook import Forecast
from newtest.sampling import SamplingConfig, prepare

Floats = npt.NDArray[np.float64]

CLASSES, ORIGINALS, PER_CLASS, CROWD, TASK = 40, 50, 10, 40, 42
PILOT_CLASSES, PILOT_ORIGINALS, PILOT_CANDIDATES, PILOT_VOTES = 12, 20, 30, 10
DESIGNS = [Design(candidates, votes) for candidates in (50, 200) for votes in (5, 10, 20)]
UNEVEN = [Design(200, 3, 20), Design(200, 5, 20), Design(200, 5, 10)]


@dataclass(frozen=True)
class WorldOf:
    """True frequencies: logit normal around class levels, or beta where ``beta`` is given (original, pool)."""

    name: str
    original: float = 3.0
    pool: float = 2.0
    beta: tuple[tuple[float, float], tuple[float, float]] | None = None
    workers: float = 0.0


WORLDS = [
    WorldOf("skewed: most originals near 1"),
    WorldOf("closed form: Beta(4, 1.5) and Beta(2, 2)", beta=((4, 1.5), (2, 2))),
    WorldOf("40 workers who differ by .5 logits, a harder pool", 2.2, 0.8, workers=0.5),
]


def population(
    world: WorldOf, random: np.random.Generator, classes: int, sizes: tuple[int, int]
) -> pd.DataFrame:
    """Images of both kinds: image_id, wnid, original, true."""
    levels = random.normal(0, 0.5, classes)
    parts = []
    for kind, each in enumerate(sizes):
        owner = np.repeat(np.arange(classes), each)
        if world.beta:
            true = random.beta(*world.beta[kind], size=len(owner))
        else:
            ease = (world.original, world.pool)[kind]
            true = expit(levels[owner] + ease + 1.5 * random.normal(size=len(owner)))
        wnid = [f"n{at:08d}" for at in owner]
        ids = [f"{'oc'[kind]}{at:06d}" for at in range(len(owner))]
        parts.append(pd.DataFrame({"image_id": ids, "wnid": wnid, "original": kind == 0, "true": true}))
    return pd.concat(parts, ignore_index=True)


def vote(world: WorldOf, random: np.random.Generator, images: pd.DataFrame, votes: int) -> pd.DataFrame:
    """Single votes of one crowd in tasks of 42 images of a class: row, worker, selected, hit_id."""
    order = np.lexsort((random.random(len(images)), images["wnid"].to_numpy()))
    codes = pd.factorize(images["wnid"].to_numpy()[order])[0]
    place = np.arange(len(order)) - np.searchsorted(codes, codes)
    task = codes * 1000 + place // TASK
    known, task = np.unique(task, return_inverse=True)
    people = np.argsort(random.random((len(known), CROWD)), axis=1)[:, :votes]
    lenient = random.normal(0, world.workers, CROWD) if world.workers else np.zeros(CROWD)
    worker = people[task]
    chance = expit(logit(images["true"].to_numpy()[order])[:, None] + lenient[worker])
    return pd.DataFrame(
        {
            "row": np.repeat(order, votes),
            "worker": [f"w{at:03d}" for at in worker.ravel()],
            "selected": (random.random(chance.shape) < chance).ravel().astype(int),
            "hit_id": [f"h{at:05d}" for at in np.repeat(task, votes)],
        }
    )


def counted(images: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """The images with num_selected and num_shown."""
    sums = votes.groupby("row")["selected"].agg(["sum", "count"]).reindex(images.index)
    return images.assign(num_selected=sums["sum"].astype(int), num_shown=sums["count"].astype(int))


def pilot(world: WorldOf, seed: int) -> Pilot:
    """A pilot's votes on 12 classes, for a study of 40."""
    random = generator(seed, world.name, "pilot")
    images = population(world, random, PILOT_CLASSES, (PILOT_ORIGINALS, PILOT_CANDIDATES))
    single = vote(world, random, images, PILOT_VOTES)
    frame = counted(images, single)
    single = single.join(images[["image_id", "wnid"]], on="row").assign(control=None)
    columns = ["image_id", "wnid", "num_selected", "num_shown"]
    return pilot_of(
        frame.loc[~frame["original"], columns],
        frame.loc[frame["original"], columns],
        single if world.workers else None,
    )


def realised(world: WorldOf, design: Design, seed: int) -> float:
    """The error of one real study, in points."""
    random = generator(seed, world.name, "study", str(design))
    images = population(world, random, CLASSES, (ORIGINALS, design.candidates))
    single = vote(world, random, images, design.most or design.votes)
    if design.most:
        turn = single.groupby("row").cumcount()
        first = single[turn < design.votes].groupby("row")["selected"].sum()
        sure = single["row"].map(first).isin([0, design.votes])
        single = single[(turn < design.votes) | ~sure]
    return error_of(counted(images, single), PER_CLASS, design, seed)


def error_of(frame: pd.DataFrame, per_class: int, design: Design, seed: int) -> float:
    """Draw by the real rule, and look at the true frequencies that it never saw."""
    columns = ["image_id", "wnid", "num_selected", "num_shown"]
    config = SamplingConfig(
        per_class=per_class,
        min_votes=design.votes,
        bias_correction="mixture",
        allow_incomplete=True,
        seed=seed,
    )
    pool, original = frame[~frame["original"]], frame[frame["original"]]
    drawn = prepare(pool[columns], original[columns], config).draw().members["image_id"]
    return 100 * float(original["true"].mean() - pool.loc[pool["image_id"].isin(drawn), "true"].mean())


class Raters:
    """One class: 150 originals rich in questions that most say yes to, the rest is the pool; 30 are drawn."""

    originals, pilot_originals, pilot_candidates, drawn = 150, 120, 250, 30
    designs = (Design(250, 5), Design(250, 10), Design(500, 5), Design(500, 10))

    def __init__(self, data: Path) -> None:
        self.answers = np.load(data / "real" / "raters_golden.npz")["tensor"][:, :, 2]

    def frame(self, seed: int, what: str, candidates: int, originals: int, votes: int) -> pd.DataFrame:
        """Images with counts of ``votes`` raters, and the truth by 58 others."""
        random = generator(seed, "raters", what)
        judges = self.answers[generator(0, "judges").permutation(len(self.answers))]
        easy = 0.02 + judges[:20].mean(axis=0) ** 2
        original = random.choice(len(easy), originals, replace=False, p=easy / easy.sum())
        rest = random.permutation(np.setdiff1d(np.arange(len(easy)), original))[:candidates]
        rows = np.concatenate([original, rest])
        people = random.permutation(20)[:votes]
        return pd.DataFrame(
            {
                "image_id": [f"{row:04d}" for row in rows],
                "wnid": "n",
                "original": np.arange(len(rows)) < originals,
                "true": judges[20:, rows].mean(axis=0),
                "num_selected": judges[people][:, rows].sum(axis=0).astype(int),
                "num_shown": votes,
            }
        )

    def pilot(self, seed: int) -> Pilot:
        """A pilot of 370 questions with 10 votes each."""
        frame = self.frame(seed, "pilot", self.pilot_candidates, self.pilot_originals, 10)
        columns = ["image_id", "wnid", "num_selected", "num_shown"]
        return pilot_of(frame.loc[~frame["original"], columns], frame.loc[frame["original"], columns])

    def realised(self, design: Design, seed: int) -> float:
        """The error of one study, in points."""
        frame = self.frame(seed, str(design), design.candidates, self.originals, design.votes)
        return error_of(frame, self.drawn, design, seed)

    @property
    def noise(self) -> float:
        """The variance (points squared) that 58 judges give the mean of the drawn questions and of the originals."""
        share = self.answers.mean(axis=0)
        return 1e4 * float(np.mean(share * (1 - share))) / 58 * (1 / self.drawn + 1 / self.originals)


def rms(values: Floats, less: float = 0.0) -> tuple[float, float]:
    """The root mean square and its standard error; ``less`` is taken off the mean square."""
    squares = np.square(values) - less
    found = float(np.sqrt(squares.mean()))
    return found, float(squares.std(ddof=1) / np.sqrt(len(squares)) / (2 * found))


Realise = Callable[[Design, int], float]


def rows(
    name: str,
    designs: list[Design],
    forecasts: list[Forecast],
    realise: Realise,
    studies: int,
    noise_of_truth: float = 0.0,
) -> list[float]:
    """Print a world's rows; give the ratios predicted / realised."""
    ratios = []
    for design in designs:
        predicted = np.array([next(o.error for o in f.outlooks if o.design == design) for f in forecasts])
        bias = np.mean([next(o.bias for o in f.outlooks if o.design == design) for f in forecasts])
        errors = np.array([realise(design, seed) for seed in range(studies)])
        real, noise = rms(errors, noise_of_truth)
        mean = float(predicted.mean())
        ratios.append(mean / real)
        print(
            f"| {name} | {design.candidates} | {design.text} | {mean:.2f} ({predicted.min():.2f} to "
            f"{predicted.max():.2f}) | {real:.2f} ± {noise:.2f} | {mean / real:.2f} | "
            f"{bias:+.2f} | {errors.mean():+.2f} |",
            flush=True,
        )
    return ratios


def real_votes(raters: Raters, pilots: int, simulations: int, studies: int) -> list[float]:
    """The rows of the raters."""
    config = PlannerConfig(
        classes=1, originals=raters.originals, per_class=raters.drawn, simulations=4 * simulations
    )
    forecasts = [foretell(raters.pilot(seed), raters.designs, config) for seed in range(pilots)]
    return rows(
        "78 raters",
        list(raters.designs),
        forecasts,
        raters.realised,
        4 * studies,
        noise_of_truth=raters.noise,
    )


def trap(world: WorldOf, forecasts: list[Forecast], studies: int) -> None:
    """Print what became of uneven designs: how many pilots' forecasts offer them, and what they came to."""
    for design in UNEVEN:
        offered = sum(any(o.design == design for o in f.outlooks) for f in forecasts)
        reasons = [reason for f in forecasts for o, reason in f.refused if o.design == design]
        errors = np.array([realised(world, design, seed) for seed in range(studies)])
        real, noise = rms(errors)
        print(
            f"| {world.name} | {design.text} | {offered} of {len(forecasts)} | {real:.2f} ± {noise:.2f} "
            f"({errors.mean():+.2f}) | {reasons[0] if reasons else ''} |",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pilots", type=int, default=8)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--simulations", type=int, default=60)
    parser.add_argument("--only", default="", help="worlds whose names hold this")
    parser.add_argument("--uneven", action="store_true", help="uneven designs too")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    print(
        "| world | candidates | votes | predicted error (pilots) | realised | ratio | predicted bias | realised bias |"
    )
    print("|---|---|---|---|---|---|---|---|")
    ratios, kept = [], []
    began = time.perf_counter()
    if arguments.only in "raters" and (arguments.data / "real").is_dir():
        ratios += real_votes(
            Raters(arguments.data), arguments.pilots, arguments.simulations, arguments.studies
        )
    for world in WORLDS:
        if arguments.only in world.name:
            forecasts = []
            for seed in range(arguments.pilots):
                config = PlannerConfig(
                    classes=CLASSES, originals=ORIGINALS, seed=seed, simulations=arguments.simulations
                )
                forecasts.append(
                    foretell(pilot(world, seed), DESIGNS + (UNEVEN if arguments.uneven else []), config)
                )
            kept.append((world, forecasts))
            ratios += rows(
                world.name, DESIGNS, forecasts, functools.partial(realised, world), arguments.studies
            )
    print(f"\nratios {min(ratios):.2f} to {max(ratios):.2f}; {time.perf_counter() - began:.0f} s\n")
    if arguments.uneven:
        print("| world | votes | offered by | realised error (mean) | why not |\n|---|---|---|---|---|")
        for world, forecasts in kept:
            trap(world, forecasts, arguments.studies)
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, numpy {np.__version__}"
    )


if __name__ == "__main__":
    main()
