"""One model's answers to a set, whatever they were read from, and how they are to be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Predictions"]


@dataclass(frozen=True)
class Predictions:
    """``values`` is (N,) classes (numbers or names), (N, K) a ranking, or (N, C) scores; ``kind`` "auto" is decided
    from the values.
    """

    model: str
    source: str
    kind: Literal["auto", "labels", "ranking", "scores"]
    values: npt.NDArray[Any] = field(repr=False)
    ids: npt.NDArray[np.str_] | None = field(default=None, repr=False)
    """The image of each row; None: the rows are in the order of the set."""
    preprocessing: str = ""
    gaps: bool = False
    """-1 stands for an image without an answer, which counts as wrong; elsewhere a negative class is a mistake."""
    columns: str = ""
    """Where in the file the answers stand."""
    key: str = ""
    """What names the images: a column, an index, or "rows by position"."""
    outputs: tuple[str, ...] | None = field(default=None, repr=False)
    """The classes of the scores' columns where they are more than the set's; None: as for all predictions."""
    by_name: bool = False
    """The scores' columns were matched to the classes by name."""
    open_answers: bool = False
    """An answer that is not a class at all is wrong, not a sign of a wrong file."""
    among_set: bool = False
    """The answers were chosen among the set's classes alone."""
