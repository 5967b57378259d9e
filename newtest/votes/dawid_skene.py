"""Dawid and Skene's model (1979): true answers and workers' confusion matrices from votes alone, by EM.

Question i has the true answer j with prior p_j; worker w answers l with probability E_w[j, l]. EM raises the
log-posterior of p and E step by step; that it never falls is asserted. The sum over votes is all in log space, so
a million votes on one question do not underflow. One widely used library stops after two iterations, because it
counts the prior once per vote and takes the falling sum for convergence.

Reference: A. P. Dawid, A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm",
Applied Statistics 28 (1979).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.errors import VotesError

__all__ = ["DawidSkene", "DawidSkeneConfig", "Votes", "dawid_skene", "sensitivity_specificity"]

PIECE = 1 << 18
"""Votes that are looked at together."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Votes:
    """Votes as three arrays of one length: question and worker numbers from 0, and the label voted for."""

    questions: npt.NDArray[np.integer]
    workers: npt.NDArray[np.integer]
    labels: npt.NDArray[np.integer]
    num_questions: int
    num_workers: int
    num_labels: int

    def __post_init__(self) -> None:
        for name, values, count in (
            ("question", self.questions, self.num_questions),
            ("worker", self.workers, self.num_workers),
            ("label", self.labels, self.num_labels),
        ):
            if len(values) != len(self.questions):
                raise VotesError(f"votes have {len(self.questions)} questions and {len(values)} {name}s")
            if len(values) and not 0 <= values.min() <= values.max() < count:
                raise VotesError(f"a {name} number lies outside of 0..{count - 1}")
        if not len(self.questions):
            raise VotesError("there are no votes to learn from")


@dataclass(frozen=True)
class DawidSkeneConfig:
    """``tolerance`` is in units of log-posterior a vote: EM ends when a step gains less. ``smoothing`` is added to
    each cell's count, a Dirichlet prior that keeps a worker who never erred from being infallible."""

    tolerance: float = 1e-5
    max_iterations: int = 1_000
    smoothing: float = 0.001


@dataclass(frozen=True)
class DawidSkene:
    """``posterior`` (questions, labels); ``prior`` (labels,); ``errors`` (workers, true label, given label), rows sum
    to 1; ``objective`` the log-posterior after each step, which never falls."""

    posterior: Floats
    prior: Floats
    errors: Floats
    objective: Floats
    converged: bool

    @property
    def labels(self) -> Ints:
        """The most probable answer of each question."""
        return np.asarray(self.posterior.argmax(axis=1), dtype=np.int64)


def dawid_skene(
    votes: Votes, config: DawidSkeneConfig | None = None, *, known: npt.NDArray[np.integer] | None = None
) -> DawidSkene:
    """Fit the model. ``known`` (questions,) holds the true answers of controls and -1 elsewhere; they stay fixed.

    It starts from the share of votes for each label or, with controls, from the errors that workers made on those: a
    majority that is wrong is then found out. Raises VotesError for a question without votes that is not
    known.
    """
    config = config or DawidSkeneConfig()
    steps = _Steps(votes, config.smoothing, _known(votes, known))
    posterior = steps.start()
    objective: list[float] = []
    converged = False
    while len(objective) < config.max_iterations and not converged:
        prior, errors = steps.maximise(posterior)
        posterior, value = steps.expect(prior, errors)
        if objective:
            gain = value - objective[-1]
            assert gain > -1e-9 * abs(value), "the objective of EM fell"
            converged = gain < config.tolerance * len(votes.questions)
        objective.append(value)
    return DawidSkene(posterior, prior, errors, np.array(objective), converged)


def sensitivity_specificity(fit: DawidSkene) -> tuple[Floats, Floats]:
    """(sensitivity, specificity) of each worker of a fit with two labels, 0 for no and 1 for yes."""
    if fit.errors.shape[1] != 2:
        raise VotesError("sensitivity and specificity belong to a model of two labels")
    return fit.errors[:, 1, 1], fit.errors[:, 0, 0]


class _Steps:
    """The two steps of EM on one set of votes. Label by label and piece by piece, so that memory is that of the votes
    and of the questions."""

    def __init__(self, votes: Votes, smoothing: float, known: Ints) -> None:
        self._votes, self._smoothing = votes, smoothing
        self._fixed = known >= 0
        self._truth = np.eye(votes.num_labels)[known[self._fixed]]
        # int32 holds every cell of a crowd that a study could have
        self._cells = (votes.workers * votes.num_labels + votes.labels).astype(np.int32)

    def start(self) -> Floats:
        """Where EM begins: the share of votes for each label, read through the workers' errors on controls."""
        v = self._votes
        given = np.zeros(v.num_questions * v.num_labels)
        for piece in self._pieces():
            cells = v.questions[piece].astype(np.int64) * v.num_labels + v.labels[piece]
            first = int(cells.min())
            counts = np.bincount(cells - first)
            given[first : first + len(counts)] += counts
        shares = given.reshape(v.num_questions, v.num_labels)
        shares[self._fixed] = self._truth
        shares /= shares.sum(axis=1, keepdims=True)
        if not self._fixed.any():
            return shares
        controls = np.where(self._fixed[:, None], shares, 0.0)
        errors = self._counts(controls) + 1  # a uniform prior: who met few controls is not yet judged
        return self.expect(shares.mean(axis=0), errors / errors.sum(axis=2, keepdims=True))[0]

    def maximise(self, posterior: Floats) -> tuple[Floats, Floats]:
        """The most probable (prior, errors) given the answers' posterior."""
        prior = posterior.sum(axis=0) + self._smoothing
        errors = self._counts(posterior) + self._smoothing
        total = errors.sum(axis=2, keepdims=True)
        uniform = np.full_like(errors, 1 / self._votes.num_labels)  # of a truth that a worker never met
        np.divide(errors, total, out=uniform, where=total > 0)
        return prior / prior.sum(), uniform

    def _counts(self, posterior: Floats) -> Floats:
        """Expected votes (workers, true label, given label)."""
        v = self._votes
        counts = np.empty((v.num_workers, v.num_labels, v.num_labels))
        for true in range(v.num_labels):
            found = np.zeros(v.num_workers * v.num_labels)
            column = posterior[:, true].copy()
            for piece in self._pieces():
                found += np.bincount(self._cells[piece], column[v.questions[piece]], minlength=len(found))
            counts[:, true, :] = found.reshape(v.num_workers, v.num_labels)
        return counts

    def _pieces(self) -> Iterator[slice]:
        total = len(self._cells)
        return (slice(start, start + PIECE) for start in range(0, total, PIECE))

    def expect(self, prior: Floats, errors: Floats) -> tuple[Floats, float]:
        """(posterior, log-posterior of prior and errors)."""
        v = self._votes
        with np.errstate(divide="ignore"):
            log_prior, log_errors = np.log(prior), np.log(errors)
        log_errors = np.maximum(log_errors, _LOG_ZERO)
        joint = np.empty((v.num_questions, v.num_labels))
        for true in range(v.num_labels):
            logs, found = log_errors[:, true, :].reshape(-1), np.zeros(v.num_questions)
            for piece in self._pieces():
                asked, terms = v.questions[piece], logs[self._cells[piece]]
                first = int(asked.min())  # sorted votes ask about few questions in a piece
                sums = np.bincount(asked - first, terms)
                found[first : first + len(sums)] += sums
            joint[:, true] = found
        joint += np.maximum(log_prior, _LOG_ZERO)
        joint[self._fixed] = np.where(self._truth > 0, joint[self._fixed], -np.inf)
        most = joint.max(axis=1, keepdims=True)
        posterior = np.exp(joint - most)
        total = posterior.sum(axis=1, keepdims=True)
        value = float((most + np.log(total)).sum())
        if self._smoothing > 0:
            value += self._smoothing * float(log_prior.sum() + log_errors.sum())
        return posterior / total, value


_LOG_ZERO = -1e4
"""Stands for log 0: a million such votes are still a finite sum."""


def _known(votes: Votes, known: npt.NDArray[np.integer] | None) -> Ints:
    values = (
        np.full(votes.num_questions, -1, dtype=np.int64)
        if known is None
        else np.asarray(known, dtype=np.int64)
    )
    if values.shape != (votes.num_questions,) or values.min() < -1 or values.max() >= votes.num_labels:
        raise VotesError("known answers are one label per question, or -1")
    asked = np.bincount(votes.questions, minlength=votes.num_questions) > 0
    if not (asked | (values >= 0)).all():
        raise VotesError(f"question {int(np.argmin(asked | (values >= 0)))} has no votes and no known answer")
    return values
