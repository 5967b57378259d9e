"""What becomes of the bias correction where its assumptions fail, and how often clean data are warned of.

Simulated crowds vote one by one in tasks of 50 images of a class; P(correct | s) = .15 + .8 s unless said otherwise, so
a gap in accuracy is false. Each row: the false gap of the corrected draw (points of accuracy, original less drawn), how
often the interval of the mismatch holds the true one, and what the diagnosis warns of. Prints Markdown.

    python benchmarks/bias_assumptions.py [--seeds 10] > benchmarks/results/bias-assumptions-MACHINE.md
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.draws import generator
from newtest.frequency import ScoredSet, VoteCounts
from newtest.sampling import SamplingConfig, prepare
from newtest.sampling.bias import points_explained
from newtest.sampling.diagnosis import diagnose_draft

TASK = 50
PER_CLASS = 10
STEP = "step at .9"


@dataclass(frozen=True)
class Crowd:
    """A simulated study: its assumptions hold unless a field says otherwise."""

    name: str
    votes: int = 10
    classes: int = 60
    originals: int = 50
    candidates: int = 200
    alike: float = 0.0
    """The correlation of an image's votes beyond its frequency, drawn once an image ...."""
    each_task: bool = False
    """... or once an image and task: then each image is shown in two tasks."""
    shift: float = 0.0
    """How much more leniently the original's crowd answers, logits; a crowd of its own."""
    controls: bool = False
    """Each separate crowd also judges the same 200 controls."""
    workers: float = 0.0
    """The standard deviation of workers' leniency, logits."""
    separate: bool = False
    crowd: int = 40
    adaptive: bool = False
    """5 votes, and 15 more where 1 to 4 said yes."""
    step: bool = False


CLEAN = [
    Crowd("clean, 5 votes", votes=5),
    Crowd("clean, 10 votes"),
    Crowd("clean, 40 votes", votes=40, classes=30),
    Crowd("clean, 10 votes, 400 classes of 10 and 40", classes=400, originals=10, candidates=40),
    Crowd("clean, 10 votes, 400 classes of 10 and 80", classes=400, originals=10, candidates=80),
    Crowd("clean, each image in two tasks", each_task=True),
]
BROKEN = [
    Crowd("votes alike, .05", alike=0.05),
    Crowd("votes alike, .1", alike=0.1),
    Crowd("votes alike, .3", alike=0.3),
    Crowd("votes alike within a task, .1, two tasks an image", alike=0.1, each_task=True),
    Crowd("votes alike within a task, .3, two tasks an image", alike=0.3, each_task=True),
    Crowd("crowds differ by +.3 logits, with controls", shift=0.3, controls=True),
    Crowd("crowds differ by -.3 logits, with controls", shift=-0.3, controls=True),
    Crowd("crowds differ by +.3 logits, nothing common", shift=0.3),
    Crowd("workers differ by .5 logits, one crowd", workers=0.5),
    Crowd("workers differ by .5 logits, separate crowds of 40", workers=0.5, separate=True),
    Crowd(
        "workers differ by .5 logits, separate crowds with controls",
        workers=0.5,
        separate=True,
        controls=True,
    ),
    Crowd("more votes where people disagreed", adaptive=True),
    Crowd("accuracy steps up at .9", step=True),
]


def population(crowd: Crowd, seed: int) -> pd.DataFrame:
    """One row per image: image_id, wnid, kind (original, pool, control), true."""
    random = generator(seed, crowd.name, "population")
    level = random.normal(0, 0.5, crowd.classes)
    frames = []
    kinds = [("original", crowd.originals, 2.2), ("pool", crowd.candidates, 0.8)]
    for kind, each, ease in kinds + ([("control", 200 // crowd.classes + 1, 0.8)] if crowd.controls else []):
        owner = np.repeat(np.arange(crowd.classes), each)
        true = 1 / (1 + np.exp(-(level[owner] + ease + 1.5 * random.normal(size=len(owner)))))
        ids = [f"{kind}{at:07d}" for at in range(len(owner))]
        wnids = [f"n{at:08d}" for at in owner]
        frames.append(pd.DataFrame({"image_id": ids, "wnid": wnids, "kind": kind, "true": true}))
    return pd.concat(frames, ignore_index=True)


def vote(crowd: Crowd, images: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Single votes: row (of ``images``), worker, selected, hit_id."""
    random = generator(seed, crowd.name, "votes")
    apart = crowd.separate or crowd.shift != 0
    lenient = random.normal(0, crowd.workers, (2, crowd.crowd))
    lenient[0] += crowd.shift
    true = images["true"].to_numpy()
    logit = np.log(true / (1 - true))
    kind = images["kind"].to_numpy()
    rounds = 2 if crowd.each_task else 1
    each = crowd.votes // rounds
    if crowd.adaptive:
        each = 20
    parts = []
    for side, mask in ((0, kind != "pool"), (1, kind != "original")):
        rows = np.flatnonzero(mask) if apart else np.arange(len(images))
        if not apart and side:
            continue
        for again in range(rounds):
            # One crowd: originals and pool are mixed, class by class; tasks of 50.
            order = rows[np.lexsort((random.random(len(rows)), images["wnid"].to_numpy()[rows]))]
            task = np.arange(len(order)) // TASK
            people = np.argsort(random.random((task.max() + 1, crowd.crowd)), axis=1)[
                :, : min(each, crowd.crowd)
            ]
            worker = people[task]
            chance = 1 / (1 + np.exp(-(logit[order][:, None] + lenient[side][worker])))
            if crowd.alike:
                chance = scattered(
                    chance, crowd.alike, random if crowd.each_task else generator(seed, str(side))
                )
            parts.append(
                pd.DataFrame(
                    {
                        "row": np.repeat(order, worker.shape[1]),
                        "worker": (worker + (crowd.crowd * side if apart else 0)).ravel(),
                        "selected": (random.random(chance.shape) < chance).astype(np.int64).ravel(),
                        "hit_id": np.repeat(task + 100_000 * (2 * side + again), worker.shape[1]),
                        "turn": np.tile(np.arange(worker.shape[1]), len(order)),
                    }
                )
            )
    votes = pd.concat(parts, ignore_index=True).drop_duplicates(["row", "worker"])
    if crowd.adaptive:
        first = votes[votes["turn"] < 5].groupby("row")["selected"].sum()
        sure = votes["row"].map(first).isin([0, 5])
        votes = votes[(votes["turn"] < 5) | ~sure]
    return votes


def scattered(
    chance: npt.NDArray[np.float64], alike: float, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Each image's chances moved together to those of a beta variable with the correlation ``alike``."""
    mean = np.clip(chance.mean(axis=1), 1e-4, 1 - 1e-4)
    drawn = np.clip(random.beta(mean * (1 - alike) / alike, (1 - mean) * (1 - alike) / alike), 1e-6, 1 - 1e-6)
    moved = np.log(drawn / (1 - drawn)) - np.log(mean / (1 - mean))
    clipped = np.clip(chance, 1e-9, 1 - 1e-9)
    return np.asarray(1 / (1 + np.exp(-(np.log(clipped / (1 - clipped)) + moved[:, None]))))


def run(crowd: Crowd, seed: int) -> tuple[float, bool, list[str]]:
    """The false gap in points, whether the interval holds the true mismatch, and the warnings."""
    images = population(crowd, seed)
    votes = vote(crowd, images, seed)
    sums = votes.groupby("row")["selected"].agg(["sum", "count"]).reindex(images.index).fillna(0).astype(int)
    images["num_selected"], images["num_shown"] = sums["sum"], sums["count"]
    single = votes.merge(images[["image_id", "wnid", "kind"]], left_on="row", right_index=True)
    single["hit_id"] = single["hit_id"].astype(str)
    single["control"] = single["kind"].map({"control": "negative"})
    columns = ["image_id", "wnid", "num_selected", "num_shown"]
    pool, original = (images[images["kind"] == kind] for kind in ("pool", "original"))
    config = SamplingConfig(
        per_class=min(PER_CLASS, crowd.candidates // 4),
        min_votes=1,
        min_reference_images=1,
        seed=seed,
        allow_incomplete=True,
        bias_correction="mixture",
    )
    draft = prepare(pool[columns], original[columns], config)
    found = diagnose_draft(draft, single)
    assert found is not None
    drawn = pool[pool["image_id"].isin(draft.draw().members["image_id"])]
    true = images["true"].to_numpy()
    accuracy = np.where(true >= 0.9, 0.9, 0.4) if crowd.step else 0.15 + 0.8 * true
    gap = 100 * float(accuracy[original.index].mean() - accuracy[drawn.index].mean())
    truth = original["true"].mean() - drawn["true"].mean()
    warnings = list(found.warnings)
    random = generator(seed, crowd.name, "correct")
    right = (random.random((len(original), 20)) < accuracy[original.index][:, None]).astype(float)
    counts = VoteCounts(original["num_selected"].to_numpy(), original["num_shown"].to_numpy())
    table = points_explained(ScoredSet(counts, right), found, [f"m{at}" for at in range(20)])
    warnings += table.attrs["warnings"]
    return gap, bool(found.mismatch.low <= truth <= found.mismatch.high), warnings


def row(crowd: Crowd, seeds: int) -> str:
    """One line of the table."""
    results = [run(crowd, seed) for seed in range(seeds)]
    gaps = np.array([gap for gap, _, _ in results])
    warned = Counter(
        kind for _, _, warnings in results for kind in {w.split(":")[0].split(" by ")[0] for w in warnings}
    )
    said = "; ".join(f"{warning} ({count}/{seeds})" for warning, count in sorted(warned.items()))
    held = np.mean([inside for _, inside, _ in results])
    error = gaps.std(ddof=1) / np.sqrt(seeds)
    any_ = np.mean([bool(warnings) for _, _, warnings in results])
    return f"| {crowd.name} | {gaps.mean():+.2f} ± {error:.2f} | {held:.2f} | {any_:.2f} | {said} |"


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    parser.add_argument("--classes", type=int, default=0, help="so many classes in place of each row's own")
    arguments = parser.parse_args()
    print(f"{arguments.seeds} seeds; false gaps in points of accuracy; the true gap is 0.\n")
    print("| case | false gap | interval holds the mismatch | warned | warnings |\n|---|---|---|---|---|")
    for crowd in CLEAN + BROKEN:
        if arguments.only in crowd.name:
            chosen = dataclasses.replace(crowd, classes=arguments.classes or crowd.classes)
            print(row(chosen, arguments.seeds), flush=True)
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}; figures of accuracy, not time."
    )


if __name__ == "__main__":
    main()
