"""The patterns that newtest's texts avoid, and the way out of each. CONTRIBUTING.md has the rules in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = [
    "AVOIDED",
    "AVOIDED_IN_HELP",
    "VERBS",
    "complaints",
    "long_sentences",
    "long_sentences_of_page",
    "sentences",
]

MOST_WORDS = 25

_COUNTED = (
    "annotators|answers?|assignments|bits|bytes|candidates|captions|cents|checkbox|chunks|code|controls|copies|counts?|"
    "curves?|documents|dollars|downloads|dots|entry|entries|errors|examples|features|files?|folders?|functions?|hashes|"
    "HITs|images?|judges|labels?|lines?|links?|lists?|members|minutes|models|nouns|numbers|one|originals|pages|pairs|"
    "people|pictures|pixels|points|predictions|queries|questions|quota|requests|resamples|rows?|samples|scores?|seconds|"
    "seeds|shards|tables?|tags|tasks|templates?|threads|tiles|uids|values?|vectors?|votes?|weights|wnids?|words|workers"
)
_UNITS = (
    "annotator|assignment|bin|bucket|caption|candidate|cell|centroid|class|cluster|column|concept|core|day|device|"
    "document|draw|file|folder|forward pass|frame|frequency bin|GPU|group|HIT|host|hour|image|item|judge|label|"
    "language|layer|line|machine|market|member|message|metric|minute|model|page|pair|person|picture|piece|pixel|pool|"
    "process|query|question|record|release|request|revision|row|rule|run|sample|score|set|shard|side|site|stage|study|"
    "submission|tar|task|template|text|thread|tile|uid|URL|vector|vote|window|wnid|word|worker"
)
_BARE = "longer|more|better|less|other|others|such|second|one|need|way|matter"
AVOIDED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (rf"\b(?:{_COUNTED}) an? (?:{_UNITS})\b(?!'s)", '"per": votes per image'),
        (
            r"\b(?:an?|one|two) (?:row|column|line|file|folder|array|list|checkbox|count|curve|download|outcome|number|"
            rf"entry|interval|set|unit row|value|place)s? an? (?:{_UNITS})\b",
            '"per": a row per image',
        ),
        (r"\bwants\b", '"needs", "must" or "is required"'),
        (r"\bnone may\b", '"no X may", or say what may'),
        (r"(?<!there )\b(?:is|are) none\b", '"is not one of", "there is no X"'),
        (r"\b(?:may|can|will) still come\b", '"may work later"'),
        (r"\bsaid and not applied\b", '"reported and ignored"'),
        (r"\bgo(?:es)? on (?:where|when you|with what)\b", '"continues"'),
        (r"\b(?:what|that) was killed\b", '"a run that was stopped continues"'),
        (r"\blook(?:s|ed)? by\b", '"compare by", "metric"'),
        (r"\bdoes not do what\b", "say what failed"),
        (r"\bleave with\b", "say what it is"),
        (r"\bmany an?\b", '"many"'),
        (r"\breckon", '"count", "estimate"'),
        (r"\bat (?:least|most) so many\b", '"at least this many"'),
        (r"\b(?:is|are) wanted\b", '"must be", "is required"'),
        (r"\b(?:is|are|was|were) said\b", '"reported", "printed", or who says it'),
        (rf"(?<![Tt]here )\b(?:is|are|was|were) no (?!(?:{_BARE})\b)\w+", '"is not a X", "are not X"'),
        (r"(?<=\s)foret(?:ells?|old)\b|\bForet(?:ells?|old)\b", '"predict"'),
        (r"\bor the like\b", "name them, or leave it out"),
    )
)  # fmt: skip
"""A pattern, and what to write instead. The first two are about rates."""
_ASKS = re.compile(r"\b(?:how many|which|what|whose)\b[^.;:]{0,30}$", re.IGNORECASE)
"""Before what looks like a rate and is none: "how many images a page shows"."""

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
            if '"per"' in instead and _ASKS.search(text[: found.start()]):
                continue
            yield f"{found[0]!r}: write {instead}"


def sentences(text: str) -> list[str]:
    """The sentences of a help text; a colon or semicolon ends one, and examples are left out."""
    prose = re.split(r"\bExample: ", text)[0]
    prose = re.sub(r"\s+", " ", prose)
    return [part for part in re.split(r"(?<=[.?!;:])\s", prose) if part.strip()]


def long_sentences(text: str) -> list[str]:
    """Sentences of more than 25 words."""
    return [each for each in sentences(text) if len(each.split()) > MOST_WORDS]


def long_sentences_of_page(page: str) -> list[str]:
    """Sentences of more than 25 words in the prose of a Markdown page, but for those that list three things or more."""
    kept = [line for line in page.splitlines() if not line.startswith(("|", "#", "    ", "<!--"))]
    prose = re.sub(r"\]\([^)]*\)", "]", "\n".join(kept))
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose)
    return [each for block in blocks for each in long_sentences(block) if len(re.findall(r"[,;] ", each)) < 2]
