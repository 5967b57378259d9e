"""Results on disk: one folder per set, with its rows, its images, and the correctness of every image.

::

    RESULTS/
      b-33-1f2e3d4c/            the set's name and the first digits of its hash
        set.json                name, hash, number of images and classes, source
        images.parquet          image_id, class, and every column of the manifest
        results.csv             a row per model and measure: k, n, accuracy, other metrics, how its answers were read
        correct.npz             models (M,), among (M,), correct (M, N) as packed bits: which images each got right;
                                given (M, N) of sets with several labels per image: by the class that the set gives
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.results import RESULT_COLUMNS
from newtest.evaluation.scoring.score import Score
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.files import atomic_path, bytes_of, own_descriptor, write_atomic
from newtest.outputs import mark_folder
from newtest.reading.arrays import open_arrays
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import read_parquet
from newtest.reading.separated import read_separated

__all__ = ["StoredSet", "aligned", "is_results", "read_store", "set_folder", "slug", "write_scores"]


_READ = ("among", "columns", "key", "kind", "class_rule")
"""How a row's predictions were read. Results of older versions lack them, and "" stands there, as for _WARNING."""
_WARNING = "warning"
_SEVERAL = ("given_k", "single_k", "single_n")
"""Of sets with several labels per image; missing elsewhere."""
_TYPES: dict[str, Literal["str", "Int64"]] = {
    **dict.fromkeys(
        ("model", "set", "group", "base", "preprocessing", "source", "set_hash", *_READ, _WARNING), "str"
    ),
    **dict.fromkeys(("top5_k", *_SEVERAL), "Int64"),
}


@dataclass(frozen=True)
class StoredSet:
    """What ``write_scores`` wrote for a set. ``correct``: index models, a column per image (position), bool."""

    name: str
    hash: str
    results: pd.DataFrame
    images: pd.DataFrame
    correct: pd.DataFrame
    given: pd.DataFrame | None = None
    """Of a set with several labels per image: right by the class that the set gives, as ``correct`` by any of them."""


def slug(text: str) -> str:
    """A stranger's name as part of a file name: ASCII letters, digits, dots and dashes, at most 40."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._") else "-" for c in text)
    return kept.strip("-.")[:40] or "set"


def set_folder(root: Path, evaluated: EvaluationSet) -> Path:
    """Where the results of a set are, or would be."""
    return root / f"{slug(evaluated.name)}-{evaluated.hash[:8]}"


def write_scores(
    root: Path, evaluated: EvaluationSet, scores: Sequence[Score], *, groups: dict[str, str] | None = None
) -> Path:
    """Add scores to ``root``; a model that is there already, compared among the same classes, is replaced. Returns the
    set's folder.
    """
    folder = mark_folder(set_folder(root, evaluated))
    with _locked(folder):
        before = _read(folder) if (folder / "results.csv").exists() else None
        fresh = _rows(scores, groups or {})
        parts: dict[Literal["correct", "given"], list[pd.DataFrame]] = {
            "correct": [_frame([score.correct for score in scores], fresh)]
        }
        if evaluated.has_several:
            parts["given"] = [_frame([score.given_correct for score in scores], fresh)]
        if before is not None:
            kept = ~_keys(before.results).isin(_keys(fresh))
            fresh = pd.concat([before.results[kept], fresh], ignore_index=True)
            for name, frames in parts.items():
                others = aligned(before, evaluated.images, name).set_axis(_keys(before.results), axis=0)
                frames.insert(0, others[kept])
        # A model's row among the set's classes stands first: tables take the first row of each model.
        fresh = fresh.sort_values(["model", "among"], ascending=[True, False], kind="stable")
        about = {
            "name": evaluated.name,
            "hash": evaluated.hash,
            "images": len(evaluated),
            "classes": len(evaluated.classes),
            "source": evaluated.source,
            "format": 2,
        }
        packed = io.BytesIO()
        models, among = (np.array(fresh[name].tolist(), dtype=np.str_) for name in ("model", "among"))
        bits = {
            name: np.packbits(pd.concat(frames).loc[_keys(fresh)].to_numpy(dtype=bool), axis=1)
            for name, frames in parts.items()
        }
        np.savez_compressed(packed, models=models, among=among, **bits)  # type: ignore[arg-type]
        write_atomic(folder / "correct.npz", packed.getvalue())
        with atomic_path(folder / "images.parquet") as path:
            _images(evaluated).to_parquet(path, index=False)
        write_atomic(folder / "set.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        write_atomic(
            folder / "results.csv", fresh.to_csv(index=False, lineterminator="\n")
        )  # last: it says the rest is there
    return folder


def _frame(rows: Sequence[npt.NDArray[np.bool_] | None], fresh: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(np.stack([row for row in rows if row is not None]), index=_keys(fresh), dtype=bool)


def _images(evaluated: EvaluationSet) -> pd.DataFrame:
    """The images as they are kept; of a set with several labels per image also how many and which."""
    images = evaluated.images.drop(columns="path", errors="ignore")
    if not evaluated.has_several:
        return images
    every = np.stack(evaluated.truths(), axis=1)
    names = [[evaluated.classes[at] for at in dict.fromkeys(row)] for row in every.tolist()]
    return images.assign(num_labels=evaluated.counts, all_classes=pd.Series(names, index=images.index))


def _keys(rows: pd.DataFrame) -> pd.Index:
    """A row is of a model and of what it was compared among."""
    return pd.Index(list(zip(rows["model"], rows["among"], strict=True)), tupleize_cols=False)


def _chosen(stored: StoredSet, among: str) -> StoredSet:
    """One row per model: among ``among`` ("set" or "all"), or, where it is "auto", the first there is: "set"."""
    rows = stored.results
    keep = ~rows["model"].duplicated() if among == "auto" else rows["among"].isin([among, ""])
    results = rows[keep].reset_index(drop=True)
    models = pd.Index(results["model"], dtype=object)
    correct, given = (
        None if rows is None else rows[keep.to_numpy()].set_axis(models, axis=0).rename_axis(None)
        for rows in (stored.correct, stored.given)
    )
    assert correct is not None  # for mypy
    return replace(stored, results=results, correct=correct, given=given)


def aligned(
    stored: StoredSet, images: pd.DataFrame, which: Literal["correct", "given"] = "correct"
) -> pd.DataFrame:
    """``stored.correct`` (or ``given``) with its columns in the order of ``images``: a set's hash knows no order of its
    members.

    Raises EvaluationError where that order cannot be told (a member that stands twice), or ``given`` was not kept.
    """
    rows = stored.correct if which == "correct" else stored.given
    if rows is None:
        raise EvaluationError(
            f"{stored.name}: its results are of an older version, without several labels; evaluate it anew"
        )
    theirs, ours = (
        pd.MultiIndex.from_frame(frame[["image_id", "class"]].astype(str))
        for frame in (stored.images, images)
    )
    if theirs.equals(ours):
        return rows
    if theirs.has_duplicates or len(theirs) != len(ours) or (at := theirs.get_indexer(ours)).min() < 0:
        raise EvaluationError(
            f"{stored.name}: its images were listed in another order before; evaluate it anew"
        )
    return rows.iloc[:, at].set_axis(range(len(at)), axis=1)


def is_results(path: Path) -> bool:
    """Whether a folder is one of ours: a set's, or one that holds sets'."""
    return path.is_dir() and ((path / "set.json").exists() or any(path.glob("*/set.json")))


def read_store(root: Path, among: str = "auto") -> list[StoredSet]:
    """Every set below ``root`` (or the one that it is), by name, with one row per model.

    ``among``: compared among the "set"'s classes or "all" of its own; "auto" is the set's where both are kept.
    Raises EvaluationError where there is none.
    """
    folders = (
        [root] if (root / "set.json").exists() else sorted(path.parent for path in root.glob("*/set.json"))
    )
    if not folders:
        raise EvaluationError(f"{root}: no results here; newtest evaluate writes them")
    sets = [_chosen(_read(folder), among) for folder in folders]
    names = [stored.name for stored in sets]
    for name in names:
        if names.count(name) > 1:
            hashes = ", ".join(stored.hash[:8] for stored in sets if stored.name == name)
            raise EvaluationError(
                f"{root}: two different sets are called {name!r} ({hashes}); move one away, or name it anew"
            )
    return sorted(sets, key=lambda stored: stored.name)


def _rows(scores: Sequence[Score], groups: dict[str, str]) -> pd.DataFrame:
    rows = [
        {
            "model": s.model,
            "set": s.set,
            "k": s.k,
            "n": s.n,
            "accuracy": 100 * s.k / s.n,
            "group": groups.get(s.model, ""),
            "base": "",
            "top5_k": s.top5_k,
            **{name: getattr(s, name) for name in _SEVERAL},
            "mean_per_class": s.mean_per_class,
            "map11": s.map11,
            "set_hash": s.set_hash,
            "preprocessing": s.preprocessing,
            "source": s.source,
            **{name: getattr(s, name) for name in (*_READ, _WARNING)},
        }
        for s in scores
    ]
    columns = [
        *RESULT_COLUMNS, "top5_k", *_SEVERAL, "mean_per_class", "map11", "set_hash", "preprocessing", "source",
        *_READ, _WARNING,
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype(
        {
            **dict.fromkeys(("top5_k", *_SEVERAL), "Int64"),
            "mean_per_class": "float64",
            "map11": "float64",
        }
    )


def _read(folder: Path) -> StoredSet:
    try:
        about = parse_json(bytes_of(folder / "set.json"))
        results = read_separated(
            folder / "results.csv",
            keep_default_na=False,
            na_values={name: [""] for name in ("top5_k", *_SEVERAL, "mean_per_class", "map11")},
            dtype=_TYPES,
        )
        results = results.assign(**{name: "" for name in (*_READ, _WARNING) if name not in results.columns})
        for name in _SEVERAL:
            if name not in results.columns:
                results[name] = pd.array([pd.NA] * len(results), dtype="Int64")
        with open_arrays(folder / "correct.npz") as packed:
            models = packed["models"].tolist()
            among = packed["among"].tolist() if "among" in packed else [""] * len(models)
            keys = pd.Index(list(zip(models, among, strict=True)), tupleize_cols=False)
            rows = {
                name: pd.DataFrame(
                    np.unpackbits(packed[name], axis=1, count=int(about["images"])).astype(bool), index=keys
                )
                for name in ("correct", "given")
                if name in packed
            }
            correct, given = rows["correct"], rows.get("given")
        images = read_parquet(folder / "images.parquet")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{folder}: damaged results ({error}); remove the folder and evaluate again"
        ) from error
    # After kill -9 between the two files, a row may lack its images or have newer ones: such a row never was.
    counts = correct.sum(axis=1).reindex(_keys(results)).to_numpy()
    results = results[counts == results["k"].to_numpy()].reset_index(drop=True)
    kept = _keys(results)
    return StoredSet(
        str(about["name"]),
        str(about["hash"]),
        results,
        images,
        correct.loc[kept],
        None if given is None else given.loc[kept],
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time: results of two processes for one set are joined, not lost."""
    with open(own_descriptor(folder / ".lock", os.O_WRONLY), "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
