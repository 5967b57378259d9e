"""MTurk's files as votes: the batch results of its console, and the answers of its API as JSON.

Which images a HIT showed is in the file itself (``Input.`` columns), in a table of HITs such as the archives of 2018,
or in the study that published it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.crowd.answers import from_xml, read_answer
from newtest.crowd.external import Tally, Vote, read_json
from newtest.crowd.mturk_answers import page_fields
from newtest.errors import SourceError, VotesError
from newtest.files import open_text
from newtest.reading.separated import named_rows
from newtest.spreadsheets import sheet_of

__all__ = ["HitShown", "Hits", "read_api_json", "read_batch_csv", "read_hits"]

COUNTED = ("Submitted", "Approved")


@dataclass(frozen=True)
class HitShown:
    """What a HIT showed: its class, its images in order, and what each was there for (None for a candidate)."""

    wnid: str
    images: Sequence[str]
    controls: Sequence[str | None]


Hits = Mapping[str, HitShown]
"""HIT id of the market, or annotation -> what it showed."""


@dataclass(frozen=True)
class _Assignment:
    worker: str
    hit_id: str
    submitted_at: object
    fields: Mapping[str, str]
    place: str


def read_hits(path: Path) -> dict[str, HitShown]:
    """A JSON list of HITs as they were recorded in 2018: hit_id, wnid, images_all, images_pos_control,
    images_neg_control. Raises VotesError."""
    records = read_json(path)
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


def read_batch_csv(path: Path, hits: Hits, tally: Tally) -> Iterator[Vote]:
    """MTurk's batch results: WorkerId, AssignmentStatus, SubmitTime, Input.*, Answer.*, one row per assignment."""
    sheet = sheet_of(path)
    with open_text(path, sheet.text_encoding, newline="") as handle:
        for _ in range(sheet.skip):
            handle.readline()
        header, rows = named_rows(handle, sheet.delimiter)
        if missing := {"HITId", "WorkerId", "AssignmentStatus"} - set(header):
            raise VotesError(
                f"{path}: not MTurk's batch results (the column {min(missing)} is missing; there are "
                f"{', '.join(header)[:300]}); nothing was imported"
            )
        for number, row in enumerate(rows, start=2):
            if not _counts(row.get("AssignmentStatus"), tally):
                continue
            where = f"row {number}"
            shown = (
                _input(row) or hits.get(row.get("HITId", "")) or hits.get(row.get("RequesterAnnotation", ""))
            )
            fields = {
                key.removeprefix("Answer."): value or ""
                for key, value in row.items()
                if key.startswith("Answer.")
            }
            one = _Assignment(row["WorkerId"], row["HITId"], row.get("SubmitTime"), fields, where)
            yield from _votes(_known(shown, f"{path}, {where}"), one, tally)


def read_api_json(path: Path, hits: Hits, tally: Tally) -> Iterator[Vote]:
    """Answers of GetAssignment and ListAssignmentsForHIT as boto3 gives them, one or a list of them.

    A HIT whose last page in the file has a ``NextToken`` is incomplete: the tally warns of it.
    """
    answers = read_json(path)
    more: dict[str, bool] = {}
    for answer in answers if isinstance(answers, list) else [answers]:
        hit = answer.get("HIT") or {} if isinstance(answer, dict) else None
        if not isinstance(hit, dict):
            raise VotesError(f"{path}: an answer of GetAssignment or ListAssignmentsForHIT is required")
        listed = answer.get("Assignments", [answer.get("Assignment", answer)])
        if not isinstance(listed, list):
            raise VotesError(f"{path}: Assignments is not a list")
        annotation = str(hit.get("RequesterAnnotation", ""))
        for item in listed:
            yield from _assignment(path, item, annotation, hits, tally)
        if "Assignments" in answer:
            hit_id = str(next((item.get("HITId") for item in listed), ""))
            more[hit_id] = bool(answer.get("NextToken")) and bool(listed)
    if cut := sorted(hit_id for hit_id, cut in more.items() if cut):
        tally.warnings[
            f"the last page of a HIT has a NextToken, as of {cut[0]}: MTurk had more answers than the file"
        ] += len(cut)


def _assignment(
    path: Path, item: Mapping[str, Any], annotation: str, hits: Hits, tally: Tally
) -> Iterator[Vote]:
    try:
        hit_id, worker, status, answer = (
            item[k] for k in ("HITId", "WorkerId", "AssignmentStatus", "Answer")
        )
    except (KeyError, TypeError) as error:
        raise VotesError(f"{path}: an assignment without {error}") from error
    if not _counts(status, tally):
        return
    shown = _known(hits.get(hit_id) or hits.get(annotation), f"{path}, HIT {hit_id}")
    where = f"assignment {item.get('AssignmentId')}"
    try:
        fields = from_xml(str(answer))
    except SourceError as error:
        raise VotesError(f"{path}, {where}: {error}") from error
    yield from _votes(shown, _Assignment(worker, hit_id, item.get("SubmitTime"), fields, where), tally)


def _counts(status: object, tally: Tally) -> bool:
    if status in COUNTED:
        return True
    tally.leave_out(f"the assignment is {str(status)[:40] or 'without a status'}, not Submitted or Approved")
    return False


def _input(row: Mapping[str, str | None]) -> HitShown | None:
    """What a batch's row says that it showed: Input.wnid, and Input.images or Input.image_1, Input.image_2, ..."""
    wnid = row.get("Input.wnid")
    if not wnid:
        return None
    listed = _listed(row.get("Input.images"))
    numbered = [row.get(f"Input.image_{n}") for n in range(1, 1_000)]
    images = listed or [image for image in numbered if image]
    return _shown(wnid, images, _listed(row.get("Input.positive")), _listed(row.get("Input.negative")))


def _listed(cell: str | None) -> list[str]:
    """The images in a cell; the first of ``|``, ``;``, ``,`` and spaces that is there is what is between them."""
    text = (cell or "").strip()
    mark = next((mark for mark in "|;," if mark in text), None)
    return [part.strip() for part in text.split(mark) if part.strip()]


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


def _votes(shown: HitShown, one: _Assignment, tally: Tally) -> Iterator[Vote]:
    """The votes of an assignment; what gives none is counted with its reason."""
    try:
        answer = read_answer(page_fields(one.fields, shown.images), len(shown.images))
    except SourceError as error:
        tally.leave_out(f"the answer cannot be read: {error}")
        return
    if not one.worker.strip():
        tally.leave_out("an assignment without a WorkerId")
        return
    if not answer.explicit:
        tally.leave_out('nothing was ticked, not even "none of these"')
        return
    at = tally.date(one.submitted_at)
    for image, control, given in zip(shown.images, shown.controls, answer.images, strict=True):
        if given.value == "unseen":
            tally.leave_out("the worker had not seen the image")
            continue
        chosen = int(given.value == "yes")
        yield Vote(
            image, shown.wnid, f"mturk:{one.worker.strip()}", chosen, one.hit_id, at, control, one.place
        )
