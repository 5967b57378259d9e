"""A pool in Python: open it, embed, filter, deduplicate, decontaminate, balance, search and reshard it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.progress import UNWATCHED, Progress, watched

if TYPE_CHECKING:
    import pyarrow as pa

    from newtest.engines import Engine
    from newtest.pool.audit import AuditConfig, Sample
    from newtest.pool.balance import Balanced
    from newtest.pool.dedup.decontaminate import DecontaminateConfig, Decontaminated
    from newtest.pool.dedup.near_duplicates import DedupConfig, Deduplicated
    from newtest.pool.embedding import EmbedConfig
    from newtest.pool.filtering.recipe import Recipe
    from newtest.pool.group_caps import Capped
    from newtest.pool.scoring import Scoring
    from newtest.pool.search import Found, SearchConfig
    from newtest.pool.storage.pool import Pool as Shards
    from newtest.pool.storage.subset import Subset
    from newtest.records import Class

__all__ = ["Pool"]


@dataclass(frozen=True)
class Pool:
    """A folder or URL of Parquet shards, with tars beside them or images inside. Opening reads names only.

    ``layers`` is where embeddings, scores and hashes are kept, for a pool that cannot be written to. ``engine``:
    local, ray or ray:ADDRESS; ``workers``: 0 is one per core. ``image_col`` names the
    column of images, for tables that have several. Raises PoolError where there is no pool.
    """

    address: str | Path
    layers: str | Path | None = None
    engine: str = "local"
    workers: int = 0
    image_col: str | None = None
    shards: Shards = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from newtest.pool.storage.pool import open_pool

        object.__setattr__(
            self, "shards", open_pool(self.address, layers=self.layers, image_col=self.image_col)
        )

    @classmethod
    def from_images(cls, folder: str | Path, out: str | Path, *, shard_rows: int = 10_000) -> Pool:
        """Make a pool of a folder of images with captions, as ``newtest import-pool`` does. Raises PoolError."""
        from newtest.pool.importing import import_folder

        list(import_folder(Path(folder), out, shard_rows=shard_rows))
        return cls(out)

    def __len__(self) -> int:
        """The number of rows, from the shards' footers."""
        return sum(self.shards.rows(shard) for shard in self.shards.shards)

    def table(self, columns: Sequence[str]) -> pd.DataFrame:
        """Columns of the whole pool in its row order: uid, url, text, width, height or a column's own name."""
        batches: list[pa.Table] = [
            batch for shard in self.shards.shards for batch in self.shards.batches(shard, list(columns))
        ]
        frames = [batch.to_pandas() for batch in batches]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))

    def embed(
        self, model: str = "conse", *, config: EmbedConfig | None = None, progress: Progress = UNWATCHED
    ) -> dict[str, int]:
        """Embed images and captions with an encoder and keep their CLIP scores; what is there is not computed again.

        Gives counts: rows, failed (rows without a score), computed (shards computed now). Raises PoolError.
        """
        from newtest.clip.torch_runtime import gpus
        from newtest.engines import LocalEngine, Resources
        from newtest.pool.embedding import EmbedConfig, embed, score
        from newtest.pool.storage.passes import complete

        config = config or EmbedConfig(model)
        total, on_gpu = len(self.shards.shards), gpus() > 0
        resources = Resources(self.workers, gpus=1.0 if on_gpu else 0.0, alone=not on_gpu)
        outcomes = embed(self.shards, config, self._engine(progress), resources)
        sums = complete(watched(progress, "embedding", outcomes, total), total)
        complete(score(self.shards, config, LocalEngine(), self.workers), total)
        return dict(sums)

    def score(
        self,
        scorer: str | Callable[..., Any],
        name: str,
        *,
        model: str | None = None,
        vectors: str | None = None,
        weights: Sequence[str | Path] = (),
        version: str = "",
        progress: Progress = UNWATCHED,
    ) -> dict[str, int]:
        """Keep what a function answers for the image vectors (n, d) as scores that rules call ``name``.

        ``scorer`` is a function, ``module:function`` or ``FILE.py:function``; ``version`` tells two of them apart where
        their source does not. Gives counts: rows, failed (rows without a score), computed (shards computed now). Raises
        PoolError, UsageError.
        """
        from newtest.pool.scorers import Scorer
        from newtest.pool.scoring import by_function, vectors_for
        from newtest.pool.storage.passes import complete

        function = Scorer(scorer, tuple(map(Path, weights)), version)
        source = vectors_for(self.shards, model, vectors)
        total = len(self.shards.shards)
        scoring = by_function(self.shards, name, function, source, self.workers)
        outcomes = scoring.outcomes(self._engine(progress))
        return dict(complete(watched(progress, "scoring", outcomes, total), total))

    def score_with(self, scoring: Scoring, *, progress: Progress = UNWATCHED) -> dict[str, int]:
        """Carry out one of ``newtest.pool``'s ``by_neg_clip_loss``, ``by_norm_sim`` and ``by_ranks``.

        Gives counts as ``score`` does. Raises PoolError.
        """
        from newtest.pool.storage.passes import complete

        total = len(self.shards.shards)
        outcomes = scoring.outcomes(self._engine(progress))
        return dict(complete(watched(progress, "scoring", outcomes, total), total))

    def filter(self, recipe: Recipe | None = None, *, progress: Progress = UNWATCHED, **rules: Any) -> Subset:
        """The rows that rules keep: a ``Recipe``, or its fields, such as ``clip_score=True, fraction=0.3``.

        ``functions=(f,)`` adds filters of your own: a function whose parameters name columns gets a pandas Series of
        each and answers true or false for every row. ``vectors=PATH`` uses vectors that were made elsewhere.
        Raises PoolError, UsageError.
        """
        from newtest.pool.filtering.recipe import Recipe, run

        return run(self.shards, recipe or Recipe(**rules), self._engine(progress), self.workers, progress)

    def best(
        self, scores: npt.ArrayLike, *, fraction: float | None = None, at_least: float | None = None
    ) -> Subset:
        """The rows with the best scores of your own, one per row in the pool's row order; larger is better.

        Give ``fraction`` (of all rows, rounded down; equal scores by uid) or ``at_least``. A NaN never stays. Raises
        UsageError for another number of scores, and where both or neither are given.
        """
        from newtest.errors import UsageError
        from newtest.pool.storage import uids as ids
        from newtest.pool.storage.row_uids import uids_of
        from newtest.pool.storage.subset import Subset

        values = np.asarray(scores, np.float64)
        if values.shape != (len(self),):
            raise UsageError(
                f"`scores` must hold one number for each of the {len(self)} rows, got {values.shape}"
            )
        if (fraction is None) == (at_least is None):
            raise UsageError("`fraction` and `at_least` exclude each other; give one")
        uids = ids.concatenated(uids_of(self.shards, shard) for shard in self.shards.shards)
        if at_least is not None:
            stays = values >= at_least
        else:
            assert fraction is not None
            order = np.lexsort((uids["f1"], uids["f0"], -np.nan_to_num(values, nan=-np.inf)))
            stays = np.zeros(len(values), np.bool_)
            stays[order[: int(fraction * len(values))]] = True
            stays &= ~np.isnan(values)
        rule = {"scores": "an array", "fraction": fraction, "at_least": at_least}
        return Subset.of(
            uids[stays], {"pool": str(self.address), "rule": rule, "rows_kept": int(stays.sum())}
        )

    def dedup(self, config: DedupConfig | None = None, *, progress: Progress = UNWATCHED) -> Deduplicated:
        """One row of each group of near-duplicates: ``subset`` stays, ``pairs`` is the table of what was found."""
        from newtest.pool.dedup.near_duplicates import DedupConfig, dedup

        return dedup(self.shards, config or DedupConfig(), progress, self._engine(progress), self.workers)

    def decontaminate(
        self,
        against: Sequence[str | Path],
        config: DecontaminateConfig | None = None,
        *,
        progress: Progress = UNWATCHED,
    ) -> Decontaminated:
        """Leave out rows whose images are near-duplicates of a test set's: folders, releases, tars, ``.npy``."""
        from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate

        sets = [str(which) for which in against]
        return decontaminate(
            self.shards, sets, config or DecontaminateConfig(), progress, self._engine(progress), self.workers
        )

    def balance(
        self,
        queries: Sequence[str] | Mapping[str, Sequence[str]],
        *,
        cap: int = 20_000,
        power: float = 1.0,
        seed: int = 0,
        language_col: str | None = None,
        progress: Progress = UNWATCHED,
    ) -> Balanced:
        """Cap how many samples each query brings, ``cap`` on average; rare queries stay whole.

        ``queries`` may be given by language ("en", "de"): then English sets the caps of the others. A ``power`` below 1
        makes the cap soft. Raises UsageError, PoolError.
        """
        from newtest.pool.balance import ANY, Balancing, balance

        wanted = dict(queries) if isinstance(queries, Mapping) else {ANY: list(queries)}
        config = Balancing(wanted, cap, power, seed, language_col)
        return balance(self.shards, config, self._engine(progress), self.workers, progress)

    def balance_per(
        self,
        per: str,
        *,
        model: str | None = None,
        vectors: str | None = None,
        progress: Progress = UNWATCHED,
        **caps: Any,
    ) -> Capped:
        """Cap how many samples each ``host``, ``cluster`` or value of a column brings: ``cap=20_000`` on average.

        Further ``caps``: ``power``, ``seed``, and ``clusters``, which ``model`` and ``vectors`` go with.
        """
        from newtest.pool.group_caps import GroupCaps, balance_per

        config, engine = GroupCaps(per, **caps), self._engine(progress)
        return balance_per(self.shards, config, engine, self.workers, progress, model, vectors)

    def search(
        self,
        classes: Sequence[Class | str],
        config: SearchConfig | None = None,
        *,
        others: Sequence[Class | str] = (),
        out: str | Path | None = None,
        progress: Progress = UNWATCHED,
    ) -> Found:
        """Find candidates of classes (or wnids) by captions that name them, as ``newtest search-pool`` does.

        With ``out`` the table and the pool's images are written for ``newtest collect``. Raises PoolError, UsageError.
        """
        from newtest.classes import classes_of
        from newtest.pool.search import search, write_found

        chosen, further = (
            [cls for each in some for cls in (classes_of([each]) if isinstance(each, str) else [each])]
            for some in (classes, others)
        )
        found = search(
            self.shards,
            chosen,
            config,
            others=further,
            engine=self._engine(progress),
            workers=self.workers,
            progress=progress,
        )
        return found if out is None else write_found(found, self.shards, Path(out), progress=progress)

    def audit(
        self,
        out: str | Path,
        config: AuditConfig | None = None,
        subset: Subset | None = None,
        *,
        progress: Progress = UNWATCHED,
    ) -> Sample:
        """Draw a stratified sample of the pool's rows, or a subset's, and write the page for people to look over.

        ``newtest.pool.audit.audited`` reads their votes. Raises PoolError, UsageError.
        """
        from newtest.pool.audit import AuditConfig, draw, write_audit

        sample = draw(
            self.shards,
            config or AuditConfig(),
            subset,
            engine=self._engine(progress),
            workers=self.workers,
            progress=progress,
        )
        write_audit(self.shards, sample, Path(out), progress)
        return sample

    def reshard(
        self,
        subset: Subset | str | Path | Sequence[str | Path],
        out: str | Path,
        *,
        shard_rows: int = 10_000,
        progress: Progress = UNWATCHED,
    ) -> Pool:
        """Write a subset's samples as a new pool; of several files the rows that are in all of them.

        Tars without a table are read, too. Raises PoolError that names every shard that failed.
        """
        from newtest.api.resharding import reshard

        reshard(self.shards, subset, out, shard_rows, self._engine(progress), self.workers, progress)
        return Pool(out, engine=self.engine, workers=self.workers)

    def _engine(self, progress: Progress) -> Engine:
        from newtest.engines import engine

        return engine(self.engine, progress)
