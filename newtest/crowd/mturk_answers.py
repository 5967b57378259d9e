"""The fields of an answer from MTurk, whatever made the form: our templates, another's checkboxes, form elements.

Form elements (``crowd-*``) send one field ``taskAnswers``: a JSON list of objects, field -> text, number, list, or an
object such as ``{"on": true}`` (a checkbox), ``{"label": "yes"}`` (a classifier) or ``{"i1": true, "i2": false}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from newtest.errors import SourceError
from newtest.reading.jsons import parse_json

__all__ = ["page_fields"]

LISTS = ("selected", "unseen")
FALSE = {"", "false", "0", "off", "no", "none", "null", "[]", "{}"}
_SEPARATORS = re.compile(r"[|,;\s]+")
_NUMBERED = re.compile(r"(?:image|img|selected|checkbox|box)?[._\-\[ ]*(\d{1,5})\]?")


def page_fields(fields: Mapping[str, str], images: Sequence[str]) -> dict[str, str]:
    """The fields as ``newtest.crowd.answers.read_answer`` takes them: image numbers of the page with ``|`` between.

    ``selected`` and ``unseen`` may hold numbers or image ids, apart by ``|``, ``,``, ``;`` or spaces, or as a JSON
    list. A checkbox per image (``i1``, ``image_1``, ``selected.1``, with or without ``.on``) is ticked when its value
    is not false. Raises SourceError for what names no image of the page, and for what can be read in two ways.
    """
    found = dict(fields)
    if "taskAnswers" in found:
        found |= _elements(found.pop("taskAnswers"))
    ticked: dict[str, list[str]] = {name: [] for name in LISTS}
    for name, value in found.items():
        if name in LISTS:
            ticked[name] += [_number(part, images) for part in _parts(value, images)]
        elif (number := _checkbox(name, images)) is not None and value.strip().lower() not in FALSE:
            ticked["selected"].append(number)
    none = found.get("none", "")
    return {
        **{name: value for name, value in found.items() if name == "times"},
        **{name: "|".join(numbers) for name, numbers in ticked.items()},
        "none": "" if none.strip().lower() in FALSE - {"none", "no"} else none,
    }


def _parts(value: str, images: Sequence[str]) -> list[str]:
    """The pieces of a list of images: an image's id is one piece, whatever it has in it."""
    text = value.strip()
    if text.startswith("["):
        try:
            return [str(part).strip() for part in parse_json(text)]
        except (ValueError, TypeError, RecursionError) as error:
            raise SourceError(f"{text[:60]!r} is neither a list of images nor JSON") from error
    known = set(images)
    pieces = [piece.strip() for piece in text.split("|")]
    parts = [part for piece in pieces for part in ([piece] if piece in known else _SEPARATORS.split(piece))]
    return [part for part in parts if part]


def _number(part: str, images: Sequence[str]) -> str:
    by_number = part if part.isascii() and part.isdigit() and 1 <= int(part[:6]) <= len(images) else None
    by_id = str(images.index(part) + 1) if part in images else None
    if by_number and by_id and int(by_number) != int(by_id):
        raise SourceError(f"{part!r} is the number of one image and the id of another")
    found = by_id or by_number
    if found is None:
        raise SourceError("an answer names an image that its HIT did not show")
    return found


def _checkbox(name: str, images: Sequence[str]) -> str | None:
    """The number of the image that a checkbox is called after; None for another field."""
    name = name.removesuffix(".on")
    for prefix in ("", "selected.", "selected_", "image."):
        if name.startswith(prefix) and name.removeprefix(prefix) in images:
            return str(images.index(name.removeprefix(prefix)) + 1)
    found = _NUMBERED.fullmatch(name)
    if found and int(found[1]) == 0:
        raise SourceError(
            f"the field {name!r} counts images from 0, and newtest cannot tell which is the first"
        )
    return found[1].lstrip("0") if found and int(found[1]) <= len(images) else None


def _elements(text: str) -> dict[str, str]:
    """The fields in ``taskAnswers``. Raises SourceError."""
    try:
        answers = parse_json(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        raise SourceError("the field taskAnswers is not JSON") from error
    fields: dict[str, str] = {}
    for answer in answers if isinstance(answers, list) else [answers]:
        if not isinstance(answer, dict):
            raise SourceError("the field taskAnswers is not a list of objects")
        fields |= {str(name): _value(value) for name, value in answer.items()}
    return fields


def _value(value: object) -> str:
    if isinstance(value, dict):
        if set(value) == {"on"}:
            return _value(value["on"])
        if set(value) == {"label"}:
            return _value(value["label"])
        return json.dumps([name for name, on in value.items() if _value(on).lower() not in FALSE])
    if isinstance(value, list):
        return json.dumps([_value(one) for one in value])
    if isinstance(value, bool):
        return "true" if value else ""
    return "" if value is None else str(value)
