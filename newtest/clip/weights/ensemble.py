"""Weight-space against output-space ensembles of two models (Wortsman et al. 2022b, section 4 and Proposition 1).

The first mixes weights and runs once; the second runs both ends and mixes their logits. For a model that is linear in
its weights they are the same; for others the comparison says what the mixed weights are worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.errors import WeightsError
from newtest.reading.arrays import open_arrays

__all__ = ["EnsemblePoint", "Outputs", "accuracies", "compare_ensembles", "mixed_outputs", "read_outputs"]


@dataclass(frozen=True)
class Outputs:
    """A checkpoint's answers on one labelled set: ``logits`` (N, C), ``labels`` (N,)."""

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Top-1, in percent."""
        return float(100 * (self.logits.argmax(axis=1) == self.labels).mean())


@dataclass(frozen=True)
class EnsemblePoint:
    """One alpha on one set. Accuracies in percent; ``agreement``: share (percent) of images with the same answer."""

    alpha: float
    set: str
    weight_space: float
    output_space: float
    agreement: float


def read_outputs(path: Path) -> dict[str, Outputs]:
    """Sets of a logits file: an ``.npz`` with ``NAME`` (N, C) and ``NAME.labels`` (N,) for each.

    Raises WeightsError; nothing is unpickled.
    """
    try:
        with open_arrays(path) as held:
            names = [name for name in held.files if f"{name}.labels" in held.files]
            found = {
                name: Outputs(held[name].astype(np.float64), held[f"{name}.labels"].astype(np.int64))
                for name in names
            }
    except (OSError, ValueError, TypeError, MemoryError) as error:
        raise WeightsError(f"{path}: not a readable .npz of logits ({error})") from error
    if not found:
        raise WeightsError(f"{path}: holds no set; it needs arrays NAME (N, C) and NAME.labels (N,)")
    for name, outputs in found.items():
        if (
            outputs.logits.ndim != 2
            or outputs.labels.shape != outputs.logits.shape[:1]
            or not outputs.labels.size
        ):
            raise WeightsError(
                f"{path}: {name} has logits {outputs.logits.shape} and labels {outputs.labels.shape}, "
                "wanted are (N, C) and (N,)"
            )
        if not np.isfinite(outputs.logits).all():
            raise WeightsError(f"{path}: {name} has logits that are not finite")
    return found


def accuracies(outputs: Mapping[str, Outputs]) -> dict[str, float]:
    """Top-1 of each set, in percent."""
    return {name: one.accuracy for name, one in outputs.items()}


def mixed_outputs(zeroshot: Outputs, finetuned: Outputs, alpha: float) -> Outputs:
    """The output-space ensemble: (1 - alpha) zero-shot logits + alpha fine-tuned logits. Raises WeightsError."""
    if zeroshot.logits.shape != finetuned.logits.shape or not np.array_equal(
        zeroshot.labels, finetuned.labels
    ):
        raise WeightsError(
            f"logits {zeroshot.logits.shape} and {finetuned.logits.shape} are not of the same labelled images"
        )
    return Outputs((1 - alpha) * zeroshot.logits + alpha * finetuned.logits, zeroshot.labels)


def compare_ensembles(outputs: Sequence[tuple[float, Mapping[str, Outputs]]]) -> list[EnsemblePoint]:
    """Both ensembles at each alpha; ``outputs`` are those of the interpolated checkpoints, alphas 0 and 1 among them.

    Raises WeightsError when an end is missing or checkpoints answered different sets.
    """
    by_alpha = dict(outputs)
    if 0 not in by_alpha or 1 not in by_alpha:
        raise WeightsError("an output-space ensemble needs both ends: let `alphas` hold 0 and 1")
    start, end = by_alpha[0], by_alpha[1]
    for alpha, sets in by_alpha.items():
        if sets.keys() != start.keys():
            raise WeightsError(
                f"alpha {alpha:g} has the sets {', '.join(sets)}, alpha 0 has {', '.join(start)}"
            )
    points = []
    for alpha, sets in sorted(by_alpha.items(), key=lambda item: item[0]):
        for name, inside in sets.items():
            outside = mixed_outputs(start[name], end[name], alpha)
            same = inside.logits.argmax(axis=1) == outside.logits.argmax(axis=1)
            points.append(
                EnsemblePoint(alpha, name, inside.accuracy, outside.accuracy, float(100 * same.mean()))
            )
    return points
