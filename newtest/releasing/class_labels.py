"""The names of a set's classes for people, one for each label: a name that two classes share has its wnid behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from newtest.records import Class

__all__ = ["class_labels"]


def class_labels(classes: Sequence[Class]) -> list[str]:
    """Names in the order of the classes; no two are the same ("crane", twice in ImageNet, becomes two names)."""
    often = Counter(" ".join(cls.name.split()) for cls in classes)
    names = [" ".join(cls.name.split()) for cls in classes]
    return [
        f"{name} ({cls.wnid})" if often[name] > 1 else name for name, cls in zip(names, classes, strict=True)
    ]
