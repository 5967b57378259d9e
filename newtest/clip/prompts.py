"""Prompts: templates, class names, and a lint for both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from newtest.errors import UsageError
from newtest.reading.texts import read_lines as text_lines

__all__ = ["Finding", "default_templates", "fill", "lint_names", "lint_templates", "read_lines"]

ARTICLES = re.compile(
    r"\b(a|an|the|one|two|some|many|several|my|this|these|his|her|their)\b[^{}]*\{\}", re.IGNORECASE
)
VOWEL = re.compile(r"[aeiou]", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """A likely mistake. ``kind``: same-name, other-lemma, empty-name, missing-article, wrong-article."""

    kind: Literal["same-name", "other-lemma", "empty-name", "missing-article", "wrong-article"]
    message: str


def default_templates() -> tuple[str, ...]:
    """The 80 templates that ship with newtest: written by us, for general photographs."""
    text = files("newtest.clip").joinpath("templates.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


def read_lines(path: Path, *, templates: bool) -> tuple[str, ...]:
    """Templates or class names from a text file, one per line; empty lines and ``#`` lines are left out.

    Raises UsageError: no such file, nothing in it, a template without exactly one ``{}``.
    """
    try:
        lines = [line.strip() for line in text_lines(path)]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    kept = tuple(line for line in lines if line and not line.startswith("#"))
    if not kept:
        raise UsageError(f"{path}: holds no lines")
    for line in kept if templates else ():
        if line.count("{}") != 1:
            raise UsageError(
                f"{path}: the template {line!r} must hold {{}} once, where the class name belongs"
            )
    return kept


def fill(templates: Sequence[str], name: str) -> list[str]:
    """Every template with the class name in it. Underscores in the name become spaces."""
    return [template.replace("{}", name.replace("_", " ")) for template in templates]


def lint_names(names: Mapping[str, str], lemmas: Mapping[str, Sequence[str]] | None = None) -> list[Finding]:
    """What a zero-shot classifier would confuse: ``names`` maps wnid to class name, ``lemmas`` wnid to all its lemmas.

    Two classes of one name (ImageNet's two cranes, its two maillots) get the same embedding: one of them can never be
    predicted. A name that is another class's lemma is nearly as bad.
    """
    findings = []
    owners: dict[str, list[str]] = {}
    for wnid, name in names.items():
        if not name.strip():
            findings.append(Finding("empty-name", f"{wnid} has an empty name"))
        owners.setdefault(_plain(name), []).append(wnid)
    for name, wnids in owners.items():
        if len(wnids) > 1:
            findings.append(
                Finding("same-name", f"{' and '.join(wnids)} are all named {name!r}: tell them apart")
            )
    by_lemma: dict[str, list[str]] = {}
    for wnid, words in (lemmas or {}).items():
        for word in words:
            by_lemma.setdefault(_plain(word), []).append(wnid)
    for wnid, name in names.items():
        others = [
            other
            for other in by_lemma.get(_plain(name), [])
            if other != wnid and _plain(names.get(other, "")) != _plain(name)
        ]
        if others:
            findings.append(
                Finding(
                    "other-lemma", f"{wnid} is named {name!r}, which is a lemma of {', '.join(others)} too"
                )
            )
    return findings


def lint_templates(templates: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Templates that make poor English: no article before the name, or ``a`` before a vowel.

    The published way fills names in as they are, so "a" before a vowel is reported once per template, not mended.
    """
    findings = []
    vowels = sum(bool(VOWEL.match(name)) for name in names)
    for template in templates:
        if not ARTICLES.search(template):
            findings.append(Finding("missing-article", f"{template!r} has no article before the name"))
        elif re.search(r"\ba \{\}", template) and names and vowels > len(names) / 2:
            findings.append(
                Finding(
                    "wrong-article",
                    f"{template!r}: {vowels} of {len(names)} names begin with a vowel and want 'an'",
                )
            )
    return findings


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())
