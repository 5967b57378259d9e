"""What a set is checked against: blocked images, known near-duplicates, reference sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newtest.catalog.duplicates import latest_verdicts
from newtest.catalog.references import reference_ids
from newtest.catalog.revisions import blocked_pairs
from newtest.errors import UsageError
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.separated import it_has, named_rows
from newtest.reading.texts import lines_of, read_text
from newtest.sets import read_image_set
from newtest.study import Study

__all__ = ["Evidence", "read_blocked", "read_near_duplicates", "read_reference", "study_evidence"]

Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Evidence:
    """``blocked``: (id, wnid or None for all classes) -> reason; ``pairs``: near-duplicates, the smaller id first;
    ``reference``: ids of the original set, with files where their bytes are at hand."""

    blocked: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    pairs: Pairs = frozenset()
    reference: Mapping[str, Path | None] = field(default_factory=dict)


def read_blocked(path: Path) -> dict[tuple[str, str | None], str]:
    """JSON (id -> reason, or a list of ids), a CSV with image_id (and reason, wnid), or a text of one id a line."""
    if path.suffix.lower() == ".json":
        document = _json(path)
        if isinstance(document, dict):
            return {(str(key), None): str(reason) for key, reason in document.items()}
        if not isinstance(document, list):
            raise UsageError(f"{path}: wanted is an object, id -> reason, or a list of ids")
        return {(str(key), None): "blocked" for key in document}
    if path.suffix.lower() == ".csv":
        return {
            (row["image_id"], row.get("wnid") or None): row.get("reason") or "blocked"
            for row in _csv(path, "image_id")
        }
    return {(line.strip(), None): "blocked" for line in lines_of(_text(path)) if line.strip()}


def read_near_duplicates(path: Path) -> Pairs:
    """JSON (id -> list of ids, as ImageNetV2's near_duplicates.json) or a CSV with image_a and image_b."""
    if path.suffix.lower() == ".json":
        document = _json(path)
        if not isinstance(document, dict) or not all(
            isinstance(others, list) for others in document.values()
        ):
            raise UsageError(f"{path}: wanted is an object, id -> list of ids")
        found = [(str(a), str(b)) for a, others in document.items() for b in others]
    else:
        found = [(row["image_a"], row["image_b"]) for row in _csv(path, "image_a", "image_b")]
    return frozenset((min(pair), max(pair)) for pair in found if pair[0] != pair[1])


def read_reference(path: Path) -> dict[str, Path | None]:
    """The ids of an original set: an ImageFolder, a table, or one of ImageNetV2's dataset files."""
    found = read_image_set(path)
    if not found.images:
        raise UsageError(f"{path}: no images; needed are class folders, a release or a table")
    return {image.image_id: image.path for image in found.images}


def study_evidence(study: Study) -> Evidence:
    """What a study knows: what is blocked, the pairs judged duplicates, its reference sets."""
    verdicts = latest_verdicts(study.catalog)
    judged = verdicts[verdicts["duplicate"]]
    return Evidence(
        blocked=dict.fromkeys(blocked_pairs(study.catalog), "blocked in the study"),
        pairs=frozenset(zip(judged["image_a"], judged["image_b"], strict=True)),
        reference={
            image_id: study.image_path(sha256) if sha256 else None
            for image_id, sha256 in reference_ids(study.catalog)
        },
    )


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except Unreadable as error:
        raise UsageError(f"{path}: {error}") from error


def _json(path: Path) -> Any:
    try:
        return parse_json(_text(path))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error})") from error


def _csv(path: Path, *columns: str) -> list[dict[str, str]]:
    try:
        header, rows = named_rows(_text(path))
        for column in columns:
            if column not in header:
                raise UsageError(f"{path}: the column {column!r} is missing; {it_has(header)}")
        return list(rows)
    except Unreadable as error:
        raise UsageError(f"{path}: {error}") from error
