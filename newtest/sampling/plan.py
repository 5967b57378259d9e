"""A plan: how many images to draw from which cell of which class, made before anything is drawn.

A *cell* is what a strategy distinguishes within a class: a frequency bin, a search keyword, or the class as a
whole. A strategy says which cell each eligible candidate lies in and how many each cell should give; the rest
(what is feasible, filling, drawing, keeping the parent's members) is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.sampling.pairs import Pairs

__all__ = ["NO_CELL", "Cells", "DrawPlan", "one_cell_a_class"]

Ints = npt.NDArray[np.int64]
NO_CELL = -1


@dataclass(frozen=True)
class Cells:
    """M cells, sorted by class, within a class lowest first; every array has shape (M,).

    ``class_index`` points into the classes of the pairs, ``reference`` counts the original's images in the
    cell, ``target`` is how many to draw, ``fill_from`` the cell that makes up for what this one lacks (or
    NO_CELL).
    """

    class_index: Ints
    label: tuple[str, ...]
    reference: Ints
    target: Ints
    fill_from: Ints


@dataclass(frozen=True)
class DrawPlan:
    """Cells, and where each of the N eligible candidates lies.

    ``cell_of`` has shape (N,), NO_CELL for candidates that no cell needs. ``rank`` has shape (N,): the
    smallest are taken first; None means a uniform draw. ``lacking`` names classes that have no target and
    says why.
    """

    eligible: Pairs
    cells: Cells
    cell_of: Ints
    rank: Ints | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def available(self) -> Ints:
        """Eligible candidates per cell, shape (M,)."""
        return np.bincount(self.cell_of[self.cell_of >= 0], minlength=len(self.cells.label)).astype(np.int64)

    @cached_property
    def take(self) -> Ints:
        """Images to draw a cell, shape (M,): the target where it can be met, else what there is, and the
        filling.

        Every cell serves itself first; then the cells that lack images, highest first, draw on what their
        ``fill_from`` has left, and on that one's, and so on.
        """
        take = np.minimum(self.cells.target, self.available)
        spare = self.available - take
        for cell in np.flatnonzero(take < self.cells.target)[::-1]:
            short = int(self.cells.target[cell] - take[cell])
            donor = int(self.cells.fill_from[cell])
            while short and donor != NO_CELL:
                given = min(short, int(spare[donor]))
                take[donor] += given
                spare[donor] -= given
                short -= given
                donor = int(self.cells.fill_from[donor])
        return take

    @cached_property
    def histogram(self) -> pd.DataFrame:
        """One row per cell: wnid, bin, reference, eligible, target, drawn (all counts of images)."""
        return pd.DataFrame(
            {
                "wnid": self.eligible.wnids[self.cells.class_index],
                "bin": np.array(self.cells.label, dtype=object),
                "reference": self.cells.reference,
                "eligible": self.available,
                "target": self.cells.target,
                "drawn": self.take,
            }
        )

    @cached_property
    def problems(self) -> dict[str, str]:
        """wnid -> what keeps the class from being filled; empty when the plan is feasible."""
        classes, wnids = len(self.eligible.wnids), self.eligible.wnids
        target = np.bincount(self.cells.class_index, self.cells.target, minlength=classes)
        drawn = np.bincount(self.cells.class_index, self.take, minlength=classes)
        short: dict[str, list[str]] = {}
        for cell in np.flatnonzero(self.available < self.cells.target):
            index = self.cells.class_index[cell]
            if drawn[index] < target[index]:
                lack = f"{self.cells.label[cell]} has {self.available[cell]} of {self.cells.target[cell]}"
                short.setdefault(wnids[index], []).append(lack)
        problems = {wnid: ", ".join(lacks) for wnid, lacks in short.items()} | dict(self.lacking)
        return dict(sorted(problems.items()))


def one_cell_a_class(pairs: Pairs, label: tuple[str, ...], target: Ints, reference: Ints) -> Cells:
    """Cells of a strategy that looks at classes as a whole; ``label``, ``target``, ``reference`` have one
    entry per class.
    """
    count = len(pairs.wnids)
    return Cells(np.arange(count), label, reference, target, np.full(count, NO_CELL))
