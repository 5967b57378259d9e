"""The set and the class map of an evaluation: which classes are compared, and which images no model can be right on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.class_lists import read_classes
from newtest.evaluation.scoring.classmap import ClassMap, class_map, read_class_map, restrict, unreached
from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["Mapped", "Unreachable", "mapped"]

Unreachable = Literal["auto", "wrong", "left-out"]


@dataclass(frozen=True)
class Mapped:
    """``mapping`` None: the model's classes are the set's, in their order."""

    evaluated: EvaluationSet
    mapping: ClassMap | None = None
    cautions: tuple[Caution, ...] = ()


def mapped(
    evaluated: EvaluationSet,
    *,
    classes: Path | None = None,
    class_map_file: Path | None = None,
    unreachable: Unreachable = "auto",
) -> Mapped:
    """The set as it is scored. Images of classes that no output can mean are left out (of a class map, unless told
    otherwise), or count as wrong; of a class list that lacks some, nothing is scored before it is told which.

    Raises EvaluationError.
    """
    outputs = read_classes(classes, evaluated.classes) if classes else None
    if class_map_file is not None:
        return _through(evaluated, outputs, read_class_map(class_map_file), class_map_file, unreachable)
    if outputs is None or outputs == evaluated.classes:
        return Mapped(evaluated)
    if set(outputs) == set(evaluated.classes):
        return Mapped(restrict(evaluated, None, outputs))
    shown = _shown(evaluated)
    if not shown & set(outputs):
        raise EvaluationError(
            f"{classes}: none of its {len(outputs)} classes is one of the set's; it begins with {outputs[0]!r}, "
            f"the set's classes with {evaluated.classes[0]!r}"
        )
    missing = sorted(shown - set(outputs))
    if not missing:
        kept = tuple(name for name in evaluated.classes if name in set(outputs))
        part = evaluated if kept == evaluated.classes else restrict(evaluated, None, kept)
        return Mapped(part, class_map(outputs, part.classes))
    if unreachable == "auto":
        class_map(outputs, evaluated.classes)
    return _without(
        evaluated, outputs, None, tuple(n for n in evaluated.classes if n in set(outputs)), unreachable
    )


def _shown(evaluated: EvaluationSet) -> set[str]:
    """The classes that have an image."""
    found = {evaluated.classes[at] for at in np.unique(evaluated.labels)}
    if evaluated.also is not None:
        found |= {evaluated.classes[at] for at in np.unique(evaluated.also) if at >= 0}
    return found


def _through(
    evaluated: EvaluationSet,
    outputs: tuple[str, ...] | None,
    names: Mapping[str, str],
    path: Path,
    unreachable: Unreachable,
) -> Mapped:
    """The set is in the map's targets, or in the model's own classes, whichever more of its classes are."""
    targets = tuple(sorted(set(names.values())))
    shown = _shown(evaluated)
    in_targets, in_sources = len(shown & set(targets)), len(shown & set(names))
    if not in_targets and not in_sources:
        raise EvaluationError(
            f"{path}: no class of the set is in it, neither as 'from' nor as 'to'; the set's begin with "
            f"{min(shown)!r}, the map goes to {targets[0]!r}"
        )
    own = None if in_targets >= in_sources else names
    cautions = () if outputs is None else _strangers(outputs, names, path)
    found = _without(evaluated, outputs or evaluated.classes, names, targets, unreachable, own)
    found = replace(found, cautions=(*cautions, *found.cautions))
    if outputs is None and found.mapping is not None and found.mapping.extra and own is None:
        message = (
            f"numbers mean the set's {len(evaluated.classes)} classes in their order; "
            f"{len(found.mapping.extra)} classes of {path.name} have no number: give the model's classes with `classes`"
        )
        return Mapped(
            found.evaluated, found.mapping, (*found.cautions, Caution("classes", evaluated.name, message))
        )
    return found


def _strangers(outputs: tuple[str, ...], names: Mapping[str, str], path: Path) -> tuple[Caution, ...]:
    """A caution for classes of the map that the model has not: a name that is written otherwise maps nothing."""
    strange = [name for name in names if name not in set(outputs)]
    if not strange:
        return ()
    if len(strange) == len(names):
        raise EvaluationError(
            f"{path}: none of its classes 'from' is one of the model's {len(outputs)}; it begins with {strange[0]!r}, "
            f"the model's with {outputs[0]!r}"
        )
    message = f"{len(strange)} classes 'from' are not among the model's {len(outputs)} classes, first {strange[0]!r}"
    return (Caution("classes", path.name, message),)


def _without(
    evaluated: EvaluationSet,
    outputs: tuple[str, ...],
    names: Mapping[str, str] | None,
    targets: tuple[str, ...],
    unreachable: Unreachable,
    own: Mapping[str, str] | None = None,
) -> Mapped:
    """The set on the targets that can be reached, and on its other classes too where they count as wrong."""
    lost = set(unreached(class_map(outputs, targets, names, partial=True)))
    reachable = tuple(name for name in targets if name not in lost)
    to = {name: name if own is None else own.get(name, "") for name in evaluated.classes}
    outside = sorted(name for name in _shown(evaluated) if to[name] not in set(reachable))
    cautions: tuple[Caution, ...] = ()
    if unreachable == "wrong" and outside:
        kept = (*reachable, *outside)
        part = restrict(evaluated, {n: (n if n in set(outside) else to[n]) for n in to}, kept)
    else:
        kept = reachable
        part = restrict(evaluated, to, kept)
    if outside:
        gone = len(evaluated) - len(part)
        what = (
            f"their images count as wrong ({int(np.isin(part.labels, [kept.index(n) for n in outside]).sum())})"
            if unreachable == "wrong"
            else f"{gone} images are left out"
        )
        said = ", ".join(repr(name) for name in outside[:8]) + (
            f" and {len(outside) - 8} more" if len(outside) > 8 else ""
        )
        message = f"{len(outside)} classes of the set are reached by no output: {said}; {what}"
        cautions = (Caution("classes-outside", evaluated.name, message),)
    return Mapped(part, class_map(outputs, kept, names, partial=True), cautions)
