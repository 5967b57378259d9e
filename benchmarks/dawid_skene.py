"""Dawid-Skene on up to a million votes: seconds, growth, and the ratio to a plain NumPy loop over workers.

python benchmarks/dawid_skene.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from newtest.votes.dawid_skene import DawidSkeneConfig, Votes, dawid_skene


def made(num_votes: int, labels: int) -> tuple[Votes, np.ndarray]:
    """Votes drawn from the model: ten a question, one worker for every thousand votes."""
    draws = np.random.default_rng(num_votes)
    questions, workers = num_votes // 10, max(num_votes // 1000, 10)
    truth = draws.integers(0, labels, questions)
    errors = 0.7 * draws.dirichlet(np.ones(labels), (workers, labels)) + 0.3 * np.eye(labels)
    q, w = np.repeat(np.arange(questions), 10), draws.integers(0, workers, num_votes)
    given = (
        (draws.random(num_votes)[:, None] > errors[w, truth[q]].cumsum(axis=1))
        .sum(axis=1)
        .clip(max=labels - 1)
    )
    return Votes(q, w, given, questions, workers, labels), truth


def plain(votes: Votes, iterations: int) -> np.ndarray:
    """The same EM as most scripts have it: a loop over workers, an addition at every vote."""
    posterior = np.zeros((votes.num_questions, votes.num_labels))
    np.add.at(posterior, (votes.questions, votes.labels), 1)
    posterior /= posterior.sum(axis=1, keepdims=True)
    rows = [np.flatnonzero(votes.workers == worker) for worker in range(votes.num_workers)]
    for _ in range(iterations):
        joint = np.tile(np.log(posterior.mean(axis=0)), (votes.num_questions, 1))
        for mine in rows:
            counts = np.full((votes.num_labels, votes.num_labels), 0.001)
            np.add.at(counts.T, votes.labels[mine], posterior[votes.questions[mine]])
            errors = np.log(counts / counts.sum(axis=1, keepdims=True))
            np.add.at(joint, votes.questions[mine], errors[:, votes.labels[mine]].T)
        posterior = np.exp(joint - joint.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
    chosen: npt.NDArray[np.intp] = posterior.argmax(axis=1)
    return chosen


def seconds(function: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print("| votes | labels | iterations | right | median s (range) | plain loop s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for labels in (2, 3):
        for num_votes in (10_000, 100_000, 1_000_000):
            votes, truth = made(num_votes, labels)
            fit = dawid_skene(votes, DawidSkeneConfig(tolerance=1e-6))
            ours = seconds(partial(dawid_skene, votes, DawidSkeneConfig(tolerance=1e-6)), repeats)
            theirs = seconds(
                partial(plain, votes, len(fit.objective)),
                1 if num_votes > 100_000 else repeats,
            )
            same = (plain(votes, len(fit.objective)) == fit.labels).mean() if num_votes == 10_000 else None
            note = "" if same is None else f" (same labels {same:.3f})"
            print(
                f"| {num_votes:,} | {labels} | {len(fit.objective)} | {(fit.labels == truth).mean():.3f} |"
                f" {statistics.median(ours):.2f} ({min(ours):.2f} to {max(ours):.2f}) |"
                f" {statistics.median(theirs):.2f}{note} | {statistics.median(theirs) / statistics.median(ours):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
