"""Find a recipe of ``pipelines/``: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import newtest
from newtest.errors import NewtestError

__all__ = ["load_recipe"]


def load_recipe(name: str) -> ModuleType:
    """The recipe as a module. Raises NewtestError when the installation lacks it."""
    package = Path(newtest.__file__).parent
    for folder in (package / "pipelines", package.parent / "pipelines"):
        spec = importlib.util.spec_from_file_location(f"newtest_recipe_{name}", folder / f"{name}.py")
        if (folder / f"{name}.py").is_file() and spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise NewtestError(f"the recipe {name} is not part of this installation; install newtest again")
