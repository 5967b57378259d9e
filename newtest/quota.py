"""How a class's quota is shared by its queries: evenly, and what one query cannot fill goes to those that can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Share", "share"]


@dataclass(frozen=True)
class Share:
    """``taken`` by each query, in order. ``wanted`` is the query whose next results decide how it goes on, if any."""

    taken: tuple[tuple[str, ...], ...]
    wanted: int | None


def share(quota: int, found: Sequence[Sequence[str]], more: Sequence[bool]) -> Share:
    """Share ``quota`` images among queries whose results so far are ``found``; ``more[q]``: q may have further ones.

    In rounds: what is left of the quota is split evenly among the queries that still have results (the first ones take
    the remainder), each takes its part in its own order, skipping images another has taken. ImageNetV2 split once and
    lost a lemma's shortfall. Longer ``found`` only ever extends what is taken, so an interrupted collection goes on to
    the same end as an undisturbed one.
    """
    taken: list[list[str]] = [[] for _ in found]
    seen: set[str] = set()
    position = [0] * len(found)
    live = list(range(len(found)))
    left = quota
    while left > 0 and live:
        base, extra = divmod(left, len(live))
        parts = {query: base + (place < extra) for place, query in enumerate(live)}
        for query, part in parts.items():
            goal = len(taken[query]) + part
            while len(taken[query]) < goal:
                if position[query] == len(found[query]):
                    if more[query]:
                        return Share(tuple(map(tuple, taken)), query)
                    live.remove(query)
                    break
                image_id = found[query][position[query]]
                position[query] += 1
                if image_id not in seen:
                    seen.add(image_id)
                    taken[query].append(image_id)
                    left -= 1
    return Share(tuple(map(tuple, taken)), None)
