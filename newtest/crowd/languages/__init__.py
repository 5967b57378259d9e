"""Every fixed text that workers read, one file per language; a new file is a new language.

``[work]`` holds the texts of the server's own pages, ``[page]`` those of the templates. The translations were made
without native speakers: have one read yours before you pay people.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from newtest.errors import UsageError

__all__ = ["Language", "language", "languages"]


@dataclass(frozen=True)
class Language:
    """``tag`` as in HTML's ``lang``; ``dir`` is ltr or rtl."""

    tag: str
    name: str
    dir: str
    work: Mapping[str, str]
    page: Mapping[str, str]

    def say(self, key: str, **values: object) -> str:
        """A text of the server's pages, its ``{names}`` filled in."""
        return re.sub(r"\{(\w+)\}", lambda match: str(values[match.group(1)]), self.work[key])

    def of_english(self, text: str) -> str:
        """The same sentence in this language, where it is one of ours; else the text as it is."""
        key = _english_keys().get(text)
        return text if key is None else self.work[key]


@cache
def languages() -> tuple[str, ...]:
    """The tags of the languages there are, English first."""
    tags = sorted(
        item.name.removesuffix(".toml") for item in files(__name__).iterdir() if item.name.endswith(".toml")
    )
    return ("en", *(tag for tag in tags if tag != "en"))


@cache
def language(tag: str) -> Language:
    """A language by its tag. Raises UsageError for one that is not there."""
    if tag not in languages():
        raise UsageError(f"there is no language {tag!r}; there are {', '.join(languages())}")
    table = tomllib.loads(files(__name__).joinpath(f"{tag}.toml").read_text(encoding="utf-8"))
    return Language(tag, table["name"], table["dir"], table["work"], table["page"])


@cache
def _english_keys() -> Mapping[str, str]:
    return {text: key for key, text in language("en").work.items()}
