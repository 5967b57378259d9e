"""WiSE-FT: theta = (1 - alpha) theta_zeroshot + alpha theta_finetuned (Wortsman et al. 2022), key by key."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path

from newtest.clip.weights.merging import MergeConfig, Merged, opened
from newtest.clip.weights.recalibration import Recalibration, write_merged
from newtest.clip.weights.writing import check_writable
from newtest.errors import UsageError

__all__ = ["interpolate", "parse_alphas"]

MOST_ALPHAS = 1001


def interpolate(
    zeroshot: Path,
    finetuned: Path,
    alpha: float,
    out: Path,
    config: MergeConfig | None = None,
    recalibrate: Recalibration | None = None,
) -> Merged:
    """Write the interpolated checkpoint; alpha lies in [0, 1].

    Floating-point tensors are mixed in float64 and rounded once to their own dtype. Integers and booleans
    (counters, position ids) cannot be mixed: they are copied from the nearer end, the fine-tuned one at 1/2. Alpha 0
    and 1 give back the inputs' tensors bit for bit. Raises WeightsError (unreadable, not finite, or not the same
    names, shapes and dtypes, which it lists) and UsageError.
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha lies between 0 and 1, got {alpha:g}")
    check_writable(out)
    merged = opened((zeroshot, finetuned), config, prefer=1)
    weights, nearer = (1 - alpha, alpha), int(alpha >= 0.5)
    write_merged(out, merged, lambda name: merged.mixed(name, weights, nearer), recalibrate)
    return merged


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
