"""Accuracy on images without labels, from how often models agree on them.

On the probit scale the agreement of pairs of models on a new set against their agreement on the original lies on a
line, and accuracies lie on nearly the same line (Baek et al. 2022, arXiv 2206.13089, "agreement on the line"). So slope
and intercept can be had without labels. "Nearly" costs points: models that are wrong together also agree, and they do
so the more, the worse both are. A label is a partner that is never wrong. So the line is fitted with a second term, the
mean accuracy u of the pair on the original,

    probit(agreement on new) = a + b * probit(agreement on original) + c * u,

and read where the partner's accuracy is 1: probit(accuracy on new) = a + b * probit(accuracy) + c * (accuracy + 1) / 2.
With c = 0 this is Baek et al.'s rule. The second term is ours; ``benchmarks/forecast.py`` shows what it changes.

An interval adds five sources of error: the finite new set (binomial), the models that happened to be there (a bootstrap
over models), how far single models lie off the line, the extrapolation, of which half counts as a standard error, and
the rule itself, of which a tenth of the forecast change does: it was off by .02 to .16 of the change on the benchmark's
sets. These last two are judgement, not theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from newtest.draws import generator
from newtest.errors import EvaluationError

__all__ = ["Forecast", "agreements", "forecast"]

Floats = npt.NDArray[np.float64]
FEWEST_MODELS = 8
LEAST_R2 = 0.95
"""Below this R2 of the agreements, on the probit scale, there is no prediction (Baek et al. ask for a line too)."""
_RULE = 0.1
"""Share of the forecast change that counts as a standard error of the rule."""
_EDGE = 1e-4
_Z = 1.959964


@dataclass(frozen=True)
class Forecast:
    """``models``: model, original, forecast, lo, hi (percent) and rank (1 is the best), best first.

    ``slope``, ``intercept``, ``partner`` are b, a and c on the probit scale; ``r2`` is of the agreements' line without
    the second term. ``plain``: the mean accuracy that this line alone would predict, ``mean`` what is predicted here.
    """

    models: pd.DataFrame
    images: int
    slope: float
    intercept: float
    partner: float
    r2: float
    mean: float
    plain: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; a row per model."""
        values = {name: value for name, value in vars(self).items() if name != "models"}
        return {**values, "models": self.models.to_dict(orient="records")}


def agreements(answers: npt.NDArray[np.int64]) -> Floats:
    """The share of images on which each pair of models gives one answer, (M, M). ``answers``: (M, N), -1 for none."""
    found = np.eye(len(answers))
    for at, row in enumerate(answers[:-1]):
        found[at, at + 1 :] = ((answers[at + 1 :] == row) & (row >= 0)).mean(axis=1)
    return np.maximum(found, found.T)


def forecast(
    models: Sequence[str],
    original: npt.NDArray[np.int64],
    accuracy: Floats,
    new: npt.NDArray[np.int64],
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Forecast:
    """Predict each model's accuracy on images that nobody labelled.

    ``original`` (M, N) and ``new`` (M, K) are the models' first answers as numbers, -1 for none; ``accuracy`` (M,) is
    on the original, in [0, 1]. Raises EvaluationError: fewer than 8 models, accuracies at 0 or 1, or agreements that
    lie on no line (R2 below .95), from which nothing follows.
    """
    if len(models) < FEWEST_MODELS:
        raise EvaluationError(
            f"a forecast needs at least {FEWEST_MODELS} models with answers to both sets, got {len(models)}"
        )
    at_edge = [name for name, value in zip(models, accuracy, strict=True) if not 0 < value < 1]
    if at_edge:
        raise EvaluationError(
            f"{at_edge[0]}: an accuracy of 0 or 1 on the original has no place on the line; leave it out"
        )
    pairs = _Pairs.of(agreements(original), agreements(new), accuracy)
    everyone = np.ones(len(models))
    if (r2 := pairs.r2()) < LEAST_R2:
        raise EvaluationError(
            f"the agreements of the models on the two sets lie on no line (R2 {r2:.3f}; at least {LEAST_R2} is "
            "needed), so there is no prediction without labels"
        )
    a, b, c = pairs.fit(everyone)
    found, plain = _read(accuracy, a, b, c), _read(accuracy, *pairs.plain(everyone))
    spread = _spread(pairs, accuracy, resamples, seed)
    error = np.sqrt(
        found * (1 - found) / new.shape[1]
        + spread**2
        + (_slope_at(found) * pairs.off_the_line(a, b, c)) ** 2
        + ((found - plain) / 2) ** 2
        + (_RULE * (found - accuracy)) ** 2
    )
    table = pd.DataFrame(
        {
            "model": list(models),
            "original": 100 * accuracy,
            "forecast": 100 * found,
            "lo": 100 * np.clip(found - _Z * error, 0, 1),
            "hi": 100 * np.clip(found + _Z * error, 0, 1),
        }
    )
    table["rank"] = table["forecast"].rank(ascending=False, method="min").astype(int)
    table = table.sort_values(["rank", "model"], ignore_index=True)
    return Forecast(table, new.shape[1], b, a, c, r2, 100 * float(found.mean()), 100 * float(plain.mean()))


@dataclass(frozen=True)
class _Pairs:
    """All pairs i < j: probit agreements ``x`` on the original and ``y`` on the new set, mean accuracy ``u``."""

    i: npt.NDArray[np.int64]
    j: npt.NDArray[np.int64]
    x: Floats
    y: Floats
    u: Floats

    @classmethod
    def of(cls, original: Floats, new: Floats, accuracy: Floats) -> _Pairs:
        i, j = np.triu_indices(len(accuracy), 1)
        x, y = (norm.ppf(np.clip(agreed[i, j], _EDGE, 1 - _EDGE)) for agreed in (original, new))
        return cls(i, j, x, y, (accuracy[i] + accuracy[j]) / 2)

    def r2(self) -> float:
        """Of the line of the agreements; 0 where they do not vary."""
        if self.x.std() == 0 or self.y.std() == 0:
            return 0.0
        return float(np.corrcoef(self.x, self.y)[0, 1] ** 2)

    def fit(self, weight: Floats) -> tuple[float, float, float]:
        """(a, b, c) by least squares; ``weight`` (M,) is how often each model was drawn."""
        root = np.sqrt(weight[self.i] * weight[self.j])
        design = np.column_stack([np.ones(len(self.x)), self.x, self.u]) * root[:, None]
        a, b, c = np.linalg.lstsq(design, self.y * root, rcond=None)[0]
        return float(a), float(b), float(c)

    def plain(self, weight: Floats) -> tuple[float, float, float]:
        """The same without the second term: Baek et al.'s line."""
        root = np.sqrt(weight[self.i] * weight[self.j])
        design = np.column_stack([np.ones(len(self.x)), self.x]) * root[:, None]
        a, b = np.linalg.lstsq(design, self.y * root, rcond=None)[0]
        return float(a), float(b), 0.0

    def off_the_line(self, a: float, b: float, c: float) -> float:
        """How far single models lie off: the standard deviation of their mean residuals, on the probit scale."""
        residual = self.y - (a + b * self.x + c * self.u)
        count = len(np.unique(np.concatenate([self.i, self.j])))
        sums = np.bincount(self.i, residual, count) + np.bincount(self.j, residual, count)
        return float((sums / (count - 1)).std(ddof=1))


def _read(accuracy: Floats, a: float, b: float, c: float) -> Floats:
    """The line where the partner is never wrong."""
    return np.asarray(norm.cdf(a + b * norm.ppf(accuracy) + c * (accuracy + 1) / 2))


def _slope_at(found: Floats) -> Floats:
    """Points per probit at an accuracy."""
    return np.asarray(norm.pdf(norm.ppf(np.clip(found, _EDGE, 1 - _EDGE))))


def _spread(pairs: _Pairs, accuracy: Floats, resamples: int, seed: int) -> Floats:
    """Standard errors (M,) of what is read, over models drawn with replacement."""
    draws = generator(seed, "forecast")
    read = []
    for _ in range(resamples):
        weight = np.bincount(draws.integers(0, len(accuracy), len(accuracy)), minlength=len(accuracy)).astype(
            float
        )
        if np.count_nonzero(weight) > 3:
            read.append(_read(accuracy, *pairs.fit(weight)))
    return np.asarray(np.std(read, axis=0))
