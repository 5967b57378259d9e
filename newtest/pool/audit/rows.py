"""Which rows an audit is about: the pool's, a subset's, or those that it leaves out; never those that opted out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.config import fingerprint
from newtest.errors import PoolError
from newtest.pool.storage.chosen import members, rows_chosen
from newtest.pool.storage.opt_outs import OptOuts, known, mask_of
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.subset import Subset

__all__ = ["Considered"]


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Considered:
    """The rows that may be drawn: all, those that ``subset`` holds, or with ``dropped`` those that it does not.

    ``chosen`` and ``rule_of`` hold the subset's rows by shard, and by which rule each was dropped, where it knows.
    """

    subset: Subset | None
    chosen: Mapping[str, Mask]
    opt_outs: OptOuts
    dropped: bool
    rule_of: Mapping[str, npt.NDArray[np.uint8]]

    @classmethod
    def of(cls, pool: Pool, subset: Subset | None, *, dropped: bool, by_rule: bool) -> Considered:
        """Raises PoolError where the subset does not say by which rule a row was dropped, and that is asked."""
        chosen = {} if subset is None else rows_chosen(pool, subset)
        rules = _rules(pool, subset) if by_rule and subset is not None else {}
        return cls(subset, chosen, known(pool), dropped, rules)

    @property
    def fingerprint(self) -> str:
        """What decides which rows they are, beside the pool."""
        uids = b"" if self.subset is None else self.subset.uids.tobytes()
        return fingerprint(hashlib.sha256(uids).hexdigest(), sorted(self.chosen), self.opt_outs.fingerprint)

    def rows(self, pool: Pool, shard: Shard) -> tuple[Mask, int]:
        """The shard's rows that may be drawn, (n,), and how many could be but opted out. Raises PoolError."""
        if self.subset is None:
            there = np.ones(pool.rows(shard), np.bool_)
        else:
            there = members(pool, shard, self.subset, self.chosen.get(shard.name)) ^ self.dropped
        out = mask_of(pool, shard, self.opt_outs)
        if out is None:
            return there, 0
        return there & ~out, int(np.count_nonzero(there & out))

    def rules(self, shard: Shard) -> tuple[npt.NDArray[np.int64], list[str]]:
        """The number of the rule that dropped each row, (n,), and the names by number; 0 is a row that stays."""
        return self.rule_of[shard.name].astype(np.int64), self.rule_names

    @property
    def rule_names(self) -> list[str]:
        """The names of the subset's rules by number, and before them that of none."""
        names = [] if self.subset is None else self.subset.manifest.get("dropped_by", [])
        return ["no rule", *map(str, names)]


def _rules(pool: Pool, subset: Subset) -> dict[str, npt.NDArray[np.uint8]]:
    names = subset.manifest.get("dropped_by")
    if subset.rules is None or not isinstance(names, list):
        raise PoolError(
            "the `subset` does not say which rule dropped each row; filter the pool again with `say_why`"
        )
    ends = np.cumsum([pool.rows(shard) for shard in pool.shards])
    made_of, now = subset.manifest.get("inputs", {}), pool.fingerprints()
    if not any(made_of.get(what) == now[what] for what in now) or len(subset.rules) != ends[-1]:
        raise PoolError(
            "the `subset` was made of another pool, or the pool was changed since; filter it again"
        )
    if subset.rules.max(initial=0) > len(names):
        raise PoolError("the `subset` is damaged: it names fewer rules than its rows; filter the pool again")
    return dict(zip((shard.name for shard in pool.shards), np.split(subset.rules, ends[:-1]), strict=True))
