"""Weighted sums of tensors that are stored in any floating-point format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.weights.tensors import DTYPES, TensorInfo
from newtest.errors import WeightsError

__all__ = ["check_alike", "checked", "converted", "weighted_sum", "widest"]

NAMED_AT_MOST = 8
PREFIXES = ("module.", "_orig_mod.")
"""What wrappers of torch put before every name: parallel training, torch.compile."""

Pieces = Iterator[npt.NDArray[Any]]


def weighted_sum(
    files: Sequence[Pieces], dtypes: Sequence[str], weights: Sequence[float], dtype: str
) -> Pieces:
    """Pieces of sum_i weights[i] * files[i], summed in float64 and rounded once to ``dtype``."""
    for pieces in zip(*files, strict=True):
        total = np.zeros(len(pieces[0]), dtype=np.float64)
        for weight, piece, stored in zip(weights, pieces, dtypes, strict=True):
            total += weight * _widened(piece, stored)
        yield _narrowed(total, dtype)


def converted(pieces: Pieces, stored: str, dtype: str) -> Pieces:
    """The same numbers in another floating-point type; untouched where it is the same one."""
    for piece in pieces:
        yield piece if stored == dtype else _narrowed(_widened(piece, stored), dtype)


def checked(pieces: Pieces, dtype: str, where: str) -> Pieces:
    """The pieces as they are. Raises WeightsError at the first number that is NaN or infinite."""
    for piece in pieces:
        # The exponent of a bfloat16 is all ones for both.
        fine = (piece & 0x7F80) != 0x7F80 if dtype == "BF16" else np.isfinite(piece)
        if not fine.all():
            raise WeightsError(
                f"{where} holds NaN or infinity, and so would the result; `allow_nonfinite` merges it all the same"
            )
        yield piece


def widest(infos: Sequence[TensorInfo]) -> TensorInfo:
    """The type that holds the numbers of all: of different floating-point types the widest, float32 for both halves."""
    dtypes = {info.dtype for info in infos}
    if len(dtypes) == 1:
        return infos[0]
    dtype = next((wide for wide in ("F64", "F32") if wide in dtypes), "F32")
    return TensorInfo(dtype, infos[0].shape)


def check_alike(
    paths: Sequence[Path], files: Sequence[Mapping[str, TensorInfo]], *, mixed_precision: bool = False
) -> None:
    """Raise WeightsError that lists the names, shapes and dtypes in which checkpoints differ from the first, and says
    which field brings them together.
    """
    first = files[0]
    for path, other in zip(paths[1:], files[1:], strict=True):
        there, here = sorted(first.keys() - other.keys()), sorted(other.keys() - first.keys())
        different = [
            name
            for name in sorted(first.keys() & other.keys())
            if first[name] != other[name]
            and not (mixed_precision and _is_precision(first[name], other[name]))
        ]
        described = [
            f"{name} ({a.dtype} {list(a.shape)} against {b.dtype} {list(b.shape)})"
            for name, a, b in ((name, first[name], other[name]) for name in different)
        ]
        if there or here or different:
            differences = [
                *_listed(f"only in {paths[0].name}", there),
                *_listed(f"only in {path.name}", here),
                *_listed("different", described),
            ]
            raise WeightsError(
                f"{paths[0]} and {path} are not the same architecture: {'; '.join(differences)}; "
                f"{_way_out(first, other, different)}"
            )


def _way_out(
    first: Mapping[str, TensorInfo], other: Mapping[str, TensorInfo], different: Sequence[str]
) -> str:
    renamed = first.keys() != other.keys()
    if renamed:
        plain = [{_plain(name) for name in file} for file in (first, other)]
        if {name for name, _ in plain[0]} == {name for name, _ in plain[1]}:
            found = sorted(set().union(*(prefixes for file in plain for _, prefixes in file)))
            return f"`strip_prefix` takes {' and '.join(map(repr, found))} off the names"
    for prefix in _common_prefixes(first) | _common_prefixes(other):
        names = [{name.removeprefix(prefix) for name in file} for file in (first, other)]
        if renamed and names[0] == names[1]:
            return f"`strip_prefix` takes {prefix!r} off the names"
    if different and not renamed and all(_is_precision(first[name], other[name]) for name in different):
        return "`mixed_precision` mixes them and writes the widest type"
    return "`copy` takes tensors from one of them as they are (a new head), `skip` leaves them out"


def _common_prefixes(names: Mapping[str, TensorInfo]) -> set[str]:
    """The first part of the names, where all have the same: ``model.`` of a training framework."""
    parts = (
        {name.partition(".")[0] for name in names if "." in name} if all("." in n for n in names) else set()
    )
    return {f"{part}." for part in parts} if len(parts) == 1 else set()


def _plain(name: str) -> tuple[str, frozenset[str]]:
    """A name without the prefixes of wrappers, and those that it had."""
    had = set()
    if f".{PREFIXES[1]}" in name:
        name = name.replace(f".{PREFIXES[1]}", ".")
        had.add(PREFIXES[1])
    while found := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(found)
        had.add(found)
    return name, frozenset(had)


def _is_precision(one: TensorInfo, other: TensorInfo) -> bool:
    return one.is_float and other.is_float and one.shape == other.shape


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
