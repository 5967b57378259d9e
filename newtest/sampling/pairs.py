"""Candidates or reference images as plain arrays, checked and in one order: by wnid, then by image id."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from newtest.errors import SamplingError
from newtest.reading.separated import it_has

__all__ = ["REQUIRED", "Pairs", "pairs_of", "share_classes"]

REQUIRED = ("image_id", "wnid", "num_selected", "num_shown")
FLAGS = ("blocked", "no_bytes", "near_duplicate", "unreviewed", "in_parent")
LABELS = ("search_key", "component")


@dataclass(frozen=True)
class Pairs:
    """Pairs of image and class, N of them, sorted by (wnid, image_id); every array has shape (N,).

    ``wnids`` are the classes, sorted (some may have no pair); ``class_index`` points into them.
    ``search_key`` and ``component`` hold None where nothing is known.
    """

    wnids: npt.NDArray[np.object_]
    class_index: npt.NDArray[np.int64]
    image_id: npt.NDArray[np.object_]
    num_selected: npt.NDArray[np.int64]
    num_shown: npt.NDArray[np.int64]
    blocked: npt.NDArray[np.bool_]
    no_bytes: npt.NDArray[np.bool_]
    near_duplicate: npt.NDArray[np.bool_]
    unreviewed: npt.NDArray[np.bool_]
    in_parent: npt.NDArray[np.bool_]
    search_key: npt.NDArray[np.object_]
    component: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.image_id)

    @property
    def wnid(self) -> npt.NDArray[np.object_]:
        """The class of each pair, shape (N,)."""
        return self.wnids[self.class_index]

    def where(self, mask: npt.NDArray[np.bool_]) -> Pairs:
        """The pairs under a mask of shape (N,), with the same classes."""
        arrays = {f.name: getattr(self, f.name)[mask] for f in dataclasses.fields(self) if f.name != "wnids"}
        return dataclasses.replace(self, **arrays)


def pairs_of(frame: pd.DataFrame, what: str) -> Pairs:
    """Read a DataFrame with image_id, wnid, num_selected, num_shown and optional columns.

    Optional: blocked, no_bytes, near_duplicate, unreviewed, in_parent (booleans; absent means False), search_key and
    component (text; absent or null means unknown). ``what`` names the frame in errors. Raises SamplingError:
    a missing column, counts that cannot be, a pair given twice.
    """
    if missing := [column for column in REQUIRED if column not in frame.columns]:
        raise SamplingError(
            f"{what}: column {missing[0]!r} is missing; needed are {', '.join(REQUIRED)}; {it_has(frame.columns)}"
        )
    ids, wnids = _text(frame, "image_id", what), _text(frame, "wnid", what)
    order = pc.sort_indices(
        pa.table({"wnid": wnids, "image_id": ids}), [("wnid", "ascending"), ("image_id", "ascending")]
    ).to_numpy()
    image_id = ids.take(pa.array(order)).to_numpy(zero_copy_only=False)
    codes, names = pd.factorize(wnids.take(pa.array(order)).to_numpy(zero_copy_only=False))
    twice = (codes[1:] == codes[:-1]) & (image_id[1:] == image_id[:-1])
    if twice.any():
        first = int(np.flatnonzero(twice)[0])
        raise SamplingError(
            f"{what}: image {image_id[first]} is given twice for class {names[codes[first]]}; keep one row"
        )
    selected, shown = (_counts(frame, column, what)[order] for column in ("num_selected", "num_shown"))
    if (wrong := np.flatnonzero((selected < 0) | (selected > shown))).size:
        at = int(wrong[0])
        raise SamplingError(
            f"{what}: image {image_id[at]} has num_selected {selected[at]} of num_shown {shown[at]}; "
            "selected lies between 0 and shown"
        )
    flags = {flag: _flag(frame, flag, what)[order] for flag in FLAGS}
    labels = {label: _label(frame, label)[order] for label in LABELS}
    return Pairs(
        np.asarray(names, dtype=object), codes.astype(np.int64), image_id, selected, shown, **flags, **labels
    )


def share_classes(a: Pairs, b: Pairs) -> tuple[Pairs, Pairs]:
    """Both with the same ``wnids``: every class that occurs in either."""
    wnids = np.array(sorted({*a.wnids, *b.wnids}), dtype=object)
    places = {wnid: index for index, wnid in enumerate(wnids)}

    def moved(pairs: Pairs) -> Pairs:
        new = np.array([places[wnid] for wnid in pairs.wnids], dtype=np.int64)
        return dataclasses.replace(pairs, wnids=wnids, class_index=new[pairs.class_index])

    return moved(a), moved(b)


def _text(frame: pd.DataFrame, column: str, what: str) -> pa.StringArray:
    try:
        values = pa.array(frame[column], type=pa.string(), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SamplingError(f"{what}: {column} must be text ({error})") from error
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if values.null_count:
        row = int(np.flatnonzero(frame[column].isna())[0]) + 1
        raise SamplingError(f"{what}: row {row} has no {column}")
    return values


def _counts(frame: pd.DataFrame, column: str, what: str) -> npt.NDArray[np.int64]:
    values = frame[column].to_numpy()
    try:
        counts = values.astype(np.int64)
        whole = bool(np.all(counts == values))
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise SamplingError(f"{what}: {column} must hold whole numbers without gaps")
    return counts


def _flag(frame: pd.DataFrame, column: str, what: str) -> npt.NDArray[np.bool_]:
    if column not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    if not pd.api.types.is_bool_dtype(frame[column]):
        raise SamplingError(f"{what}: {column} must hold true and false only, without gaps")
    return frame[column].to_numpy(dtype=bool)


def _label(frame: pd.DataFrame, column: str) -> npt.NDArray[np.object_]:
    if column not in frame.columns:
        return np.full(len(frame), None, dtype=object)
    values = frame[column].astype(object)
    return values.where(values.notna(), None).to_numpy(dtype=object)
