"""Answers, by name or by number, as positions in a list of classes.

A whole number may be a class's name ("2", of the folders 0, 2, 3) or its place in the order of the classes. Where both
can be meant and differ, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.evaluation.scoring.cautions import Unscorable

__all__ = ["AnswerRule", "Classes", "Placed", "place"]

AnswerRule = Literal["auto", "name", "number"]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Classes:
    """What answers may mean: ``names`` in the order of the numbers, ``extra`` more names of positions."""

    names: tuple[str, ...]
    extra: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Placed:
    """Positions of answers, of their shape; -1 where an answer is not a class."""

    at: Ints
    how: Literal["by name", "by number"]


def place(
    values: npt.NDArray[Any],
    classes: Classes,
    rule: AnswerRule = "auto",
    *,
    strict: bool = True,
    gaps: bool = False,
) -> Placed:
    """``strict``: a name that is not a class makes the file wrong, else the answer. ``gaps``: -1 is not an answer.
    Raises Unscorable for missing answers, fractions, numbers out of range, unknown names, and what can be read in two
    ways.
    """
    codes, unique = _unique(values)
    texts = [_text(value) for value in unique]
    named = _by_name(texts, classes)
    numbered = _by_number(texts, len(classes.names), gaps=gaps)
    names_fit = bool((named >= 0).all())
    if rule == "name" or (rule == "auto" and numbered is None):
        if not names_fit and (strict or not (named >= 0).any()):
            raise _no_class(values, texts, named, codes, classes, rule)
        return _placed(named, codes, values.shape, "by name")
    if numbered is None:
        raise _no_number(texts, classes, gaps=gaps)
    if rule == "auto" and names_fit and not np.array_equal(named, numbered):
        # "001" is not a number that a program counts with
        if any(_canonical(text) is None for text in texts):
            return _placed(named, codes, values.shape, "by name")
        first = int(np.flatnonzero(named != numbered)[0])
        raise Unscorable(
            "ambiguous",
            f"the answer {texts[first]} may be the class of that name or the class number {texts[first]} "
            f"({classes.names[int(numbered[first])]!r}); say which with `answers`: name or number",
        )
    return _placed(numbered, codes, values.shape, "by name" if names_fit else "by number")


def _placed(at: Ints, codes: Ints, shape: tuple[int, ...], how: Literal["by name", "by number"]) -> Placed:
    return Placed(at[codes].reshape(shape), how)


def _unique(values: npt.NDArray[Any]) -> tuple[Ints, npt.NDArray[Any]]:
    """Each distinct answer once, and which of them each cell holds. Raises Unscorable where one is missing."""
    flat = values.ravel()
    codes, unique = pd.factorize(flat, use_na_sentinel=True)
    if (gone := int((codes < 0).sum())) > 0:
        raise Unscorable("not-a-number", f"{gone} answers are missing")
    if values.dtype.kind == "f":
        if not np.isfinite(unique.astype(np.float64)).all():
            raise Unscorable(
                "not-a-number", f"{int((~np.isfinite(flat)).sum())} answers are missing (infinite)"
            )
        if (unique != np.round(unique)).any():
            raise Unscorable(
                "out-of-range", "the answers are fractions, not classes: one score per image cannot be scored"
            )
    return codes.astype(np.int64), np.asarray(unique)


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return str(int(value))
    return str(value)


def _canonical(text: str) -> int | None:
    """A whole number as programs write it: no leading zero, no plus sign, no blank."""
    digits = text.removeprefix("-")
    if (
        not (digits.isascii() and digits.isdigit())
        or (len(digits) > 1 and digits[0] == "0")
        or len(digits) > 15
    ):
        return None
    return int(text)


def _by_number(texts: Sequence[str], count: int, *, gaps: bool) -> Ints | None:
    """Numbers 0 to count - 1, "3.0" among them; None where one is not."""
    found = []
    for text in texts:
        whole = text.removesuffix(".0") if text.endswith(".0") else text
        digits = whole.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
            return None
        number = int(whole)
        if not (-1 if gaps else 0) <= number < count:
            return None
        found.append(number)
    return np.array(found, dtype=np.int64)


_WAYS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: name.strip(),
    lambda name: " ".join(name.replace("_", " ").split()).casefold(),
    lambda name: _value(name),
)
"""Ways to compare two names, the strictest first; one is taken only where it tells all classes apart."""


def _value(name: str) -> str:
    """ "007", "7" and "7.0" as one; any other text as it is, told apart from numbers."""
    try:
        number = float(name) if name.isascii() and "_" not in name else np.nan
    except ValueError:
        number = np.nan
    return repr(number) if np.isfinite(number) else f"text {name}"


def _by_name(texts: Sequence[str], classes: Classes) -> Ints:
    """Positions by name, -1 for none: the strictest way that finds most."""
    best = np.full(len(texts), -1, dtype=np.int64)
    for way in _WAYS:
        known: dict[str, int] = {}
        pairs = [*((name, at) for at, name in enumerate(classes.names)), *classes.extra.items()]
        if any(known.setdefault(way(name), at) != at for name, at in pairs):
            continue
        found = np.array([known.get(way(text), -1) for text in texts], dtype=np.int64)
        if (found >= 0).sum() > (best >= 0).sum():
            best = found
        if (best >= 0).all():
            break
    return best


def _no_class(
    values: npt.NDArray[Any],
    texts: Sequence[str],
    named: Ints,
    codes: Ints,
    classes: Classes,
    rule: AnswerRule,
) -> Unscorable:
    numbers = [_canonical(text) for text in texts]
    if rule != "name" and all(number is not None for number in numbers):
        return _no_number(texts, classes, gaps=False)
    wrong = int((named[codes] < 0).sum())
    first = texts[int(codes[int(np.argmax(named[codes] < 0))])]
    return Unscorable("out-of-range", f"{wrong} answers are not classes of the set, first {first!r}")


def _no_number(texts: Sequence[str], classes: Classes, *, gaps: bool) -> Unscorable:
    numbers = [number for text in texts if (number := _canonical(text)) is not None]
    if len(numbers) < len(texts):
        first = next(text for text in texts if _canonical(text) is None)
        return Unscorable("out-of-range", f"the answer {first!r} is not a class number")
    low, high, count = min(numbers), max(numbers), len(classes.names)
    wrong = low if low < (-1 if gaps else 0) else high
    return Unscorable(
        "out-of-range", f"class {wrong} is out of range 0 to {count - 1}{too_many(high + 1, count)}"
    )


def too_many(found: int, wanted: int) -> str:
    """What another number of classes than the wanted one likely means, as the end of a sentence."""
    if found == wanted + 1:
        return ": one too many, so the model likely has a background class first, or counts from 1"
    if found > wanted:
        return ": a model of more classes needs its class list, `classes`, and is scored on this set's"
    return ""
