"""Blocks of rows in parallel threads, each of which multiplies with one thread of BLAS.

BLAS by itself takes all cores for a product only. The rest of a block's work (reading, widening, looking for the
largest) would wait for one core, and between two products BLAS's threads would spin.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

__all__ = ["Room", "Threads", "alone", "threads"]


class Threads(Protocol):
    """Does the work of every block, in no order; raises what the work raises."""

    def __call__(self, work: Callable[[Any], None], blocks: Iterable[Any]) -> None: ...


def alone(work: Callable[[Any], None], blocks: Iterable[Any]) -> None:
    """One block after another, in this thread."""
    deque(map(work, blocks), 0)


@contextmanager
def threads(blocks: int) -> Iterator[Threads]:
    """As many as BLAS may take now (fewer than the cores in a worker that shares them with others), and as there are
    blocks.
    """
    allowed = max((library["num_threads"] for library in _blas().info()), default=1)
    count = min(allowed, blocks)
    if count < 2:
        yield alone
        return
    with _blas().limit(limits=1), ThreadPoolExecutor(count) as pool:

        def share(work: Callable[[Any], None], blocks: Iterable[Any]) -> None:
            some = list(blocks)
            deque(map(work, some) if len(some) < 2 else pool.map(work, some), 0)

        yield share


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


class Room(threading.local):
    """An array for each thread, used again and again: fresh pages for each block would cost a third of its products."""

    held: npt.NDArray[np.float32] = np.empty(0, np.float32)

    def array(self, rows: int, columns: int) -> npt.NDArray[np.float32]:
        """(rows, columns) numbers of no meaning; the last ones are overwritten."""
        if len(self.held) < rows * columns:
            self.held = np.empty(rows * columns, np.float32)
        return self.held[: rows * columns].reshape(rows, columns)
