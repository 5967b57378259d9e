"""Decode pictures side by side, in order, ahead of whoever looks at them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from newtest.images.memory import parallel

__all__ = ["AHEAD", "decoded_ahead"]

AHEAD = 4
"""Batches ahead of a GPU."""

T = TypeVar("T")
D = TypeVar("D")


def decoded_ahead(
    things: Iterable[T], decode: Callable[[T], D], *, batch: int, ahead: int, threads: int
) -> Generator[list[D], None, None]:
    """What ``decode`` makes of the things, in their order, ``batch`` at a time (the last may be smaller).

    ``ahead`` is how many batches more are under way while one is looked at: some where a GPU looks, 0 where looking
    itself keeps all cores busy. At most ``threads`` decode at once (Pillow holds no lock meanwhile), fewer where their
    pictures would not fit into memory. ``decode`` must give bad pictures as values; what it raises is raised here.
    """
    waiting: deque[Future[D]] = deque()
    decoders = ThreadPoolExecutor(parallel(threads), thread_name_prefix="decode")
    try:
        for thing in things:
            waiting.append(decoders.submit(decode, thing))
            if len(waiting) >= batch * (ahead + 1):
                yield [waiting.popleft().result() for _ in range(batch)]
        while waiting:
            yield [waiting.popleft().result() for _ in range(min(batch, len(waiting)))]
    finally:
        decoders.shutdown(cancel_futures=True)
