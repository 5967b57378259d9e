"""Where work runs: ``local`` (this machine's processes or threads) and ``ray`` (a cluster), behind one ``map``.

The contract, tested on every engine: each item comes back exactly once, in any order, as an :class:`Outcome`;
a failure is an outcome with its reason and never a dead run; a worker that is killed takes at most the item
it held with it, and that item is tried once more elsewhere.
"""

from __future__ import annotations

from newtest.engines.base import Engine, MakeWorker, Outcome, Resources
from newtest.engines.local import LocalEngine
from newtest.progress import UNWATCHED, Progress

__all__ = ["Engine", "LocalEngine", "MakeWorker", "Outcome", "Resources", "engine"]


def engine(name: str, progress: Progress = UNWATCHED) -> Engine:
    """``local``, ``ray`` (a cluster that is found or started here) or ``ray:ADDRESS``, with settings after commas.

    The settings of a cluster are ``memory=4GiB`` and ``cpus=2`` (what a worker takes) and ``wait=600`` (seconds without
    a worker after which to give up). ``progress`` is told what a person should know. Raises UsageError.
    """
    from newtest.errors import UsageError

    place, *settings = name.split(",")
    kind, _, address = place.partition(":")
    if kind == "local" and not address and not settings:
        return LocalEngine()
    if kind == "ray":
        from newtest.engines.ray import RayEngine, settings_of

        return RayEngine(address or None, progress=progress, **settings_of(settings))
    raise UsageError(f"no engine is called {name!r}; there are local, ray and ray:ADDRESS")
