"""How alike models are, and what that means for reusing a test set (Mania et al. 2019).

Two models agree on an image when both are right or both are wrong. Independent models of accuracies a and b agree on a
share a b + (1 - a)(1 - b) of the images; real ones agree on more, so the difference of their accuracies is
estimated more surely, and a test set can compare more of them before chance makes a worse one look better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError

__all__ = ["Similarity", "agreement", "kept", "rankable", "similarity", "without"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """Means over pairs of models, and how many models can be ranked at ``margin`` points with confidence 1 -
    ``delta``.
    """

    models: int
    images: int
    agreement: float
    """Mean over pairs of P[1{f right} = 1{g right}]."""
    independent: float
    """The same if models erred independently at their accuracies."""
    margin: float
    delta: float
    rankable: float
    """Models that can be compared with one base model at the observed agreement."""
    rankable_independent: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; None stands for more models than a float can count."""
        return {key: None if value == float("inf") else value for key, value in asdict(self).items()}


def kept(models: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The models that no shell pattern names. Raises EvaluationError for a pattern that names none."""
    unused = [pattern for pattern in patterns if not any(fnmatchcase(str(m), pattern) for m in models)]
    if unused:
        raise EvaluationError(f"`exclude` {unused[0]!r} names no model")
    return [model for model in models if not any(fnmatchcase(str(model), pattern) for pattern in patterns)]


def without(correct: pd.DataFrame, patterns: Sequence[str]) -> pd.DataFrame:
    """Without the models that a shell pattern names. Raises EvaluationError for a pattern that names none."""
    return correct.loc[kept(list(correct.index), patterns)]


def agreement(correct: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Observed and independent agreement, (M, M) each, in [0, 1]. ``correct``: index models, a column per image.

    Raises EvaluationError without images.
    """
    right = correct.to_numpy(dtype=np.float32)
    images = right.shape[1]
    if images == 0:
        raise EvaluationError("no agreement on a set without images")
    both = right.astype(np.float64) @ right.T
    k = right.sum(axis=1, dtype=np.float64)
    observed = (images - k[:, None] - k[None, :] + 2 * both) / images
    a = k / images
    independent = np.outer(a, a) + np.outer(1 - a, 1 - a)
    names = correct.index
    return pd.DataFrame(observed, names, names), pd.DataFrame(independent, names, names)


def similarity(correct: pd.DataFrame, *, margin: float = 1.0, delta: float = 0.05) -> Similarity:
    """Mean agreement over pairs, and the models that can be ranked with and without it. Raises EvaluationError for
    fewer than 2 models.
    """
    if len(correct) < 2:
        raise EvaluationError(f"no similarity of {len(correct)} models: at least 2 are needed")
    observed, independent = agreement(correct)
    upper = np.triu_indices(len(correct), 1)
    means = [float(matrix.to_numpy()[upper].mean()) for matrix in (observed, independent)]
    images = correct.shape[1]
    counts = [rankable(images, 1 - mean, margin=margin, delta=delta) for mean in means]
    return Similarity(len(correct), images, means[0], means[1], margin, delta, counts[0], counts[1])


def rankable(images: int, disagreement: float, *, margin: float = 1.0, delta: float = 0.05) -> float:
    """How many models can be compared with a base model on ``images`` images before one that is ``margin`` points
    worse is likely to look better.

    Bernstein's inequality for the mean difference of correctness, whose variance is at most the share of images on
    which the two disagree: P[wrong] <= exp(-n e^2 / (2 (v + 2 e / 3))) with e = margin / 100, v = disagreement; a
    union bound over the models gives delta / P[wrong]. Inf where that overflows.
    """
    e = margin / 100
    exponent = images * e**2 / (2 * (disagreement + 2 * e / 3))
    return float(delta * np.exp(exponent)) if exponent < 700 else float("inf")
