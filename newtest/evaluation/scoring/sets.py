"""A set to score on: image ids, the true class of each, and the order of the classes that a model's numbers mean."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.names import is_id
from newtest.evaluation.scoring.set_forms import (
    CLASS_COLUMNS,
    SECOND_LABELS,
    file_frame,
    table_frame,
    with_second_labels,
)
from newtest.evaluation.scoring.set_paths import image_folder, with_paths
from newtest.reading.separated import it_has
from newtest.sets import Census

__all__ = ["EvaluationSet", "find_set", "id_column", "make_set", "read_set"]

_ID_COLUMNS = ("image_id", "id", "file", "filename", "image")
"""Taken first, in this order; then any other column that ``names.is_id`` knows."""
_MANIFESTS = ("manifest.parquet", "manifest.csv")
_OF_STUDY = "study:"
"""Before a name: the study's revision or reference, and not a file or folder of that name."""


MOST_CLASSES = 1_000_000
"""Of a set whose labels are numbers. ImageNet-21k has 21,843."""


@dataclass(frozen=True)
class EvaluationSet:
    """``labels`` (N,) are positions in ``classes``; ``images`` has a row per image, in the same order."""

    name: str
    source: str
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64] = field(repr=False)
    images: pd.DataFrame = field(repr=False)
    """``image_id``, ``class``, and every column of the manifest; ``path`` where the bytes are known ("" where not)."""
    has_ids: bool = True
    """False: the rows have no names, and predictions can only come in this order."""
    taken: npt.NDArray[np.bool_] | None = field(default=None, repr=False)
    """Of a part of a set: which rows of the whole it took, for predictions in the order of the whole."""
    census: Census | None = None
    """Of a folder: its files, images and what was left out."""

    also: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    """Further true classes of images that show several, (N, M), -1 for none; any of them is right."""
    given: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    """The one class (N,) that the set gives each image, where its labels come from elsewhere; None: ``labels``. -1: a
    class that is not scored."""
    unlabelled: int = 0
    """Images of the source that have no true class, and are not in the set."""

    def __len__(self) -> int:
        return len(self.labels)

    def truths(self) -> list[npt.NDArray[np.int64]]:
        """The true classes as (N,) arrays: the first, then further ones, with the first again where there is none."""
        if self.also is None:
            return [self.labels]
        return [self.labels, *(np.where(more < 0, self.labels, more) for more in self.also.T)]

    def agree(self, answers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which answers, (N,) or (N, K), are a true class of their image."""
        truths = [truth if answers.ndim == 1 else truth[:, None] for truth in self.truths()]
        return np.asarray(np.logical_or.reduce([answers == truth for truth in truths]), dtype=np.bool_)

    @property
    def own(self) -> npt.NDArray[np.int64]:
        """The one class (N,) that stands for each image: the given one, else the first of its labels."""
        return self.labels if self.given is None else np.where(self.given < 0, self.labels, self.given)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many true classes each image has, (N,)."""
        more = 0 if self.also is None else (self.also >= 0).sum(axis=1)
        return np.asarray(np.ones(len(self), dtype=np.int64) + more, dtype=np.int64)

    @property
    def has_several(self) -> bool:
        """Whether its labels are more than one class per image that the set itself gives."""
        return self.also is not None or self.given is not None

    @cached_property
    def hash(self) -> str:
        """Names the members: of (id, class) in any order where there are ids, else of the classes in their order."""
        classes: list[Any] = [self.classes[label] for label in self.labels]
        if self.also is not None:
            classes = [
                [first, *(self.classes[at] for at in more if at >= 0)] if (more >= 0).any() else first
                for first, more in zip(classes, self.also, strict=True)
            ]
        if self.given is not None:
            classes = [[at, own] for at, own in zip(self.given.tolist(), classes, strict=True)]
        if self.has_ids:
            return _digest(sorted(zip(self.images["image_id"].astype(str), classes, strict=True)))
        return _digest(classes)


def _digest(members: list[Any]) -> str:
    """sha256 of the members as JSON; ``config.fingerprint`` looks into each of 50,000 pairs and takes ten times as
    long.
    """
    return hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).hexdigest()


def find_set(
    which: str, study: Path, name: str | None = None, classes: tuple[str, ...] | None = None
) -> EvaluationSet:
    """A set by its path, or by the name of a revision or reference of the study. Raises EvaluationError, StudyError."""
    path, has_study = Path(which), (study / "study.sqlite").exists()
    if path.exists():
        made = read_set(path, name=name, classes=classes)
        if has_study and path.name == which:
            _refuse_two_meanings(which, study, made, classes)
        return made
    which = which.removeprefix(_OF_STUDY)
    if not has_study:
        raise EvaluationError(
            f"{which}: no such file or folder, and no study to look for a revision of that name (`study`)"
        )
    return _of_study(which, study, name, classes)


def _refuse_two_meanings(
    which: str, study: Path, found: EvaluationSet, classes: tuple[str, ...] | None
) -> None:
    """Raises EvaluationError where a name is that of a file or folder and of another set of the study too."""
    from newtest.catalog.evaluation import has_set
    from newtest.study import Study

    with Study(study) as opened:
        if not has_set(opened.catalog, which):
            return
    if _of_study(which, study, None, classes).hash != found.hash:
        raise EvaluationError(
            f"{which} is a path here and also a set of the study {study}, and they hold different images; "
            f"write ./{which} for the path, or {_OF_STUDY}{which} for the study's"
        )


def _of_study(which: str, study: Path, name: str | None, classes: tuple[str, ...] | None) -> EvaluationSet:
    from newtest.catalog.evaluation import members
    from newtest.catalog.second_labels import has_proposals
    from newtest.crowd.second_labels import labels_of_images, second_label_votes
    from newtest.study import Study

    with Study(study) as opened:
        frame = members(opened.catalog, which)
        if has_proposals(opened.catalog):
            frame = with_second_labels(frame, labels_of_images(second_label_votes(opened)))
        frame["path"] = [str(opened.image_path(sha)) if sha else "" for sha in frame.pop("sha256")]
    return make_set(frame, name or which, source=f"{study}: {which}", classes=classes)


def read_set(path: Path, *, name: str | None = None, classes: tuple[str, ...] | None = None) -> EvaluationSet:
    """Read a set: a release (a folder with a manifest), an ImageFolder, ImageNetV2's dataset JSON
    (``image_filenames``: pairs of id and wnid), a CSV or Parquet table (an id column and ``wnid``, ``class`` or
    ``label``), or an ``.npy`` of labels. Raises EvaluationError.
    """
    plain = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    title = name or (plain.removesuffix(Path(plain).suffix) if path.is_file() else path.name)
    census = None
    if path.is_dir():
        manifest = next((path / m for m in _MANIFESTS if (path / m).exists()), None)
        if manifest is None:
            frame, census = image_folder(path)
        else:
            frame = with_paths(table_frame(manifest), path)
    else:
        frame = with_paths(file_frame(path), path.parent)
    made = replace(make_set(frame, title, source=str(path), classes=classes), census=census)
    again = made.images.duplicated(["image_id", "class"])
    if again.any():
        first = made.images[again].iloc[0]
        raise EvaluationError(
            f"{path}: {int(again.sum())} rows repeat an image of a class, first {first['image_id']!r} of "
            f"{first['class']!r}; it would count twice: remove the repetition"
        )
    return made


def make_set(
    frame: pd.DataFrame,
    name: str,
    *,
    source: str = "table",
    classes: tuple[str, ...] | None = None,
    column: str | None = None,
) -> EvaluationSet:
    """A set from a DataFrame with a class column and, if the rows have names, an id column. Raises EvaluationError.

    Without ``classes`` their order is that of the sorted names (numbers by value), which is the rank of the wnid.
    ``column`` names the class column; else it is the first of wnid, class, label and target.
    """
    column = column or next((c for c in CLASS_COLUMNS if c in frame.columns), None)
    if column is None:
        raise EvaluationError(
            f"{source}: no class column; one of {', '.join(CLASS_COLUMNS)} is needed; {it_has(frame.columns)}"
        )
    ids = id_column(frame)
    some = _has_label(frame[column])
    frame = frame if some.all() else frame[some]
    if frame.empty:
        raise EvaluationError(f"{source}: the set has no images")
    listed = [cell if isinstance(cell, list) else [cell] for cell in _cells(frame[column])]
    if SECOND_LABELS in frame.columns:
        listed = [
            [*first, *(more if isinstance(more, list) else [])]
            for first, more in zip(listed, _cells(frame[SECOND_LABELS]), strict=True)
        ]
    strange = next(
        (cls for cell in listed for cls in cell if isinstance(cls, dict | list | np.ndarray)), None
    )
    if strange is not None:
        raise EvaluationError(
            f"{source}: {str(strange)[:60]!r} is given as a class; a class is a name or a number"
        )
    empty = sum(any(_is_empty(cls) for cls in cell) for cell in listed)
    if empty:
        raise EvaluationError(f"{source}: {empty} rows have no {column}")
    every = pd.Series([_text(cls) for cell in listed for cls in cell], dtype=object)
    whole = all(
        isinstance(cls, int | np.integer) and not isinstance(cls, bool) for cell in listed for cls in cell
    )
    order = classes or _ordered(every, source, whole=whole)
    position = {cls: at for at, cls in enumerate(order)}
    unknown = [cls for cls in every if cls not in position]
    if unknown:
        raise EvaluationError(f"{source}: class {unknown[0]!r} is not among the {len(order)} classes given")
    placed = [[position[_text(cls)] for cls in dict.fromkeys(cell)] for cell in listed]
    images = frame.drop(columns=[c for c in ("image_id", "class") if c in frame.columns])
    images.insert(0, "class", [order[cell[0]] for cell in placed])
    names = _image_ids(frame[ids], source) if ids else [str(at) for at in range(len(frame))]
    images.insert(0, "image_id", names)
    return EvaluationSet(
        name,
        source,
        tuple(order),
        np.array([cell[0] for cell in placed], dtype=np.int64),
        images.reset_index(drop=True),
        ids is not None,
        also=_further(placed),
        taken=None if some.all() else some,
        unlabelled=int((~some).sum()),
    )


def id_column(frame: pd.DataFrame) -> str | None:
    """The column that names the images; None where there is none."""
    return next((c for c in _ID_COLUMNS if c in frame.columns), None) or next(
        (str(c) for c in frame.columns if is_id(c) and c not in ("path", "key")), None
    )


def _has_label(cells: pd.Series) -> npt.NDArray[np.bool_]:
    """Not the images whose list of true classes is empty: nobody could be right or wrong there."""
    empty = [isinstance(cell, list | tuple | np.ndarray) and len(cell) == 0 for cell in cells]
    return ~np.array(empty, dtype=bool)


def _cells(cells: pd.Series) -> list[Any]:
    return [list(cell) if isinstance(cell, tuple | np.ndarray) else cell for cell in cells]


def _is_empty(cls: Any) -> bool:
    return cls is None or cls == "" or bool(pd.isna(cls))


def _text(cls: Any) -> str:
    if isinstance(cls, float | np.floating) and float(cls).is_integer():
        return str(int(cls))
    return cls.decode() if isinstance(cls, bytes) else str(cls)


def _image_ids(cells: pd.Series, source: str) -> list[str]:
    empty = int(sum(_is_empty(cell) for cell in cells))
    if empty:
        raise EvaluationError(f"{source}: {empty} rows have an empty {cells.name}")
    return [_text(cell) for cell in cells]


def _further(placed: list[list[int]]) -> npt.NDArray[np.int64] | None:
    most = max(map(len, placed))
    if most == 1:
        return None
    further = np.full((len(placed), most - 1), -1, dtype=np.int64)
    for at, cell in enumerate(placed):
        further[at, : len(cell) - 1] = cell[1:]
    return further


def _ordered(names: pd.Series, source: str, *, whole: bool) -> tuple[str, ...]:
    unique = names.unique().tolist()
    if all(name.isascii() and name.isdigit() for name in unique):
        if whole:  # labels: the classes are 0 to the largest, whether or not each has an image
            largest = max(map(int, unique))
            if largest >= MOST_CLASSES:
                raise EvaluationError(
                    f"{source}: a label is {largest}, and a set has at most {MOST_CLASSES:,} classes; name the classes "
                    "in a table with a column class"
                )
            return tuple(str(at) for at in range(largest + 1))
        return tuple(sorted(unique, key=int))
    return tuple(sorted(unique))
