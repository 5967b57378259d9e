"""Drawing a plan: which of a cell's candidates are taken."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from newtest.draws import generator
from newtest.sampling.config import SamplingConfig
from newtest.sampling.plan import DrawPlan

__all__ = ["draw"]

Ints = npt.NDArray[np.int64]


def draw(plan: DrawPlan, config: SamplingConfig) -> Ints:
    """Positions (in ``plan.eligible``) of the drawn candidates, rising, ``plan.take`` from each cell.

    Without a rank the draw is uniform, except that members of the parent come first: a revision changes as
    few images as its targets allow. The generator of a cell is made of the seed, the strategy, the wnid and
    the cell's label, and draws over image ids in sorted order, so neither other classes nor the process
    decide what a seed gives.
    """
    order = np.argsort(plan.cell_of, kind="stable")
    order = order[plan.cell_of[order] >= 0]
    ends = np.cumsum(plan.available)
    drawn = [np.empty(0, dtype=np.int64)]
    for cell in np.flatnonzero(plan.take):
        rows = order[ends[cell] - plan.available[cell] : ends[cell]]
        drawn.append(_choose(plan, config, int(cell), rows))
    return np.sort(np.concatenate(drawn))


def _choose(plan: DrawPlan, config: SamplingConfig, cell: int, rows: Ints) -> Ints:
    wanted = int(plan.take[cell])
    if wanted == len(rows):
        return rows
    if plan.rank is not None:
        return rows[np.argsort(plan.rank[rows])[:wanted]]
    kept = plan.eligible.in_parent[rows]
    old, new = rows[kept], rows[~kept]
    wnid = str(plan.eligible.wnids[plan.cells.class_index[cell]])
    random = generator(config.seed, "sample", config.strategy, wnid, plan.cells.label[cell])
    if wanted <= len(old):
        return random.choice(old, wanted, replace=False, shuffle=False)
    return np.concatenate([old, random.choice(new, wanted - len(old), replace=False, shuffle=False)])
