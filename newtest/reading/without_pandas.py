"""pyarrow without pandas, until somebody imports pandas.

pyarrow imports pandas at its first array of Python values, to ask whether they are a Series. That takes a third of a
second and 60 MB in each worker process, few of which need it. Here pyarrow asks once while pandas is hidden, and asks
again as soon as pandas is imported by anybody: what it does with a Series or a DataFrame stays the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa

__all__ = ["hide"]


def hide() -> None:
    """Let pyarrow do without pandas as long as nobody else imports it. Does nothing where it is there already."""
    if "pandas" in sys.modules or any(isinstance(finder, _Awaited) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, awaited := _Awaited())
    pa.array([])
    awaited.hidden = False


class _Awaited(MetaPathFinder):
    """Stands before Python's finders until pandas is looked for. While ``hidden``, nobody finds it."""

    hidden = True

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "pandas":
            return None
        if self.hidden:
            raise ModuleNotFoundError("No module named 'pandas'", name=name)
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:  # others look for pandas without loading it
                load(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                pa.array([], pa.int8()).to_pandas()  # cannot do without pandas, so it asks again

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
