"""Which row of a file of predictions belongs to which image of a set."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["BY_POSITION", "Rows", "looks_like_a_file", "rows_by_id", "rows_by_position"]

BY_POSITION = "rows by position"


@dataclass(frozen=True)
class Rows:
    """``at`` (n,) is the file's row of each image of the set; ``how`` says what was compared, beyond equal names."""

    at: npt.NDArray[np.int64]
    how: str = ""
    unknown: tuple[str, ...] = ()
    """Names of the file that are not images of the set."""


def rows_by_position(evaluated: EvaluationSet, count: int) -> Rows:
    """The k-th row is the k-th image; of a part of a set, also the rows of the whole. Raises Unscorable."""
    n = len(evaluated)
    if evaluated.taken is not None and count == len(evaluated.taken) != n:
        return Rows(np.flatnonzero(evaluated.taken))
    if count != n:
        raise Unscorable("wrong-length", f"{count} predictions for the {n} images of {evaluated.name}")
    return Rows(np.arange(n))


def rows_by_id(evaluated: EvaluationSet, ids: npt.NDArray[np.str_]) -> Rows:
    """Rows by the names of the images: equal; else as paths; else by their last folders, their file names, or these
    without suffix, each only where it names one image and one row alone; then the same by the files of the set.

    Raises Unscorable for empty or repeated names, and for images without a row.
    """
    if (empty := int((ids == "").sum())) > 0:
        raise Unscorable("empty-ids", f"{empty} rows have an empty image id")
    if not evaluated.has_ids:
        return _row_numbers(evaluated, ids)
    known = evaluated.images["image_id"].astype(str).tolist()
    given = ids.tolist()
    exact = _matched(known, given, "")
    if exact is not None and not len(exact.missing):
        return exact.rows
    twice = pd.Index(given)
    if twice.has_duplicates:
        again = twice[twice.duplicated()]
        raise Unscorable("repeated-ids", f"{len(again)} ids come twice, first {again[0]!r}")
    nearest = exact
    for names in _names_of(evaluated, known):
        for name, ours, theirs in _forms(names, given):
            found = _matched([ours(one) for one in names], [theirs(one) for one in given], name)
            if found is not None and not len(found.missing):
                return found.rows
            if found is not None and (nearest is None or len(found.missing) < len(nearest.missing)):
                nearest = found
    raise _absent(known, given, nearest)


def _names_of(evaluated: EvaluationSet, known: list[str]) -> list[list[str]]:
    """The images by their ids; and by the paths of their files, where the set has them: a file that is ``n01/0.png``
    has the id ``n01_0.png`` where other classes have a ``0.png`` too.
    """
    if "file" not in evaluated.images.columns:
        return [known]
    return [known, evaluated.images["file"].astype(str).tolist()]


@dataclass(frozen=True)
class _Match:
    rows: Rows
    missing: npt.NDArray[np.int64]


def _matched(known: Sequence[str], given: Sequence[str], how: str) -> _Match | None:
    """None where a name stands twice among the images that are asked for, or among the rows that answer."""
    rows = pd.Index(given)
    if pd.Index(known).has_duplicates and how:
        return None
    if rows.has_duplicates:
        return None
    at = rows.get_indexer(pd.Index(known)).astype(np.int64)
    used = np.zeros(len(rows), dtype=bool)
    used[at[at >= 0]] = True
    return _Match(Rows(at, how, tuple(rows[~used].astype(str))), np.flatnonzero(at < 0))


Form = Callable[[str], str]


def _forms(known: Sequence[str], given: Sequence[str]) -> list[tuple[str, Form, Form]]:
    deep, theirs = (min(len(_parts(one)) for one in names) for names in (known, given))
    forms: list[tuple[str, Form, Form]] = [
        ("as paths", _path, _path),
        ("as paths without suffix", _bare, _bare),
    ]
    if 1 < deep < theirs:
        forms.append((f"by the last {deep} parts of the path", _last(deep), _last(deep)))
    if 1 < theirs < deep:
        forms.append((f"by the last {theirs} parts of the path", _last(theirs), _last(theirs)))
    forms += [("by file name", _last(1), _last(1)), ("by file name without suffix", _stem, _stem)]
    if all(looks_like_a_file(one) for one in given):
        forms.append(("by the file name of the address", _last(1), _address))
    return forms


_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]+/(?P<path>[^?#]*)", re.IGNORECASE)
_FILE = re.compile(r".*[^/\\]\.(jpe?g|png|gif|webp|bmp|tiff?|avif|heic|jxl|ppm)", re.IGNORECASE | re.DOTALL)


def looks_like_a_file(name: str) -> bool:
    """Whether text can only name a picture: an address, or a name with the suffix of a picture."""
    return _ADDRESS.match(name) is not None or _FILE.fullmatch(name.strip()) is not None


def _address(name: str) -> str:
    found = _ADDRESS.match(name)
    return _last(1)(unquote(found["path"]) if found else name)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _path(name: str) -> str:
    return "/".join(_parts(name))


def _bare(name: str) -> str:
    return f"{_path(name).rpartition('/')[0]}/{_stem(name)}"


def _last(count: int) -> Form:
    return lambda name: "/".join(_parts(name)[-count:])


def _stem(name: str) -> str:
    last = _last(1)(name)
    head, dot, suffix = last.rpartition(".")
    return head if dot and head and suffix.isalnum() and len(suffix) <= 5 else last


def _absent(known: Sequence[str], given: Sequence[str], nearest: _Match | None) -> Unscorable:
    """What the comparison that finds most images leaves without a row."""
    if nearest is None:
        raise AssertionError("repeated names were refused before")
    gone, unknown = nearest.missing, nearest.rows.unknown
    how = f", compared {nearest.rows.how}" if nearest.rows.how else ""
    message = f"{len(gone)} of the {len(known)} images have no prediction, first {known[gone[0]]!r}{how}"
    if unknown:
        message += f"; {len(unknown)} ids of the file are not in the set, first {unknown[0]!r}"
    names = pd.Series([_last(1)(one) for one in given])
    if set(map(_last(1), known)) <= set(names) and names.duplicated().any():
        message += (
            f"; file names alone do not tell the images apart ({names[names.duplicated()].iloc[0]!r} twice)"
        )
    return Unscorable("missing-ids", message)


def _row_numbers(evaluated: EvaluationSet, ids: npt.NDArray[np.str_]) -> Rows:
    """A set without ids: the numbers 0 to N - 1 can only mean its rows."""
    n = len(evaluated) if evaluated.taken is None else len(evaluated.taken)
    rows = pd.Index(ids)
    at = rows.get_indexer(pd.Index([str(row) for row in range(n)])) if rows.is_unique else np.array([-1])
    if len(rows) != n or (at < 0).any():
        raise Unscorable(
            "unknown-ids",
            f"the predictions are keyed by id, but {evaluated.name} has no ids, only an order; give the set as a table "
            "of ids and classes",
        )
    return Rows(at if evaluated.taken is None else at[evaluated.taken], "as row numbers")
