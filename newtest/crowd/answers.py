"""What a worker sent: the fields of the form, as a row per image, and as MTurk's QuestionFormAnswers XML.

The fields of our templates (``mturk_templates/README.md``): ``selected`` and ``unseen`` hold image numbers (1
is the first of the page), ``none`` says that no image fits, ``times`` is a JSON list of milliseconds in view.
A field that was sent several times is one answer whose values are joined by ``|``, which is MTurk's own way.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from newtest.errors import SourceError
from newtest.reading.jsons import parse_json

__all__ = ["Answer", "ImageAnswer", "from_xml", "read_answer", "to_xml"]

NAMESPACE = (
    "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionFormAnswers.xsd"
)
_NOT_XML = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters that XML 1.0 has no way to hold."""

MAX_BYTES = 1_000_000
MAX_MILLISECONDS = 86_400_000

Value = Literal["yes", "no", "unseen"]


@dataclass(frozen=True)
class ImageAnswer:
    """What one worker said of one image: ``number`` counts from 1 in the order of the page."""

    number: int
    value: Value
    milliseconds: int | None
    chosen: tuple[int, ...] = ()
    """The numbers of the classes that were chosen, where several were offered."""


@dataclass(frozen=True)
class Answer:
    """A whole assignment's answer. ``explicit`` is False when nothing was ticked, not even "none of
    these"."""

    images: tuple[ImageAnswer, ...]
    explicit: bool


def read_answer(fields: Mapping[str, str], num_images: int, *, options: int = 0, own: int = 0) -> Answer:
    """The answer in the fields of a submitted form about ``num_images`` images (or pairs).

    With ``options`` classes offered for each image, ``selected`` holds ``image.option`` and ``none`` the images that
    show none of them; the image is a yes when the class of number ``own`` was chosen, and one that nobody
    answered gives no vote.

    Numbers outside of the page are ignored: they can only come from a forged form. An image marked unseen is
    not a vote, whether or not it is ticked; nor is one that was never in view (0 milliseconds): "not seen".
    """
    chosen = _choices(fields.get("selected", ""), num_images, options)
    selected = (
        {n for n, of in chosen.items() if own in of}
        if options
        else _numbers(fields.get("selected", ""), num_images)
    )
    said = set(chosen) | _numbers(fields.get("none", ""), num_images) if options else None
    unseen = _numbers(fields.get("unseen", ""), num_images)
    times = _times(fields.get("times", ""), num_images)

    def value(number: int) -> Value:
        if number in unseen or times[number - 1] == 0 or (said is not None and number not in said):
            return "unseen"
        return "yes" if number in selected else "no"

    return Answer(
        images=tuple(
            ImageAnswer(n, value(n), times[n - 1], tuple(sorted(chosen.get(n, ()))))
            for n in range(1, num_images + 1)
        ),
        explicit=bool(selected or chosen or unseen or fields.get("none")),
    )


def to_xml(fields: Iterable[tuple[str, str]]) -> str:
    """QuestionFormAnswers of a form's fields; characters that XML cannot hold are dropped."""
    joined: dict[str, list[str]] = {}
    for name, value in fields:
        joined.setdefault(name, []).append(value)
    answers = "".join(
        f"<Answer><QuestionIdentifier>{_text(name)}</QuestionIdentifier>"
        f"<FreeText>{_text('|'.join(values))}</FreeText></Answer>"
        for name, values in joined.items()
    )
    start = f'<?xml version="1.0" encoding="UTF-8"?><QuestionFormAnswers xmlns="{NAMESPACE}">'
    return f"{start}{answers}</QuestionFormAnswers>"


def from_xml(text: str) -> dict[str, str]:
    """The fields in QuestionFormAnswers. Raises SourceError for what is too long, not XML, or declares
    entities."""
    if len(text) > MAX_BYTES:
        raise SourceError(f"an answer of {len(text):,} characters is longer than any form of ours gives")
    reader = _Reader()
    try:
        reader.parser.Parse(text.encode(), True)
    except (xml.parsers.expat.ExpatError, UnicodeEncodeError) as error:
        raise SourceError(f"an answer is not QuestionFormAnswers XML: {error}") from error
    return reader.fields


class _Reader:
    """Expat with everything refused that answers have no use for: document types, entities."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._name, self._value = "", ""
        self._element = ""
        self.parser = xml.parsers.expat.ParserCreate("utf-8")  # ours by then, whatever the declaration says
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _refuse(self, *_: object) -> None:
        raise SourceError("an answer declares a document type, which QuestionFormAnswers never does: refused")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._element = name.rpartition(":")[2]
        if self._element == "Answer":
            self._name, self._value = "", ""

    def _end(self, name: str) -> None:
        if name.rpartition(":")[2] == "Answer" and self._name.strip():
            self.fields[self._name.strip()] = self._value
        self._element = ""

    def _characters(self, text: str) -> None:
        if self._element == "QuestionIdentifier":
            self._name += text
        elif self._element in ("FreeText", "SelectionIdentifier", "OtherSelectionText"):
            self._value += text


def _choices(text: str, num_images: int, options: int) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for part in text.split("|") if options else ():
        if match := re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,3})", part.strip()):
            image, option = int(match.group(1)), int(match.group(2))
            if 1 <= image <= num_images and 1 <= option <= options:
                found.setdefault(image, set()).add(option)
    return found


def _numbers(text: str, num_images: int) -> set[int]:
    found = (int(part) for part in text.split("|") if part.isascii() and part.isdigit() and len(part) < 6)
    return {number for number in found if 1 <= number <= num_images}


def _times(text: str, num_images: int) -> Sequence[int | None]:
    """One entry per image; None where the browser sent none, or something that cannot be a time."""
    try:
        values = parse_json(text) if len(text) <= 40 * max(num_images, 1) else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or len(values) != num_images:
        return [None] * num_images
    return [v if type(v) is int and 0 <= v <= MAX_MILLISECONDS else None for v in values]


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("", value))
