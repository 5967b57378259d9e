"""Weighted sums of tensors that are stored in any floating-point format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.weights.tensors import DTYPES, TensorFile
from newtest.errors import WeightsError

__all__ = ["check_alike", "weighted_sum"]

NAMED_AT_MOST = 8


def weighted_sum(
    files: Sequence[TensorFile], weights: Sequence[float], name: str
) -> Iterator[npt.NDArray[Any]]:
    """Pieces of sum_i weights[i] * files[i][name], summed in float64 and rounded once to the stored dtype."""
    dtype = files[0].tensors[name].dtype
    for pieces in zip(*(file.pieces(name) for file in files), strict=True):
        total = np.zeros(len(pieces[0]), dtype=np.float64)
        for weight, piece in zip(weights, pieces, strict=True):
            total += weight * _widened(piece, dtype)
        yield _narrowed(total, dtype)


def check_alike(files: Sequence[TensorFile]) -> None:
    """Raise WeightsError that lists the names, shapes and dtypes in which checkpoints differ from the first."""
    first = files[0]
    for other in files[1:]:
        differences = [
            *_listed(f"only in {first.path.name}", sorted(first.tensors.keys() - other.tensors.keys())),
            *_listed(f"only in {other.path.name}", sorted(other.tensors.keys() - first.tensors.keys())),
            *_listed(
                "different",
                [
                    f"{name} ({a.dtype} {list(a.shape)} against {b.dtype} {list(b.shape)})"
                    for name in sorted(first.tensors.keys() & other.tensors.keys())
                    if (a := first.tensors[name]) != (b := other.tensors[name])
                ],
            ),
        ]
        if differences:
            raise WeightsError(
                f"{first.path} and {other.path} are not the same architecture: {'; '.join(differences)}"
            )


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return [f"{what}: {', '.join(names[:NAMED_AT_MOST])}{more}"]


def _widened(piece: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float64]:
    if dtype == "BF16":  # bfloat16 is the upper half of a float32
        piece = (piece.astype(np.uint32) << 16).view(np.float32)
    return piece.astype(np.float64)


def _narrowed(values: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[Any]:
    if dtype != "BF16":
        return values.astype(DTYPES[dtype])
    bits = values.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to nearest, ties to even
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)
