"""The public names of the Python API: loaded when used, light to import, each documented."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import newtest as nt

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_import_loads_nothing_heavy() -> None:
    """``import newtest`` takes milliseconds: nothing but the version is imported."""
    code = "import sys; before = set(sys.modules); import newtest; print(sorted(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in eval(ended.stdout)}
    assert not loaded & {"numpy", "pandas", "pyarrow", "torch", "scipy", "matplotlib", "PIL", "sqlite3"}


def test_every_name_is_there_and_documented() -> None:
    page = (DOCS / "python.md").read_text()
    for name in nt.__all__:
        found = getattr(nt, name)
        assert f"nt.{name}" in page, f"docs/python.md lacks nt.{name}"
        if inspect.isroutine(found) or inspect.isclass(found):
            assert inspect.getdoc(found), name
    assert set(dir(nt)) == {*nt.__all__, "__version__"}


def test_the_page_names_nothing_that_is_not_there() -> None:
    import re

    named = set(re.findall(r"\bnt\.([A-Za-z_]+)", (DOCS / "python.md").read_text()))
    assert named <= {*nt.__all__, "__version__"}


def test_a_stage_stays_a_function_after_the_rooms_are_imported() -> None:
    """A submodule of the same name would take a function's place as soon as it is imported."""
    code = (
        "import pkgutil, importlib, newtest as nt\n"
        "for module in pkgutil.walk_packages(nt.__path__, 'newtest.'):\n"
        "    if module.name.split('.')[1] not in ('mturk_templates', 'pipelines'):\n"
        "        importlib.import_module(module.name)\n"
        "print([name for name in nt.__all__ if not callable(getattr(nt, name))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "['PRINTED']"


def test_the_page_of_public_names_is_what_the_code_says() -> None:
    ended = subprocess.run(
        [sys.executable, str(DOCS / "names.py"), "--check"], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_recipes_and_benchmarks_use_public_names() -> None:
    """A name is public where its module lists it; benchmarks measure parts, so they may name modules of rooms."""
    import ast
    import importlib

    hidden = []
    for path in [*(ROOT / "pipelines").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("newtest"):
                module = importlib.import_module(str(node.module))
                public = getattr(module, "__all__", ())
                for name in (alias.name for alias in node.names):
                    place = ROOT / str(node.module).replace(".", "/") / name
                    is_module = place.is_dir() or place.with_suffix(".py").exists()
                    if name not in public and not is_module:
                        hidden.append(f"{path.name}: {node.module}.{name}")
    assert not hidden
