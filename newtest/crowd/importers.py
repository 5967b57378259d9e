"""Votes from elsewhere: MTurk's batch results, its API's JSON, Label Studio's export; and votes out again.

Each reader gives the table that ``newtest.votes.import_votes`` takes: image_id, wnid, worker_id, selected, hit_id,
submitted_at, control. Which images a HIT showed is in the file itself (``Input.`` columns), in a table of HITs such
as the archives of 2018, or in the study that published it.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from newtest.catalog import publications
from newtest.crowd.answers import from_xml, read_answer
from newtest.errors import SourceError, VotesError
from newtest.study import Study

__all__ = ["FORMATS", "HitShown", "Hits", "export_votes", "read_external", "read_hits"]

COLUMNS = ["image_id", "wnid", "worker_id", "selected", "hit_id", "submitted_at", "control"]
COUNTED = ("Submitted", "Approved")


@dataclass(frozen=True)
class HitShown:
    """What a HIT showed: its class, its images in order, and what each was there for (None for a candidate)."""

    wnid: str
    images: Sequence[str]
    controls: Sequence[str | None]


Hits = Mapping[str, HitShown]
"""HIT id of the market, or annotation -> what it showed."""


def read_external(study: Study, path: Path, format_name: str, hits_path: Path | None = None) -> pd.DataFrame:
    """Votes in one of ``FORMATS``. Raises VotesError for a file that is not, or a HIT that nobody knows."""
    hits = dict(_hits_of(study.catalog))
    if hits_path is not None:
        hits.update(read_hits(hits_path))
    try:
        rows = list(FORMATS[format_name](path, hits))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VotesError(f"{path}: cannot be read ({error})") from error
    return pd.DataFrame(rows, columns=COLUMNS)


def read_hits(path: Path) -> dict[str, HitShown]:
    """A JSON list of HITs as they were recorded in 2018: hit_id, wnid, images_all, images_pos_control,
    images_neg_control. Raises VotesError."""
    records = _json(path)
    try:
        return {
            record["hit_id"]: _shown(
                record["wnid"],
                record["images_all"],
                record.get("images_pos_control", ()),
                record.get("images_neg_control", ()),
            )
            for record in records
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise VotesError(
            f"{path}: not a list of HITs with hit_id, wnid and images_all ({error!r})"
        ) from error


def _batch_csv(path: Path, hits: Hits) -> Iterator[tuple[Any, ...]]:
    """MTurk's batch results: WorkerId, AssignmentStatus, SubmitTime, Input.*, Answer.*, one row an assignment."""
    with open(path, encoding="utf-8-sig", newline="") as handle:
        csv.field_size_limit(2**20)
        reader = csv.DictReader(handle, restkey="")
        if missing := {"HITId", "WorkerId", "AssignmentStatus"} - set(reader.fieldnames or ()):
            raise VotesError(
                f"{path}: not MTurk's batch results (the column {min(missing)} is missing); nothing was imported"
            )
        for number, row in enumerate(reader, start=2):
            if row.get("AssignmentStatus") not in COUNTED:
                continue
            where = f"{path}, row {number}"
            shown = (
                _input(row) or hits.get(row.get("HITId", "")) or hits.get(row.get("RequesterAnnotation", ""))
            )
            fields = {
                key.removeprefix("Answer."): value or ""
                for key, value in row.items()
                if key.startswith("Answer.")
            }
            yield from _votes(
                _known(shown, where), fields, row["WorkerId"], row["HITId"], row.get("SubmitTime")
            )


def _api_json(path: Path, hits: Hits) -> Iterator[tuple[Any, ...]]:
    """Answers of GetAssignment and ListAssignmentsForHIT as boto3 gives them, one or a list of them."""
    answers = _json(path)
    for answer in answers if isinstance(answers, list) else [answers]:
        hit = answer.get("HIT") or {} if isinstance(answer, dict) else None
        if not isinstance(hit, dict):
            raise VotesError(f"{path}: an answer of GetAssignment or ListAssignmentsForHIT is wanted")
        listed = answer.get("Assignments", [answer.get("Assignment", answer)])
        if not isinstance(listed, list):
            raise VotesError(f"{path}: Assignments is not a list")
        annotation = str(hit.get("RequesterAnnotation", ""))
        for item in listed:
            yield from _assignment(path, item, annotation, hits)


def _assignment(
    path: Path, item: Mapping[str, Any], annotation: str, hits: Hits
) -> Iterator[tuple[Any, ...]]:
    try:
        hit_id, worker, status, answer = (
            item[k] for k in ("HITId", "WorkerId", "AssignmentStatus", "Answer")
        )
    except (KeyError, TypeError) as error:
        raise VotesError(f"{path}: an assignment without {error}") from error
    if status not in COUNTED:
        return
    shown = _known(hits.get(hit_id) or hits.get(annotation), f"{path}, HIT {hit_id}")
    try:
        fields = from_xml(str(answer))
    except SourceError as error:
        raise VotesError(f"{path}, assignment {item.get('AssignmentId')}: {error}") from error
    yield from _votes(shown, fields, worker, hit_id, str(item.get("SubmitTime") or "") or None)


def _label_studio(path: Path, hits: Hits) -> Iterator[tuple[Any, ...]]:
    """Label Studio's JSON export of tasks made by ``newtest votes export``: a choice of yes or no an annotation."""
    tasks = _json(path)
    if not isinstance(tasks, list):
        raise VotesError(f"{path}: Label Studio's JSON export is a list of tasks")
    for task in tasks:
        try:
            data = task["data"]
            image_id, wnid = str(data["image_id"]), str(data["wnid"])
            for annotation in task.get("annotations", ()):
                choice = _choice(annotation)
                if choice is not None and not annotation.get("was_cancelled"):
                    worker = annotation["completed_by"]
                    name = worker.get("email") or worker.get("id") if isinstance(worker, dict) else worker
                    at = annotation.get("created_at")
                    yield (
                        image_id,
                        wnid,
                        f"label-studio:{name}",
                        int(choice == "yes"),
                        None,
                        at,
                        data.get("control"),
                    )
        except (KeyError, TypeError, AttributeError) as error:
            raise VotesError(f"{path}: a task without {error}") from error


def _choice(annotation: Mapping[str, Any]) -> str | None:
    """yes or no; None for an annotation that says neither."""
    for result in annotation.get("result", ()):
        for choice in result.get("value", {}).get("choices", ()):
            if str(choice).lower() in ("yes", "no"):
                return str(choice).lower()
    return None


FORMATS: Mapping[str, Callable[[Path, Hits], Iterator[tuple[Any, ...]]]] = {
    "mturk-csv": _batch_csv,
    "mturk-json": _api_json,
    "label-studio": _label_studio,
}
"""The name of a format -> its reader."""


def export_votes(votes: pd.DataFrame, names: Mapping[str, str], picture_prefix: str) -> list[dict[str, Any]]:
    """Label Studio tasks, one a pair of image and class; ``names`` gives a class's name by its wnid."""
    pairs = votes[["image_id", "wnid"]].drop_duplicates().sort_values(["wnid", "image_id"])
    return [
        {
            "data": {
                "image": f"{picture_prefix}{image_id}",
                "image_id": image_id,
                "wnid": wnid,
                "class_name": names.get(wnid, wnid),
            }
        }
        for image_id, wnid in zip(pairs["image_id"], pairs["wnid"], strict=True)
    ]


def _hits_of(catalog: sqlite3.Connection) -> Iterator[tuple[str, HitShown]]:
    """The study's own published HITs, by the market's id and by the annotation."""
    for market_hit_id, hit_id, wnid, images in publications.published_images(catalog):
        controls = [role if role in ("positive", "negative") else None for _, role in images]
        shown = HitShown(wnid, [image for image, _ in images], controls)
        yield market_hit_id, shown
        yield f"newtest:{hit_id}", shown


def _input(row: Mapping[str, str | None]) -> HitShown | None:
    """What a batch's row says that it showed: Input.wnid, and Input.images or Input.image_1, Input.image_2, ..."""
    wnid = row.get("Input.wnid")
    if not wnid:
        return None
    listed = (row.get("Input.images") or "").replace(",", " ").replace("|", " ").split()
    numbered = [row.get(f"Input.image_{n}") for n in range(1, 1_000)]
    images = listed or [image for image in numbered if image]
    return _shown(
        wnid, images, (row.get("Input.positive") or "").split(), (row.get("Input.negative") or "").split()
    )


def _shown(wnid: str, images: Sequence[str], positive: Sequence[str], negative: Sequence[str]) -> HitShown:
    kinds = dict.fromkeys(positive, "positive") | dict.fromkeys(negative, "negative")
    return HitShown(wnid, list(images), [kinds.get(image) for image in images])


def _known(shown: HitShown | None, where: str) -> HitShown:
    if shown is None or not shown.images:
        raise VotesError(
            f"{where}: which images the HIT showed is not known: name a table of HITs with `hits`, "
            "or have the columns Input.wnid and Input.images; nothing was imported"
        )
    return shown


def _votes(
    shown: HitShown, fields: Mapping[str, str], worker: str, hit_id: str, at: str | None
) -> Iterator[tuple[Any, ...]]:
    """The votes in a form's fields; ``selected`` may hold numbers of the page, or image ids themselves."""
    answer = read_answer(_numbered(fields, shown.images), len(shown.images))
    if not answer.explicit:
        return
    for image, control, one in zip(shown.images, shown.controls, answer.images, strict=True):
        if one.value != "unseen":
            yield (image, shown.wnid, f"mturk:{worker}", int(one.value == "yes"), hit_id, at, control)


def _numbered(fields: Mapping[str, str], images: Sequence[str]) -> dict[str, str]:
    numbers = {image: str(n) for n, image in enumerate(images, 1)}
    return {
        name: "|".join(numbers.get(part, part) for part in value.split("|"))
        if name in ("selected", "unseen")
        else value
        for name, value in fields.items()
    }


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise VotesError(f"{path}: not JSON that can be read ({error})") from error
