"""The site: Sphinx with MyST and furo. ``make docs`` builds it into build/docs; warnings are errors.

Sphinx, because it checks every link between pages and Read the Docs builds it as it is; MyST, because the pages are
Markdown that reads well in a checkout too; furo, because it is light, loads nothing from elsewhere, and is kept.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from commands import write_pages  # noqa: E402

from newtest.version import __version__  # noqa: E402

project = "newtest"
author = copyright = "The newtest developers"  # noqa: A001  # Sphinx's name
release = version = __version__
extensions = ["myst_parser"]
exclude_patterns = ["figures/*.py"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"newtest {__version__}"
html_copy_source = False
html_show_sourcelink = False
html_use_opensearch = ""
nitpicky = True
smartquotes = False  # it would make dashes of the two hyphens of an option


write_pages(HERE / "reference")


def _outside(_: Any, __: str, source: list[str]) -> None:
    """Links to files of the repository become their paths: the site does not carry them."""
    source[0] = re.sub(r"\[([^\]]*)\]\(\.\./([^)]*)\)", r"\1 (`\2`)", source[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _outside)
