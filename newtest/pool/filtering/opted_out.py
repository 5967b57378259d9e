"""The filter that leaves out what people asked to have left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from newtest.pool.filtering.filters import Verdict, verdict
from newtest.pool.storage.opt_outs import OptOuts

__all__ = ["OptedOut"]


@dataclass(frozen=True)
class OptedOut:
    """Neither the row's uid nor its URL is on the pool's lists of opt-outs."""

    opt_outs: OptOuts
    reasons: tuple[str, ...] = ("uid opted out", "URL opted out")
    cost: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        return self.opt_outs.columns

    def keep(self, table: pa.Table) -> Verdict:
        return verdict(*self.opt_outs.found(table))

    def describe(self) -> Mapping[str, Any]:
        """For a manifest: how many there are, and the fingerprint of the lists."""
        lists = self.opt_outs
        return {"uids": len(lists.uids), "urls": len(lists.urls), "fingerprint": lists.fingerprint}
