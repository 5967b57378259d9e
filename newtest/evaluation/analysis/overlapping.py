"""Which images of a set are in a training set too: by ids, by the pairs of a pool, or by a study's verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.catalog.duplicates import close_pairs, latest_verdicts, members_with_bytes, scopes
from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.store import StoredSet
from newtest.reading.texts import read_lines
from newtest.study import Study

__all__ = ["Overlapping", "overlapping"]

_TABLES = (".parquet", ".csv", ".tsv")


@dataclass(frozen=True)
class Overlapping:
    """``mask`` (N,) in the order of the set's images. ``unknown`` names of the source are not images of the set,
    ``waiting`` images of the set have close pairs in the training set that nobody has judged.
    """

    mask: npt.NDArray[np.bool_] = field(repr=False)
    unknown: int = 0
    waiting: int = 0


def overlapping(stored: StoredSet, source: Path, training: str | None = None) -> Overlapping:
    """Read ``source``: a study's folder, whose pairs judged duplicates between the set and the reference ``training``
    count (None: the only other reference there is); the pairs that ``newtest decontaminate-pool`` wrote, or any
    table with the column ``image`` or ``image_id``; else a text file with an id a line.

    An image is known by its id, by its place in the release, or, where the pool was compared with an ``.npy``, by its
    row. Raises EvaluationError when none of the names is an image of the set.
    """
    if source.is_dir():
        return _from_study(stored, source, training)
    known = _known(stored.images)
    if source.suffix in _TABLES:
        names, are_rows = _from_table(stored, source)
        if are_rows:
            known = {str(row): row for row in range(len(stored.images))}
    else:
        names = _from_lines(source)
    found = {known[name] for name in names if name in known}
    if names and not found:
        raise EvaluationError(
            f"{source}: none of its {len(names)} names is an image of {stored.name}, first {min(names)!r}"
        )
    return Overlapping(_mask(stored, found), unknown=sum(name not in known for name in names))


def _mask(stored: StoredSet, rows: Iterable[int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(stored.images), dtype=bool)
    mask[sorted(rows)] = True
    return mask


def _known(images: pd.DataFrame) -> Mapping[str, int]:
    """Every name of an image -> its row: its id; its file in the release; its tar and key, as a pool names it."""
    known: dict[str, int] = {}
    if "file" in images.columns:
        for row, file in enumerate(images["file"].astype(str)):
            tar, inside, key = file.partition("#")
            known[f"{tar}:{PurePosixPath(key).with_suffix('')}" if inside else file] = row
    known.update((image_id, row) for row, image_id in enumerate(images["image_id"].astype(str)))
    return known


def _from_lines(path: Path) -> set[str]:
    try:
        lines = read_lines(path)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read as a list of ids ({error})") from error
    return {line.strip() for line in lines if line.strip()}


def _from_table(stored: StoredSet, path: Path) -> tuple[set[str], bool]:
    """Names of images, and whether they are rows of an array of vectors."""
    frame = read_frame(path)
    column = next((name for name in ("image", "image_id") if name in frame.columns), None)
    if column is None:
        raise EvaluationError(f"{path}: pairs or ids have the column image or image_id")
    if "set" not in frame.columns:
        return set(frame[column].astype(str)), False
    sets = frame["set"].astype(str)
    addresses = sorted(set(sets))
    if len(addresses) > 1:
        addresses = [address for address in addresses if _is(address, stored.name)]
        if len(addresses) != 1:
            raise EvaluationError(
                f"{path}: pairs of {', '.join(sorted(set(sets)))}; none or several are called {stored.name}: "
                "give a file of one set's pairs"
            )
    names = set(frame.loc[sets.isin(addresses), column].astype(str))
    return names, bool(addresses) and addresses[0].endswith(".npy")


def _is(address: str, name: str) -> bool:
    place = PurePosixPath(address)
    return name in (address, place.name, place.stem)


def _from_study(stored: StoredSet, folder: Path, training: str | None) -> Overlapping:
    if not (folder / "study.sqlite").exists():
        raise EvaluationError(
            f"{folder}: a folder that is not a study; give one, a table of pairs, or a list of ids"
        )
    with Study(folder) as study:
        references = [scope.removeprefix("reference:") for scope in scopes(study.catalog) if scope != "pool"]
        others = [name for name in references if name not in (stored.name, training)]
        if training is None and len(others) == 1:
            training = others[0]
        if training not in references:
            raise EvaluationError(
                f"{folder}: name the training set among its references with `training`: "
                f"{', '.join(others) or 'none yet; newtest reference add, then newtest dedup'}"
            )
        theirs = {image_id for image_id, _ in members_with_bytes(study.catalog, f"reference:{training}")}
        verdicts, close = latest_verdicts(study.catalog), close_pairs(study.catalog)
    row_of = {image_id: row for row, image_id in enumerate(stored.images["image_id"].astype(str))}
    judged = set(zip(verdicts["image_a"], verdicts["image_b"], strict=True))
    same = verdicts.loc[verdicts["duplicate"].astype(bool), ["image_a", "image_b"]]
    found = _ours(same.itertuples(index=False), row_of, theirs) | {
        row for image_id, row in row_of.items() if image_id in theirs
    }
    pairs = set(zip(close["image_a"], close["image_b"], strict=True)) - judged
    return Overlapping(_mask(stored, found), waiting=len(_ours(pairs, row_of, theirs) - found))


def _ours(pairs: Iterable[tuple[str, str]], row_of: Mapping[str, int], theirs: set[str]) -> set[int]:
    """Rows of the set's images that are paired with one of the training set's."""
    both = ((one, other) for a, b in pairs for one, other in ((a, b), (b, a)))
    return {row_of[one] for one, other in both if one in row_of and other in theirs}
