"""A caution: a number is likely wrong, in which file, and why. Cautions are values, printed beside the result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["DOUBTFUL", "Caution", "Unscorable", "doubts"]

DOUBTFUL = ("reversed", "permuted", "chance", "unreadable-images")
"""Kinds of cautions by which the number of a model that was scored is likely wrong; reports name such models."""


class Unscorable(Exception):
    """A model that gets no number; carries the kind and the sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Caution:
    """``kind`` is a short fixed word for counting; ``fatal``: a result is missing, or lacks images, because of it."""

    kind: str
    source: str
    """The file or table that is likely wrong."""
    message: str
    """One sentence: what was seen, and what is likely the reason."""
    model: str = ""
    fatal: bool = False

    def to_json(self) -> dict[str, str | bool]:
        """Plain values, for the command line's JSON and ``report.json``."""
        return asdict(self)

    def __str__(self) -> str:
        model = f": {self.model}" if self.model else ""
        return f"{self.source}{model}: {self.message}"


def doubts(model: str, cautions: Iterable[Caution]) -> str:
    """What makes a model's number doubtful, as it is kept beside the number."""
    said = (one.message for one in cautions if one.model == model and one.kind in DOUBTFUL)
    return "; ".join(dict.fromkeys(said))
