"""A class's search queries: one a lemma, with the options that ImageNetV2 used (FACTS.md, section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from newtest.records import Class, Query

__all__ = ["QueryConfig", "queries_of"]


@dataclass(frozen=True)
class QueryConfig:
    """What is searched for besides the plain lemmas."""

    hypernym: str = "no"
    """``no``; ``add``: each lemma followed by the nearest hypernym, beside the plain one; ``only``: in its place."""
    join: str = "no"
    """Compounds written as one word ("box turtle" -> "boxturtle"): ``no``, ``add`` or ``only``."""
    terms: tuple[str, ...] = ()
    """Hand-written texts, searched before the lemmas."""
    exclude: tuple[str, ...] = ()
    """Words that a result must not have: ``-term`` in the source's own language."""
    more_lemmas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """wnid -> lemmas in other languages, searched after the class's own."""
    window: Query = field(default_factory=lambda: Query(wnid="", text=""))
    """Carries the dates and licences of every query; its own class and text don't count."""


def queries_of(cls: Class, options: QueryConfig | None = None) -> tuple[Query, ...]:
    """The queries of a class in their order, each text once (compared without case)."""
    options = options or QueryConfig()
    texts = list(options.terms)
    for lemma in (*cls.lemmas, *options.more_lemmas.get(cls.wnid, ())):
        variants = []
        if options.join != "no" and " " in lemma:
            variants.append(lemma.replace(" ", ""))
        if options.hypernym != "no" and cls.hypernyms:
            variants.append(f"{lemma} {cls.hypernyms[0]}")
        replaced = (options.join == "only" and " " in lemma) or (
            options.hypernym == "only" and bool(cls.hypernyms)
        )
        texts += variants if replaced else [lemma, *variants]
    unique = {text.casefold(): text for text in reversed(texts) if text.strip()}
    ordered = sorted(unique.values(), key=texts.index)
    return tuple(
        replace(options.window, wnid=cls.wnid, text=text, exclude=options.exclude) for text in ordered
    )
