"""Where the bytes of a set's images are: class folders, and the files that a manifest names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from newtest.errors import EvaluationError
from newtest.sets import Census, archive_of, read_class_folders

__all__ = ["image_folder", "with_paths"]


def image_folder(root: Path) -> tuple[pd.DataFrame, Census]:
    """Class folders, ids by the rule of ``newtest.sets.ids_of``; ``file`` is the path below the root."""
    try:
        found = read_class_folders(root)
    except OSError as error:
        raise EvaluationError(f"{root}: cannot be read ({error.strerror or error})") from error
    if not found.images:
        raise EvaluationError(
            f"{root}: neither a manifest nor class folders with pictures: the set has no images "
            f"({found.census.says()})"
        )
    rows = [(image.image_id, image.cls, image.file, str(image.path)) for image in found.images]
    return pd.DataFrame(rows, columns=["image_id", "class", "file", "path"]), found.census


def with_paths(frame: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Paths of the files of a manifest, or addresses in its tars and Parquet tables (``newtest.sets.image_at``); a name
    that leaves the folder is not a path of ours, and is left without one.
    """
    if "file" not in frame.columns or "path" in frame.columns:
        return frame
    base, files = root.resolve(), frame["file"].astype(str)
    if {"wnid", "image_id"} <= set(frame.columns):
        names = frame["wnid"].astype(str) + "/" + frame["image_id"].astype(str)
        files = files.where(~files.str.endswith(".parquet"), files + "#" + names)
    return frame.assign(path=[_below(base, file) for file in files])


def _below(base: Path, file: object) -> str:
    """Where a manifest's file is, "" for a name that leaves the folder, for one that no file can have (NUL), and for a
    missing one.
    """
    if not isinstance(file, str):
        return ""
    archive = archive_of(file)
    try:
        place = (base / archive).resolve()
    except ValueError:
        return ""
    return f"{place}{file[len(archive) :]}" if place.is_relative_to(base) else ""
