"""Label Studio: its exports as votes, and pairs of image and class as its tasks.

Read are the JSON export (tasks with their annotations), JSON-MIN and CSV (one record an annotation). JSON-MIN and CSV
name a person by number or by e-mail address, whichever the export had; where an export has both, the number counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.crowd.external import Tally, Vote, read_json
from newtest.errors import VotesError
from newtest.files import open_text
from newtest.reading.jsons import parse_json
from newtest.reading.separated import named_rows
from newtest.spreadsheets import sheet_of

__all__ = ["Question", "read_label_studio"]

OURS = "shows"
"""What the control is called in the labelling configuration that the docs give."""
SHOWN = 5
BESIDE = {
    "image_id", "wnid", "class_name", "image", "control", "annotator", "id", "annotation_id", "created_at",
    "updated_at", "lead_time", "agreement",
}  # fmt: skip
"""What a record of JSON-MIN or CSV holds beside the answers."""


@dataclass(frozen=True)
class Question:
    """Which control of the labelling interface holds the answer, and which of its choices mean yes and no.

    ``control`` None: the one control that has such answers, else the one called ``shows``.
    """

    control: str | None = None
    yes: Sequence[str] = ("yes",)
    no: Sequence[str] = ("no",)

    def means(self, choice: str) -> int | None:
        """1 for yes, 0 for no, None for a choice that is neither; upper and lower case are the same."""
        word = choice.strip().casefold()
        for value, words in ((1, self.yes), (0, self.no)):
            if word in {one.strip().casefold() for one in words}:
                return value
        return None


@dataclass(frozen=True)
class _Annotation:
    """What one person said of one task: their choices by control."""

    data: Mapping[str, Any]
    worker: str
    choices: Mapping[str, Sequence[str]]
    created_at: object
    changed_at: str
    skipped: bool
    copied: bool
    place: str


def read_label_studio(path: Path, question: Question, tally: Tally) -> Iterator[Vote]:
    """The votes of an export. Raises VotesError for another file, or when several controls could be meant.

    Of several annotations of one person on a task the last changed counts.
    """
    found = list(
        _csv_records(path, tally) if path.suffix.lower() in (".csv", ".tsv") else _json_records(path, tally)
    )
    control = question.control or _control(path, found, question)
    answered = {name for one in found for name in one.choices}
    if question.control is not None and answered and question.control not in answered:
        raise VotesError(
            f"{path}: no annotation answers a control {question.control!r}; answered are {_some(sorted(answered))}"
        )
    found.sort(key=lambda one: one.changed_at, reverse=True)
    for one in sorted(found, key=lambda one: (str(one.data["wnid"]), str(one.data["image_id"]))):
        selected = _selected(one, control, question, tally)
        if selected is None:
            continue
        if one.copied:
            tally.warnings["an annotation is a copy of another one, and counts as its owner's vote"] += 1
        yield Vote(
            _text(one.data["image_id"]), _text(one.data["wnid"]), f"label-studio:{one.worker}", selected, None,
            tally.date(one.created_at), one.data.get("control") or None, one.place,
        )  # fmt: skip


def _selected(one: _Annotation, control: str, question: Question, tally: Tally) -> int | None:
    """1 or 0, or None with the reason counted."""
    choices = one.choices.get(control, ())
    meant = {question.means(choice) for choice in choices}
    if one.skipped:
        tally.leave_out("the task was skipped")
    elif not one.worker:
        tally.leave_out("an annotation without the person who made it")
    elif not choices:
        tally.leave_out(f"no answer to {control!r}")
    elif None in meant:
        other = next(choice for choice in choices if question.means(choice) is None)
        tally.leave_out(f"another choice than yes and no: {other[:60]!r}")
    elif len(meant) > 1:
        tally.leave_out("both yes and no")
    else:
        return meant.pop()
    return None


def _control(path: Path, found: Sequence[_Annotation], question: Question) -> str:
    """The control whose choices are yes and no. Raises VotesError when several could be meant."""
    fits = sorted(
        {
            name
            for one in found
            for name, choices in one.choices.items()
            if any(question.means(choice) is not None for choice in choices)
        }
    )
    if len(fits) == 1 or not fits:
        return fits[0] if fits else OURS
    if OURS in fits:
        return OURS
    raise VotesError(
        f"{path}: {_some(fits)} all have answers of yes or no; name the one that is meant with `control`"
    )


def _json_records(path: Path, tally: Tally) -> Iterator[_Annotation]:
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise VotesError(f"{path}: Label Studio's JSON export is a list of tasks")
    for number, task in enumerate(tasks, start=1):
        place = f"task {task.get('id', number) if isinstance(task, dict) else number}"
        try:
            if "data" not in task:
                yield from _minimal(task, place, path, tally)
                continue
            data = _checked(task["data"], place, path)
            annotations = task.get("annotations", task.get("completions")) or ()
            if not annotations:
                tally.leave_out("a task that nobody annotated")
            for one in annotations:
                yield _annotation(one, data, place)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise VotesError(f"{path}, {place}: a task without {error}") from error


def _annotation(one: Mapping[str, Any], data: Mapping[str, Any], place: str) -> _Annotation:
    choices: dict[str, list[str]] = {}
    for result in one.get("result") or ():
        given = (result.get("value") or {}).get("choices")
        if given is not None:
            choices.setdefault(str(result.get("from_name") or OURS), []).extend(_listed(given))
    return _Annotation(
        data, _person(one.get("completed_by")), choices, one.get("created_at"),
        str(one.get("updated_at") or one.get("created_at") or ""), bool(one.get("was_cancelled") or one.get("skipped")),
        one.get("parent_annotation") is not None, place,
    )  # fmt: skip


def _minimal(record: Mapping[str, Any], place: str, path: Path, tally: Tally) -> Iterator[_Annotation]:
    """A record of JSON-MIN or CSV: the task's data, the controls' answers and the person side by side."""
    if "annotator" not in record:
        raise VotesError(f"{path}, {place}: a task without 'data', or a record without 'annotator'")
    data = _checked(record, place, path)
    if not _text(record["annotator"]) and not _text(record.get("annotation_id")):
        tally.leave_out("a task that nobody annotated")
        return
    choices = {
        name: _choices_of(value)
        for name, value in record.items()
        if name not in BESIDE and isinstance(value, (str, list, dict)) and value != ""
    }
    yield _Annotation(
        data, _person(record["annotator"]), choices, record.get("created_at"),
        str(record.get("updated_at") or record.get("created_at") or ""),
        skipped=False, copied=False, place=place,
    )  # fmt: skip


def _csv_records(path: Path, tally: Tally) -> Iterator[_Annotation]:
    sheet = sheet_of(path)
    with open_text(path, sheet.text_encoding, newline="") as handle:
        for _ in range(sheet.skip):
            handle.readline()
        for number, row in enumerate(named_rows(handle, sheet.delimiter)[1], 2):
            record = {name: value or "" for name, value in row.items() if name}
            yield from _minimal(record, f"row {number}", path, tally)


def _choices_of(value: object) -> list[str]:
    """A control's answer in JSON-MIN or CSV: a text, or ``{"choices": [...]}`` for several."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            value = parse_json(value)
        except ValueError:
            return [str(value)]
    if isinstance(value, dict):
        return _listed(value.get("choices", ()))
    if isinstance(value, list):
        return [choice for one in value for choice in _choices_of(one)]
    return [str(value)]


def _listed(given: object) -> list[str]:
    return [str(one) for one in given] if isinstance(given, (list, tuple)) else [str(given)]


def _person(worker: object) -> str:
    """The same text for a person's number, as text, as a float, or in an object beside the e-mail address."""
    if isinstance(worker, Mapping):
        worker = worker.get("id") if worker.get("id") is not None else worker.get("email")
    return _text(worker)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _checked(data: Mapping[str, Any], place: str, path: Path) -> Mapping[str, Any]:
    for name in ("image_id", "wnid"):
        if not _text(data.get(name)):
            raise VotesError(
                f"{path}, {place}: a task without {name!r} in its data, by which newtest knows what was shown; "
                "newtest votes export writes such tasks; nothing was imported"
            )
    return data


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name[:60]) for name in names[:SHOWN]) + more
