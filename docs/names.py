"""Writes docs/python-names.md: the public names of newtest and of its rooms, from their ``__all__``.

python docs/names.py          # write the page
python docs/names.py --check  # fail where the page is not what would be written
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import textwrap
from pathlib import Path

import newtest

PAGE = Path(__file__).resolve().parent / "python-names.md"
NOT_FOR_IMPORT = ("newtest.cli", "newtest.demo", "newtest.pipelines", "newtest.mturk_templates")
HEAD = """# Public names

Names in this list are public: a change that breaks them is announced ([versions](versions.md)).
Everything else is private, and may change in any version. `python docs/names.py` writes this page.
"""


def rooms() -> list[str]:
    """newtest itself and its packages that list public names."""
    found = ["newtest"]
    for module in pkgutil.walk_packages(newtest.__path__, "newtest."):
        if not module.ispkg or module.name.startswith(NOT_FOR_IMPORT):
            continue
        if getattr(importlib.import_module(module.name), "__all__", None):
            found.append(module.name)
    return found


def line(room: str, name: str) -> str:
    """A name with the first sentence of its docstring; constants have none."""
    value = getattr(importlib.import_module(room), name)
    documented = inspect.isclass(value) or inspect.isroutine(value)
    doc = (inspect.getdoc(value) or "") if documented else ""
    first = " ".join(doc.split("\n\n")[0].split()).replace("``", "`")
    text = f"- `{name}`" + (f": {first}" if first else "")
    return "\n".join(
        textwrap.wrap(text, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    )


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for room in rooms():
        names = sorted(importlib.import_module(room).__all__)
        parts.append(f"## `{room}`\n\n" + "\n".join(line(room, name) for name in names) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            0 if PAGE.read_text() == page() else "docs/python-names.md is stale: run python docs/names.py"
        )
    PAGE.write_text(page())
