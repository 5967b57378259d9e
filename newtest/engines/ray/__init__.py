"""A Ray cluster: an existing one, or one that is started on this machine for the run.

Ray brings its own scheduling and its own word for a lost worker. Ours is the contract: each item once, failures as
values, more tries for an item whose worker died. What a person needs to know of a cluster is told in one sentence.
"""

from __future__ import annotations

from newtest.engines.ray.connecting import joined_once
from newtest.engines.ray.engine import RayEngine, settings_of

__all__ = ["RayEngine", "joined_once", "settings_of"]
