"""A planned HIT as a page, and a page as MTurk's HTMLQuestion."""

from __future__ import annotations

import re
import sqlite3
import xml.parsers.expat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from newtest.catalog import classes, crowd
from newtest.catalog.asked import Asked, asked_of
from newtest.catalog.classes import lemmas_of
from newtest.catalog.crowd import HitImage
from newtest.config import fingerprint
from newtest.crowd.class_names import ClassNames
from newtest.crowd.languages import language
from newtest.crowd.templates import MAX_QUESTION_BYTES, Page
from newtest.errors import SourceError, UsageError

__all__ = ["PictureUrl", "Wording", "from_question_xml", "page_of", "to_question_xml"]

PictureUrl = Callable[[str, HitImage], str]
"""(hit_id, image) -> the address under which a worker's browser finds the picture."""

NAMESPACE = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd"
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


@dataclass(frozen=True)
class Wording:
    """How planned HITs are put to people."""

    language: str = "en"
    names: ClassNames = field(default_factory=dict)
    """The classes' names in that language; a class that is not there keeps its own."""
    must_see: bool = True
    """Whether every image must have been in view before an answer can be sent."""


def page_of(
    catalog: sqlite3.Connection, hit_id: str, picture_url: PictureUrl, wording: Wording | None = None
) -> Page:
    """What the template of a planned HIT is filled with. Raises UsageError when there is no such HIT."""
    wording = wording or Wording()
    row = crowd.hit_class(catalog, hit_id)
    if row is None:
        raise UsageError(f"{hit_id}: the study has no such HIT; newtest annotate plan makes them")
    lemmas, gloss = wording.names.get(row["wnid"], (lemmas_of(row["wnid"], row["lemmas"]), row["gloss"]))
    images = crowd.hit_images(catalog, hit_id)
    asked = asked_of(catalog, hit_id)
    check = language(wording.language).page["check"]
    return Page(
        class_name=lemmas[0],
        class_names=lemmas,
        definition=gloss,
        language=wording.language,
        must_see=wording.must_see,
        encyclopedia_url=row["url"]
        or f"https://en.wikipedia.org/wiki/Special:Search?search={quote(lemmas[0])}",
        blocks={
            "image": [
                {
                    "number": str(image.position),
                    "url": picture_url(hit_id, image),
                    "check": check if image.role == "attention" else "",
                }
                for image in asked.images
            ],
            "option": _options(catalog, asked, wording),
            "pair": _pairs(hit_id, asked, images, picture_url),
            "example": [{"url": picture_url(hit_id, image)} for image in images if image.role == "example"],
        },
    )


def _options(catalog: sqlite3.Connection, asked: Asked, wording: Wording) -> list[dict[str, str]]:
    found = []
    for number, wnid in enumerate(asked.options, 1):
        cls = classes.class_of(catalog, wnid)
        names, gloss = wording.names.get(wnid, (cls.lemmas, cls.gloss) if cls else ((wnid,), ""))
        found.append({"number": str(number), "name": names[0], "definition": gloss})
    return found


def _pairs(
    hit_id: str, asked: Asked, images: Sequence[HitImage], picture_url: PictureUrl
) -> list[dict[str, str]]:
    """Which side is left says nothing: it is drawn by a hash."""
    place = {image.image_id: image for image in images}
    found = []
    for number, pair in enumerate(asked.pairs, 1):
        sides = [picture_url(hit_id, place[image]) for image in (pair.image_a, pair.image_b)]
        if int(fingerprint(hit_id, "side", number)[:8], 16) % 2:
            sides.reverse()
        found.append({"number": str(number), "left_url": sides[0], "right_url": sides[1]})
    return found


def to_question_xml(html: str) -> str:
    """The page as an HTMLQuestion. Raises UsageError when it cannot be one: too long, or with the end of a
    CDATA."""
    if "]]>" in html:
        raise UsageError(
            "the page contains ']]>', which ends the CDATA section that MTurk requires around it"
        )
    text = (
        f'<HTMLQuestion xmlns="{NAMESPACE}"><HTMLContent><![CDATA[{_NOT_XML.sub("", html)}]]></HTMLContent>'
        "<FrameHeight>0</FrameHeight></HTMLQuestion>"
    )
    if (size := len(text.encode())) > MAX_QUESTION_BYTES:
        raise UsageError(
            f"the page takes {size:,} bytes as a question, and MTurk takes {MAX_QUESTION_BYTES:,}"
        )
    return text


def from_question_xml(text: str) -> str:
    """The HTML in an HTMLQuestion. Raises SourceError for anything else, and for XML that declares a document
    type."""
    content: list[str] = []
    open_elements: list[str] = []

    def refuse(*_: object) -> None:
        raise SourceError("a question must not declare a document type")

    def start(name: str, _: object) -> None:
        open_elements.append(name.rpartition(":")[2])

    def characters(data: str) -> None:
        if open_elements[-2:] == ["HTMLQuestion", "HTMLContent"]:
            content.append(data)

    parser = xml.parsers.expat.ParserCreate("utf-8")  # ours by then, whatever the declaration says
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(text.encode(), True)
    except (xml.parsers.expat.ExpatError, UnicodeEncodeError) as error:
        raise SourceError(f"the question is not XML: {error}") from error
    if not content:
        raise SourceError(
            "the question is not an HTMLQuestion with an HTMLContent; no other kind is shown here"
        )
    return "".join(content)
