"""A set to score on: image ids, the true class of each, and the order of the classes that a model's numbers mean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import read_frame

__all__ = ["EvaluationSet", "find_set", "make_set", "read_classes", "read_names", "read_set"]

_ID_COLUMNS = ("image_id", "id", "file", "filename", "image")
_CLASS_COLUMNS = ("wnid", "class", "label", "target")
_MANIFESTS = ("manifest.parquet", "manifest.csv")
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True)
class EvaluationSet:
    """``labels`` (N,) are positions in ``classes``; ``images`` has a row an image, in the same order."""

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

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def hash(self) -> str:
        """Names the members: of (id, class) in any order where there are ids, else of the classes in their order."""
        classes = [self.classes[label] for label in self.labels]
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
    path = Path(which)
    if path.exists():
        return read_set(path, name=name, classes=classes)
    if not (study / "study.sqlite").exists():
        raise EvaluationError(
            f"{which}: no such file or folder, and no study to look for a revision of that name (`study`)"
        )
    from newtest.catalog.evaluation import members
    from newtest.study import Study

    with Study(study) as opened:
        frame = members(opened.catalog, which)
        frame["path"] = [str(opened.image_path(sha)) if sha else "" for sha in frame.pop("sha256")]
    return make_set(frame, name or which, source=f"{study}: {which}", classes=classes)


def read_set(path: Path, *, name: str | None = None, classes: tuple[str, ...] | None = None) -> EvaluationSet:
    """Read a set: a release (a folder with a manifest), an ImageFolder, ImageNetV2's dataset JSON
    (``image_filenames``: pairs of id and wnid), a CSV or Parquet table (an id column and ``wnid``, ``class`` or
    ``label``), or an ``.npy`` of labels. Raises EvaluationError.
    """
    title = name or path.name.removesuffix(path.suffix if path.is_file() else "")
    if path.is_dir():
        manifest = next((path / m for m in _MANIFESTS if (path / m).exists()), None)
        frame = _with_paths(read_frame(manifest), path) if manifest else _image_folder(path)
    elif path.suffix == ".json":
        frame = _dataset_json(path)
    elif path.suffix == ".npy":
        frame = pd.DataFrame({"label": _labels(path)})
    else:
        frame = _with_paths(read_frame(path), path.parent)
    made = make_set(frame, title, source=str(path), classes=classes)
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
    column = column or next((c for c in _CLASS_COLUMNS if c in frame.columns), None)
    if column is None:
        raise EvaluationError(f"{source}: no class column; one of {', '.join(_CLASS_COLUMNS)} is wanted")
    if frame.empty:
        raise EvaluationError(f"{source}: the set has no images")
    if frame[column].isna().any():
        raise EvaluationError(f"{source}: {int(frame[column].isna().sum())} rows have no {column}")
    names = frame[column].astype(str)
    order = classes or _ordered(names, whole=pd.api.types.is_integer_dtype(frame[column]))
    position = {cls: at for at, cls in enumerate(order)}
    labels = names.map(position)
    if labels.isna().any():
        raise EvaluationError(
            f"{source}: class {names[labels.isna()].iloc[0]!r} is not among the {len(order)} classes given"
        )
    ids = next((c for c in _ID_COLUMNS if c in frame.columns), None)
    images = frame.drop(columns=[c for c in ("image_id", "class") if c in frame.columns])
    images.insert(0, "class", names)
    images.insert(0, "image_id", frame[ids].astype(str) if ids else [str(at) for at in range(len(frame))])
    return EvaluationSet(
        name,
        source,
        tuple(order),
        np.array(labels.tolist(), dtype=np.int64),
        images.reset_index(drop=True),
        ids is not None,
    )


def read_classes(path: Path) -> tuple[str, ...]:
    """The classes in the order of a model's outputs: a text file, one a line (its first word), or JSON: a list of
    names, or ImageNetV2's ``class_info.json`` (``cid`` and ``wnid``). Raises EvaluationError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            entries = json.loads(text)
            if entries and isinstance(entries[0], dict):
                entries = [entry["wnid"] for entry in sorted(entries, key=lambda entry: entry["cid"])]
            names = tuple(str(entry) for entry in entries)
        else:
            names = tuple(line.split()[0] for line in text.splitlines() if line.strip())
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(f"{path}: not a list of classes ({error})") from error
    if len(set(names)) < len(names) or not names:
        raise EvaluationError(f"{path}: {'a class is named twice' if names else 'no classes'}")
    return names


def read_names(path: Path) -> tuple[str, ...]:
    """Classes in words, in the order of ``read_classes``: a line a class, a JSON list, or ``class_info.json``
    (the first lemma of each synset). Raises EvaluationError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        entries = json.loads(text)
        if entries and isinstance(entries[0], dict):
            entries = [entry["synset"][0] for entry in sorted(entries, key=lambda entry: entry["cid"])]
        return tuple(str(entry) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(f"{path}: not a list of class names ({error})") from error


def _ordered(names: pd.Series, *, whole: bool) -> tuple[str, ...]:
    unique = names.unique().tolist()
    if all(name.isascii() and name.isdigit() for name in unique):
        if whole:  # labels: the classes are 0 to the largest, whether or not each has an image
            return tuple(str(at) for at in range(max(map(int, unique)) + 1))
        return tuple(sorted(unique, key=int))
    return tuple(sorted(unique))


def _dataset_json(path: Path) -> pd.DataFrame:
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        members = members["image_filenames"] if isinstance(members, dict) else members
        return pd.DataFrame(
            [(str(image), str(wnid)) for image, wnid in members], columns=["image_id", "wnid"]
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(
            f"{path}: not a dataset in ImageNetV2's JSON (image_filenames: pairs of id and wnid): {error}"
        ) from error


def _labels(path: Path) -> npt.NDArray[np.int64]:
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: not a readable .npy ({error})") from error
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise EvaluationError(
            f"{path}: labels are one row of whole numbers, this is {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and labels.min() < 0:
        raise EvaluationError(f"{path}: a label is negative")
    return np.asarray(labels, dtype=np.int64)


def _image_folder(root: Path) -> pd.DataFrame:
    rows = [
        (str(file.relative_to(root)), folder.name, str(file))
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in _PICTURES
    ]
    if not rows:
        raise EvaluationError(
            f"{root}: neither a manifest nor class folders with pictures: the set has no images"
        )
    return pd.DataFrame(rows, columns=["image_id", "class", "path"])


def _with_paths(frame: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Paths of the files of a manifest; a name that leaves the folder is no path of ours, and is left without one."""
    if "file" not in frame.columns or "path" in frame.columns:
        return frame
    base = root.resolve()
    found = [(base / str(file)).resolve() for file in frame["file"]]
    return frame.assign(path=[str(path) if path.is_relative_to(base) else "" for path in found])
