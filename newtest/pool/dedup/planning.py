"""What a join of a pool would take, before it is run: rows, operations, bytes to read and to hold, and hours.

Operations and bytes follow from the code's own cutting into ranges; hours from rates that are measured in about a
second on this machine. A cluster's workers are taken to be like this machine, and an H100's rate is an assumption.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from newtest.clip.encoder import unit_rows
from newtest.errors import UsageError
from newtest.neighbors import linked_above
from newtest.neighbors.kmeans import ROUNDS, WIDENED
from newtest.pool.dedup.choice import best_method
from newtest.pool.dedup.clusters import MOST_CLUSTERS, TRAIN_PER_CLUSTER
from newtest.pool.dedup.joins import LARGEST, block_rows
from newtest.pool.dedup.near_duplicates import DedupConfig
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.vectors import vector_source

__all__ = ["H100", "JoinPlan", "Rates", "join_plan", "measured", "planned"]

H100 = 150e12
"""Multiplications with an addition per second that an H100 is taken to make: 30 % of its peak in 16 bits. Assumed."""
H100_READS = 1e9
"""Bytes per second that its machine is taken to read from a store. Assumed."""
DRIVER = 24
"""Bytes per row that the command itself holds at most."""
_TILE = 4096 * 4096 * 4
_TRIED = 6144


@dataclass(frozen=True)
class JoinPlan:
    """``operations`` are multiplications with an addition, in 16 or 8 bits where the processor has them. ``held`` is
    what one worker holds of the rows, ``driver`` what the command itself does, both in bytes.
    """

    rows: int
    width: int
    clusters: int
    items: int
    operations: float
    bytes_read: float
    held: float
    driver: float


@dataclass(frozen=True)
class Rates:
    """Operations and bytes per second."""

    operations: float
    bytes_read: float

    def hours(self, plan: JoinPlan, workers: int = 1) -> float:
        """Hours of so many workers; what they read and what they multiply is not overlapped."""
        return (plan.operations / self.operations + plan.bytes_read / self.bytes_read) / workers / 3600


def no_plan(method: str) -> str:
    """What a message says of a method without vectors."""
    return (
        f"a plan is made for the methods exact and semantic, not for {method}; "
        "give the pool vectors (newtest embed-pool, or `vectors`), or leave `plan` away"
    )


def join_plan(rows: int, width: int, method: str, clusters: int = 0, probe: int = 1) -> JoinPlan:
    """What ``dedup-pool`` takes by ``exact`` or ``semantic``, for rows of so many numbers. Raises UsageError."""
    if method not in ("exact", "semantic"):
        raise UsageError(no_plan(method))
    block = block_rows(rows)
    ranges, row = -(-rows // block), 2.0 * width
    once = rows * row
    if method == "exact":
        items = ranges * (ranges + 1) // 2
        read = once + (once if ranges == 1 else (items + ranges) * block * row)
        held = min(2 * block, 2 * rows) * row + _TILE
        return JoinPlan(rows, width, 0, items, rows * (rows - 1) / 2 * width, read, held, DRIVER * rows)
    count = clusters or max(1, min(rows // 1000, MOST_CLUSTERS))
    sample = min(rows, count * TRAIN_PER_CLUSTER)
    group = max(block, min(LARGEST, rows // 8))
    groups = -(-rows * probe // group)
    operations = (ROUNDS * sample + rows) * float(count) * width + (rows * probe) ** 2 / 2 / count * width
    # Digests, the sample, the assignment, the recall; and each group looks for its rows in all ranges.
    read = once * (4 + groups)
    held = (group + block) * row + _TILE
    driver = DRIVER * rows + sample * (48 + width * (6.0 if sample * width <= WIDENED else 2.0))
    return JoinPlan(rows, width, count, ranges + groups, operations, read, held, driver)


def measured(rows: VectorRows, width: int, device: str = "auto") -> Rates:
    """This machine's rates: a join of made rows of the pool's width, and the reading of the pool's first rows."""
    draw = np.random.default_rng(0)
    made = unit_rows(draw.standard_normal((_TRIED, width), dtype=np.float32))
    linked_above(made[:8], made, threshold=0.99, device=device, backend=_backend(device))  # what it imports
    start = time.perf_counter()
    linked_above(made, made.copy(), threshold=0.99, device=device, backend=_backend(device))
    operations = _TRIED * _TRIED * width / (time.perf_counter() - start)
    start, some = time.perf_counter(), min(rows.starts[-1], 1 << 13)
    rows.block((0, some))
    return Rates(operations, some * width * 2 / max(time.perf_counter() - start, 1e-6))


def planned(pool: Pool, config: DedupConfig, workers: int) -> dict[str, Any]:
    """The plan of ``dedup`` and its hours: on this machine, on so many machines like it, and on an H100.

    Raises PoolError, and UsageError for methods that no plan is made for.
    """
    method = config.method
    if method == "auto":
        method, _ = best_method(pool, config.encoder, config.vectors)
    if method not in ("exact", "semantic"):
        raise UsageError(no_plan(method))
    rows = VectorRows.of(pool, vector_source(pool, config.encoder, config.vectors))
    total = rows.starts[-1]
    if not total:
        raise UsageError(f"{pool.place.url}: the pool has no rows, so there is nothing to plan")
    plan = join_plan(total, rows.block((0, 1))[0].shape[1], method, config.clusters, config.probe)
    rates = measured(rows, plan.width, config.device)
    h100 = Rates(H100, H100_READS)
    return {
        "pool": pool.place.url,
        "method": method,
        **asdict(plan),
        "rates": asdict(rates),
        "hours_here": rates.hours(plan),
        "workers": max(workers, 1),
        "hours_on_workers": rates.hours(plan, max(workers, 1)),
        "hours_on_h100": h100.hours(plan),
    }


def _backend(device: str) -> str:
    from importlib.util import find_spec

    return "torch" if device.startswith("cuda") or find_spec("torch") else "numpy"
