"""WiSE-FT: theta = (1 - alpha) theta_zeroshot + alpha theta_finetuned (Wortsman et al. 2022), key by key."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy.typing as npt

from newtest.clip.weights.arithmetic import check_alike, weighted_sum
from newtest.clip.weights.opening import open_tensors
from newtest.clip.weights.writing import check_writable, write_tensors
from newtest.errors import UsageError

__all__ = ["interpolate", "parse_alphas"]

MOST_ALPHAS = 1001


def interpolate(zeroshot: Path, finetuned: Path, alpha: float, out: Path) -> None:
    """Write the interpolated checkpoint; alpha lies in [0, 1].

    Floating-point tensors are mixed in float64 and rounded once to their own dtype. Integers and booleans
    (counters, position ids) cannot be mixed: they are copied from the nearer end, the fine-tuned one at 1/2. Alpha 0
    and 1 give back the inputs' tensors bit for bit. Raises WeightsError (unreadable, or not the same names, shapes
    and dtypes, which it lists) and UsageError.
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha lies between 0 and 1, got {alpha:g}")
    check_writable(out)
    first, second = open_tensors(zeroshot), open_tensors(finetuned)
    check_alike((first, second))
    nearer = first if alpha < 0.5 else second

    def pieces(name: str) -> Iterator[npt.NDArray[Any]]:
        if alpha in (0, 1) or not first.tensors[name].is_float:
            return nearer.pieces(name)
        return weighted_sum((first, second), (1 - alpha, alpha), name)

    write_tensors(out, first.tensors, pieces)


def parse_alphas(text: str) -> tuple[float, ...]:
    """``0:1:.05`` (first, last, step; both ends included) or ``0,0.25,1``. Raises UsageError."""
    try:
        if ":" in text:
            first, last, step = (Decimal(part) for part in text.split(":"))
            count = int((last - first) / step) + 1
            if not 1 <= count <= MOST_ALPHAS:
                raise ValueError(f"{count} values")
            alphas = [first + step * index for index in range(count)]
        else:
            alphas = [Decimal(part) for part in text.split(",")]
        inside = all(0 <= alpha <= 1 for alpha in alphas)
    except (InvalidOperation, ValueError, ArithmeticError) as error:
        raise UsageError(f"{text!r} is not a list of alphas: write 0:1:.05 or 0,0.5,1") from error
    if not inside:
        raise UsageError(f"{text!r}: every alpha lies between 0 and 1")
    return tuple(sorted({float(alpha) for alpha in alphas}))
