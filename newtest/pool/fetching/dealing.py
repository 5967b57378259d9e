"""Which worker asks which hosts.

The limits and the pace of a host are kept by the one worker that asks it (``newtest.download``), so they hold across
all workers when no two of them ask the same host. For each group of shards the hosts are dealt anew, those with the
most URLs first, each to the worker that has the fewest so far. Downloads at once are dealt too, so that their sum is
what was allowed. The same table gives the same hands.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newtest.download.urls import host_of
from newtest.pool.fetch_below import Below

__all__ = ["Asked", "Hand", "dealt"]

Asked = tuple[str, str]
"""The uid of a row, 32 hex digits, and its URL."""


@dataclass(frozen=True)
class Hand:
    """What one worker asks for: of each shard (uid, URL) in the order of its rows. ``total``: downloads at once."""

    asked: Mapping[str, tuple[Asked, ...]]
    total: int


def dealt(
    asked: Mapping[str, Sequence[Asked]], workers: int, *, total: int, per_host: int, below: Below
) -> tuple[Hand, ...]:
    """The rows of some shards in at most ``workers`` hands, which have no host in common; none is empty.

    ``total`` downloads at once are shared out by how many each hand can have under way. URLs that are read
    ``below`` a folder or in a store have no host, and go round.
    """
    hosts = {
        (shard, row): _host(url, row, below)
        for shard, rows in asked.items()
        for row, (_, url) in enumerate(rows)
    }
    counts = Counter(hosts.values())
    hands = min(workers, total, len(counts))
    if hands == 0:
        return ()
    owner, loads = {}, [(0, number) for number in range(hands)]
    for host, rows_of_it in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        load, number = heapq.heappop(loads)
        owner[host] = number
        heapq.heappush(loads, (load + rows_of_it, number))
    parts: list[dict[str, list[Asked]]] = [{} for _ in range(hands)]
    for (shard, row), host in hosts.items():
        parts[owner[host]].setdefault(shard, []).append(asked[shard][row])
    at_once = [0] * hands
    for host, rows_of_it in counts.items():
        at_once[owner[host]] += min(per_host, rows_of_it)
    shares = _shares(total, at_once)
    return tuple(
        Hand({shard: tuple(rows) for shard, rows in part.items()}, share)
        for part, share in zip(parts, shares, strict=True)
    )


_GOES_ROUND = 64
"""URLs without a host are dealt as if they were of so many."""


def _host(url: str, row: int, below: Below) -> str:
    return f"/{row % _GOES_ROUND}" if below.takes(url) else host_of(url)


def _shares(total: int, wishes: Sequence[int]) -> list[int]:
    """``total`` parted by wishes, at least one each; there are no more wishes than ``total``."""
    rest, left, shares = total, sum(wishes), []
    for place, wish in enumerate(wishes):
        others = len(wishes) - place - 1
        share = max(1, min(rest - others, round(rest * wish / left)))
        shares.append(share)
        rest, left = rest - share, left - wish
    return shares
