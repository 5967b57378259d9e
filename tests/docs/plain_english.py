"""The patterns that newtest's texts avoid, and the way out of each. CONTRIBUTING.md has the rules in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["AVOIDED", "AVOIDED_IN_HELP", "VERBS", "complaints", "long_sentences", "sentences"]

MOST_WORDS = 25

_COUNTED = (
    "annotators|assignments|candidates|captions|cents|controls|copies|documents|dollars|downloads|errors|examples|"
    "files|HITs|images|judges|labels|lines?|links?|members|minutes|nouns|one|originals|pages|people|pictures|points|"
    "predictions|queries|quota|requests|resamples|rows|samples|seconds|shards|tags|templates|threads|vectors|votes|"
    "words|workers"
)
_UNITS = (
    "annotator|bin|caption|candidate|class|concept|core|day|device|file|GPU|group|HIT|host|hour|image|item|label|line|"
    "minute|model|page|pair|person|picture|query|row|run|second|set|shard|stage|template|text|word|worker|wnid"
)
AVOIDED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (rf"\b(?:{_COUNTED}) an? (?:{_UNITS})\b", '"per": votes per image'),
        (
            r"\b(?:an?|one|two) (?:row|column|line|file|folder|array|list|checkbox|count|outcome|number|entry|interval|"
            rf"value|place)s? an? (?:{_UNITS})\b",
            '"per": a row per image',
        ),
        (r"\bwants\b", '"needs", "must" or "is required"'),
        (r"\bnone may\b", '"no X may", or say what may'),
        (r"(?<!there )\b(?:is|are) none\b", '"is not one of", "there is no X"'),
        (r"\b(?:may|can|will) still come\b", '"may work later"'),
        (r"\bsaid and not applied\b", '"reported and ignored"'),
        (r"\bgo(?:es)? on (?:where|with what)\b", '"continues"'),
        (r"\b(?:what|that) was killed\b", '"a run that was stopped continues"'),
        (r"\blook(?:s|ed)? by\b", '"compare by", "metric"'),
        (r"\bdoes not do what\b", "say what failed"),
        (r"\bleave with\b", "say what it is"),
        (r"\bmany an?\b", '"many"'),
        (r"\breckon", '"count", "estimate"'),
        (r"\bat (?:least|most) so many\b", '"at least this many"'),
        (r"\b(?:is|are) wanted\b", '"must be", "is required"'),
    )
)  # fmt: skip
"""A pattern, and what to write instead."""

AVOIDED_IN_HELP: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\b(?:Reward|Images?|Votes?|People|Samples?|Rows?|Candidates?) an?\b", '"per"'),
        (r"^(?:Of|By|With) \w+\b", "begin with the thing itself"),
    )
)
"""What would be right inside a text, but not at the beginning of a help text."""

VERBS = frozenset(
    """
    add allow apply approve ask blur call cap check choose classify collect compare compute configure
    convert copy count create decide delete download draw embed estimate exclude export fetch fill find
    fit flag give hide import install interpolate join judge keep leave let list look make map measure
    merge mix move name open pay plan predict print propose read refuse register remove replicate
    restore retry run save say score search serve set show simulate skip start stop take tell test train
    try turn use widen write
    """.split()  # noqa: SIM905
)
"""The verbs that the help of commands and flags begins with."""


def complaints(text: str, *, is_help: bool = False) -> Iterator[str]:
    """What is to be rewritten in a text, with the way out."""
    for pattern, instead in (*AVOIDED, *(AVOIDED_IN_HELP if is_help else ())):
        for found in pattern.finditer(text):
            yield f"{found[0]!r}: write {instead}"


def sentences(text: str) -> list[str]:
    """The sentences of a help text; a colon or semicolon ends one, and examples are left out."""
    prose = re.split(r"\bExample: ", text)[0]
    prose = re.sub(r"\s+", " ", prose)
    return [part for part in re.split(r"(?<=[.?!;:])\s", prose) if part.strip()]


def long_sentences(text: str) -> list[str]:
    """Sentences of more than 25 words."""
    return [each for each in sentences(text) if len(each.split()) > MOST_WORDS]
