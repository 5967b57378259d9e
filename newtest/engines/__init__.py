"""Where work runs: ``local`` (this machine's processes or threads) and ``ray`` (a cluster), behind one ``map``.

The contract, tested on every engine: each item comes back exactly once, in any order, as an :class:`Outcome`;
a failure is an outcome with its reason and never a dead run; a worker that is killed takes at most the item
it held with it, and that item is tried once more elsewhere.
"""

from __future__ import annotations

from newtest.engines.base import Engine, MakeWorker, Outcome, Resources
from newtest.engines.local import LocalEngine

__all__ = ["Engine", "LocalEngine", "MakeWorker", "Outcome", "Resources", "engine"]


def engine(name: str) -> Engine:
    """``local``, ``ray`` (a cluster that is found or started here) or ``ray:ADDRESS``. Raises UsageError."""
    from newtest.errors import UsageError

    kind, _, address = name.partition(":")
    if kind == "local" and not address:
        return LocalEngine()
    if kind == "ray":
        from newtest.engines.ray import RayEngine

        return RayEngine(address or None)
    raise UsageError(f"no engine is called {name!r}; there are local, ray and ray:ADDRESS")
