from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.errors import VotesError
from newtest.votes.dawid_skene import DawidSkeneConfig, Votes, dawid_skene, sensitivity_specificity
from newtest.votes.quality import assess_accuracy


def made(
    seed: int, questions: int, workers: int, labels: int, per_question: int
) -> tuple[Votes, np.ndarray, np.ndarray]:
    """Votes drawn from the model itself, with its truth and error matrices."""
    draws = np.random.default_rng(seed)
    truth = draws.choice(labels, questions, p=np.arange(1, labels + 1) / np.arange(1, labels + 1).sum())
    errors = 0.15 * draws.dirichlet(np.ones(labels), (workers, labels)) + 0.85 * np.eye(labels)
    q = np.repeat(np.arange(questions), per_question)
    w = draws.integers(0, workers, len(q))
    cumulative = errors[w, truth[q]].cumsum(axis=1)
    given_labels = (draws.random(len(q))[:, None] > cumulative).sum(axis=1).clip(max=labels - 1)
    return Votes(q, w, given_labels, questions, workers, labels), truth, errors


def raters(data: Path) -> tuple[Votes, np.ndarray]:
    archive = np.load(data / "real/raters_first2000.npz")
    tensor = archive["tensor"]
    w, q = np.nonzero(tensor.sum(axis=2))
    labels = tensor[w, q].argmax(axis=1)
    return Votes(q, w, labels, tensor.shape[1], tensor.shape[0], 3), archive["ids"]


def counts(votes: Votes, **config: float) -> list[int]:
    fit = dawid_skene(votes, DawidSkeneConfig(**config))  # type: ignore[arg-type]
    return [int(n) for n in np.bincount(fit.labels, minlength=3)]


def test_real_raters_give_the_known_counts(data: Path) -> None:
    votes, _ = raters(data)
    assert len(votes.questions) == 10_000
    assert counts(votes, tolerance=1e-5, smoothing=0) == [1506, 260, 234]
    assert counts(votes, tolerance=-np.inf, smoothing=0, max_iterations=2) == [1569, 164, 267]
    assert counts(votes) == [1506, 260, 234]


def test_the_worst_of_the_real_raters_is_flagged_and_no_other(data: Path) -> None:
    answers, experts = np.load(data / "real/raters_golden.npz"), np.load(data / "real/golden.npz")
    truth = experts["tensor"].sum(axis=0).argmax(axis=1)
    right = (answers["tensor"].argmax(axis=2) == truth).sum(axis=1)
    total = len(truth)
    assert right.mean() / total == pytest.approx(0.825, abs=5e-4)
    flagged = [
        int(i)
        for i, n in zip(answers["ids"], right, strict=True)
        if assess_accuracy(int(n), total, floor=0.5)
    ]
    assert flagged == [145]
    assert right.min() / total == pytest.approx(0.214, abs=5e-4)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), labels=st.integers(2, 4), smoothing=st.sampled_from([0.0, 0.01, 1.0]))
def test_the_objective_never_falls(seed: int, labels: int, smoothing: float) -> None:
    votes, _, _ = made(seed, 40, 8, labels, 4)
    fit = dawid_skene(votes, DawidSkeneConfig(tolerance=0, smoothing=smoothing, max_iterations=60))
    assert (np.diff(fit.objective) >= -1e-9 * np.abs(fit.objective[1:])).all()
    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1)
    np.testing.assert_allclose(fit.errors.sum(axis=2), 1)
    np.testing.assert_allclose(fit.prior.sum(), 1)


def test_truth_and_errors_are_found_again() -> None:
    votes, truth, errors = made(1, 4_000, 20, 3, 7)
    fit = dawid_skene(votes)
    assert fit.converged
    assert (fit.labels == truth).mean() > 0.98
    assert np.abs(fit.errors - errors).max() < 0.12


def test_controls_are_known_truth_and_help_against_a_colluding_majority() -> None:
    """Six of ten workers answer the opposite; only the controls tell which side is right."""
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 2, 400)
    q, w = (axis.ravel() for axis in np.meshgrid(np.arange(400), np.arange(10), indexing="ij"))
    labels = np.where(w < 6, 1 - truth[q], truth[q])
    votes = Votes(q, w, labels, 400, 10, 2)
    known = np.full(400, -1)
    known[:40] = truth[:40]
    fit = dawid_skene(votes, known=known)
    assert (fit.labels[:40] == truth[:40]).all()
    assert (fit.labels == truth).all()
    sensitivity, specificity = sensitivity_specificity(fit)
    assert sensitivity[:6].max() < 0.1
    assert specificity[6:].min() > 0.9
    assert (dawid_skene(votes).labels == 1 - truth).all()


def test_a_question_with_very_many_votes_does_not_underflow() -> None:
    votes = Votes(np.zeros(200_000, int), np.arange(200_000) % 50, np.arange(200_000) % 3 == 0, 1, 50, 2)
    assert np.isfinite(dawid_skene(votes).posterior).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 2])}, "label"),
        ({"questions": np.array([-1, 0])}, "question"),
        ({"workers": np.array([0])}, "1 workers"),
        (
            {"questions": np.array([], int), "workers": np.array([], int), "labels": np.array([], int)},
            "no votes",
        ),
    ],
)
def test_votes_that_cannot_be_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    values = {
        "questions": np.array([0, 1]),
        "workers": np.array([0, 0]),
        "labels": np.array([0, 1]),
        **change,
    }
    with pytest.raises(VotesError, match=message):
        Votes(**values, num_questions=2, num_workers=1, num_labels=2)


def test_a_question_nobody_answered_is_refused_unless_it_is_known() -> None:
    votes = Votes(np.array([0]), np.array([0]), np.array([1]), 2, 1, 2)
    with pytest.raises(VotesError, match="question 1"):
        dawid_skene(votes)
    assert dawid_skene(votes, known=np.array([-1, 0])).labels[1] == 0
    with pytest.raises(VotesError, match="known"):
        dawid_skene(votes, known=np.array([0, 2]))
