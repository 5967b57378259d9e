"""newtest: replicate a test set; curate an image-text pool.

``import newtest as nt`` is enough for the main work: ``nt.collect``, ``nt.dedup``, ``nt.sample``, ``nt.release``,
``nt.check``, ``nt.evaluate``, ``nt.report`` for test sets, and ``nt.Pool`` for pools. Each name is
loaded when it is first used.

The folders are the table of contents. A *study* (a folder with ``study.sqlite``) goes through
``classes`` → ``sources`` → ``collecting`` → ``fetching`` → ``crowd`` → ``votes`` → ``duplicates`` → ``sampling`` →
``review`` → ``releasing`` → ``evaluation``; a *pool* (WebDataset shards) goes through ``pool``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.lazy import face
from newtest.version import __version__ as __version__

if TYPE_CHECKING:
    from newtest.api.measuring import atlas, check, encoder, evaluate, report
    from newtest.api.pools import Pool
    from newtest.api.second_labels import ProposalSources, propose_second_labels, second_labels
    from newtest.api.studies import (
        add_reference,
        collect,
        dedup,
        design,
        fetch,
        frequencies,
        import_votes,
        release,
        sample,
        simulate_votes,
        take_down,
    )
    from newtest.errors import NewtestError
    from newtest.neighbors import pairs_above, top_k
    from newtest.planner import PlannerConfig
    from newtest.pool.storage.subset import Subset
    from newtest.progress import PRINTED
    from newtest.sampling import SamplingConfig
    from newtest.study import Study

_HOMES = {
    "newtest.api.measuring": ("atlas", "check", "encoder", "evaluate", "report"),
    "newtest.api.pools": ("Pool",),
    "newtest.api.second_labels": ("ProposalSources", "propose_second_labels", "second_labels"),
    "newtest.api.studies": (
        "add_reference", "collect", "dedup", "design", "fetch", "frequencies", "import_votes", "release", "sample",
        "simulate_votes", "take_down",
    ),
    "newtest.errors": ("NewtestError",),
    "newtest.neighbors": ("pairs_above", "top_k"),
    "newtest.planner": ("PlannerConfig",),
    "newtest.pool.storage.subset": ("Subset",),
    "newtest.progress": ("PRINTED",),
    "newtest.sampling": ("SamplingConfig",),
    "newtest.study": ("Study",),
}  # fmt: skip
"""Where each public name lives. pandas, torch and the rest are imported with the name that needs them."""

__all__ = [
    "PRINTED",
    "NewtestError",
    "PlannerConfig",
    "Pool",
    "ProposalSources",
    "SamplingConfig",
    "Study",
    "Subset",
    "add_reference",
    "atlas",
    "check",
    "collect",
    "dedup",
    "design",
    "encoder",
    "evaluate",
    "fetch",
    "frequencies",
    "import_votes",
    "pairs_above",
    "propose_second_labels",
    "release",
    "report",
    "sample",
    "second_labels",
    "simulate_votes",
    "take_down",
    "top_k",
]


__getattr__, _names = face(__name__, _HOMES)


def __dir__() -> list[str]:
    return [*_names(), "__version__"]
