"""Compare the pool with itself and with every reference set by one metric: what pixels and features have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.catalog import duplicates as rows
from newtest.catalog import transaction
from newtest.study import Study

__all__ = ["Members", "compare_scopes"]


@dataclass(frozen=True)
class Members:
    """Images of a scope that are described: ``values`` (images, numbers) holds a float32 row for each."""

    ids: list[str]
    hashes: list[str]
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, study: Study, scope: str, known: Mapping[str, bytes]) -> Members:
        """Those whose sha256 is ``known``; its bytes are little-endian float32."""
        members = [each for each in rows.members_with_bytes(study.catalog, scope) if each[1] in known]
        data = b"".join(known[sha256] for _, sha256 in members)
        values = (
            np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(len(members), -1 if members else 1)
        )
        return cls([image_id for image_id, _ in members], [sha256 for _, sha256 in members], values)


def compare_scopes(
    study: Study,
    metric: str,
    limit: float,
    known: Mapping[str, bytes],
    close: Callable[[Members, Members], Sequence[rows.Neighbour]],
) -> dict[str, int]:
    """Keep what ``close(pool, others)`` finds within ``limit``; returns scope -> new pairs.

    A scope in which everything was compared so far is not compared again. Its pairs and "these were compared" are one
    transaction.
    """
    new: dict[str, int] = {}
    pool = Members.of(study, "pool", known)
    for scope in rows.scopes(study.catalog):
        others = pool if scope == "pool" else Members.of(study, scope, known)
        covered = sorted({*pool.ids, *others.ids})
        new[scope] = 0
        if not rows.not_compared(study.catalog, covered, metric=metric, scope=scope, radius=limit):
            continue
        pairs = close(pool, others) if pool.ids and others.ids else ()
        with transaction(study.catalog):
            new[scope] = rows.add_neighbours(study.catalog, pairs)
            rows.add_compared(study.catalog, covered, metric=metric, scope=scope, radius=limit)
    return new
