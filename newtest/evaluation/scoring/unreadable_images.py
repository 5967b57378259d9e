"""Pictures of a set that a model could not be shown, and why: they count as wrong, and are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.images import ImageError, check
from newtest.sets import image_at

__all__ = ["unreadable"]


def unreadable(evaluated: EvaluationSet, image_ids: Sequence[str], model: str) -> Caution:
    """A fatal caution with the number of images, their reasons, and the first by its id."""
    wanted = set(image_ids)
    names = evaluated.images["image_id"].astype(str)
    paths = evaluated.images["path"].astype(str)[names.isin(wanted)]
    reasons = Counter(map(_reason, paths))
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    message = f"{len(image_ids)} images could not be read and count as wrong ({why}), first {image_ids[0]}"
    return Caution("unreadable-images", evaluated.name, message, model, fatal=True)


def _reason(path: str) -> str:
    """The kind of error that opening a file meets."""
    if not path:
        return "no file"
    try:
        check(image_at(path))
    except ImageError as error:
        return error.kind
    except (OSError, ValueError):
        return "unreadable"
    return "undecodable"  # its structure is whole, its pixels are not
