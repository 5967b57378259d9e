"""What only a person knows of a set: who made it, where it lies, what it is for. A TOML file answers it.

::

    creator = ["Ada Example", "Bo Example"]
    url = "https://example.org/our-set"
    citation = "@inproceedings{...}"
    license = "https://creativecommons.org/licenses/by/4.0/"   # of labels and metadata; images keep their own
    use_cases = "Measuring how well classifiers of ImageNet's classes generalise."
    social_impact = "..."
    personal_information = "..."
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from newtest.config import load_toml
from newtest.errors import ConfigError

__all__ = ["About", "read_about"]


@dataclass(frozen=True)
class About:
    """Answers for the card and for Croissant; "" or () where nobody answered."""

    creator: tuple[str, ...] = ()
    url: str = ""
    description: str = ""
    citation: str = ""
    license: str = ""
    """Of what the makers added: labels, frequencies, metadata. Images stay under their owners' licences."""
    version: str = "1.0.0"
    keywords: tuple[str, ...] = ()
    use_cases: str = ""
    limitations: str = ""
    biases: str = ""
    social_impact: str = ""
    personal_information: str = ""
    annotators: str = ""
    """Who voted, as far as it is known and may be told."""
    maintenance: str = ""

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The fields that Croissant or NeurIPS ask for and that only a person can answer."""
        asked = (
            "creator", "url", "citation", "license", "use_cases", "social_impact", "personal_information",
            "annotators", "maintenance",
        )  # fmt: skip
        return tuple(name for name in asked if not getattr(self, name))


def read_about(path: Path) -> About:
    """Read the file. Raises ConfigError for a field that is not known, a value of another kind, and a ``url`` that
    is not an address on the web.
    """
    about = load_toml(About, path)
    if about.url and not re.fullmatch(r"https?://[^\s/]+\S*", about.url):
        raise ConfigError(f"{path}: url: an address that begins with https:// is required, got {about.url!r}")
    return about
