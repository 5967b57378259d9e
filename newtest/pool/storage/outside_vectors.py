"""Vectors that were made elsewhere: an ``.npy`` in row order, an ``.npz`` with any key, a folder of clip-retrieval.

They are the rows of the whole pool in its own order, one vector each; a row of NaN or zeros is one without.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy.typing as npt

from newtest.errors import PoolError
from newtest.reading.arrays import load_array, open_arrays

__all__ = ["outside_vectors"]

_UNREADABLE = (OSError, ValueError, KeyError)


def outside_vectors(place: str, rows: int) -> list[npt.NDArray[Any]]:
    """The arrays of ``FILE.npy``, ``FILE.npz``, ``FILE.npz:KEY`` or a clip-retrieval folder (``img_emb/*.npy``).

    Together they have ``rows`` rows. Raises PoolError.
    """
    path, key = Path(place), None
    if not path.exists() and ":" in place:
        name, _, key = place.rpartition(":")
        path = Path(name)
    if path.is_dir():
        folder = next(
            (path / name for name in ("img_emb", "image_embeddings") if (path / name).is_dir()), path
        )
        files = sorted(folder.glob("*.npy"), key=_by_number)
    else:
        files = [path]
    arrays = [_read(file, key) for file in files]
    if not arrays:
        raise PoolError(
            f"{place}: no .npy here; vectors are FILE.npy, FILE.npz:KEY or a folder of clip-retrieval"
        )
    widths = {array.shape[1] for array in arrays}
    if len(widths) > 1:
        raise PoolError(f"{place}: vectors of {' and '.join(map(str, sorted(widths)))} numbers in one place")
    total = sum(map(len, arrays))
    if total != rows:
        raise PoolError(
            f"{place}: {total:,} vectors for {rows:,} rows of the pool; there must be one per row, in its order"
        )
    return arrays


def _by_number(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.stem)
    return (int(digits[-1]) if digits else -1, path.name)


def _read(path: Path, key: str | None) -> npt.NDArray[Any]:
    try:
        if path.suffix == ".npz":
            with open_arrays(path) as arrays:
                names = [name for name in arrays.files if arrays[name].ndim == 2] if key is None else [key]
                if len(names) != 1 or names[0] not in arrays.files:
                    raise PoolError(
                        f"{path}: holds {', '.join(arrays.files)}; say which one it is as {path}:KEY"
                    )
                array = arrays[names[0]]
        else:
            array = load_array(path, mapped=True)
    except _UNREADABLE as error:
        raise PoolError(f"{path}: cannot be read as vectors ({error})") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise PoolError(f"{path}: vectors are (rows, numbers), this array is {array.shape} of {array.dtype}")
    found: npt.NDArray[Any] = array
    return found
