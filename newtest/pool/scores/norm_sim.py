"""NormSim: how close an image lies to a target set, for any set of images or vectors.

Wang et al. 2024 (arXiv 2405.19547, section 3.2): with unit vectors f of the same encoder,

    NormSim_p(x) = ( sum over t in the target of |f(t) . f(x)|^p )^(1/p)

For p = 2 this is the square root of f(x)' G f(x) with G the sum of the f(t) f(t)', so the target's size costs nothing
per row. For p = infinity it is the largest |f(t) . f(x)|: the nearest image of the target decides. The paper keeps the
30 % with the best negCLIPLoss, and of these the ones among the 20 % with the best NormSim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.neighbors.kmeans import nearest
from newtest.neighbors.rows import Rows, similarities

__all__ = ["NORMS", "NormSim"]

Floats = npt.NDArray[np.floating[Any]]
NORMS = ("2", "inf")
PART = 1 << 16
"""Images of a target that are looked at at a time."""


@dataclass(frozen=True)
class NormSim:
    """Scores of rows against a target: its unit rows (t, d), or for "2" the sum of their outer products (d, d)."""

    target: npt.NDArray[np.floating[Any]]
    norm: str = "inf"
    device: str = "auto"

    @classmethod
    def of(cls, target: npt.NDArray[np.float32], norm: str = "inf", device: str = "auto") -> NormSim:
        """Of a target's unit rows (t, d). Raises UsageError for a norm that is not one of ``NORMS``."""
        if norm not in NORMS:
            raise UsageError(f"`norm` is {' or '.join(NORMS)}, not {norm!r}")
        if norm == "inf":
            return cls(target, norm, device)
        total = np.zeros((target.shape[1],) * 2)
        for start in range(0, len(target), PART):
            part = target[start : start + PART].astype(np.float64)
            total += part.T @ part
        return cls(total, norm, device)

    def scores(self, rows: Floats) -> npt.NDArray[np.float32]:
        """NormSim of unit rows (n, d), (n,): sums in float64, rounded to float32."""
        if self.norm == "inf":
            return self._largest(rows).astype(np.float32)
        wide = rows.astype(np.float64)
        squares = np.einsum("nd,nd->n", wide @ self.target, wide)
        return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)

    def _largest(self, rows: Floats) -> npt.NDArray[np.float64]:
        """The nearest of the target and the farthest one, found exactly, and their products in float64."""
        best = np.zeros(len(rows))
        own = Rows(np.asarray(rows, np.float32), 1.0, 1.0)
        each = np.arange(len(rows))
        for start in range(0, len(self.target), PART):
            part = np.asarray(self.target[start : start + PART], np.float32)
            for signed in (part, -part):  # |product|: one that points away counts as one that is as close
                chosen = nearest(rows, signed, device=self.device)[:, 0]
                found = similarities(own, Rows(signed, 1.0, 1.0), each, chosen)
                best = np.maximum(best, np.asarray(found, np.float64))
        return best
