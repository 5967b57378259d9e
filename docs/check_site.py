"""Checks built pages: every link inside the site leads to a page and a place in it, and nothing loads from outside.

python docs/check_site.py build/docs
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}


class _Page(HTMLParser):
    """The links, loads and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") not in (
            "canonical",
            "index",
            "search",
            "next",
            "prev",
            "author",
        ):
            self.loads.append(values["href"])
        if tag in LOADS and values.get(LOADS[tag]):
            self.loads.append(values[LOADS[tag]])


def problems(site: Path) -> list[str]:
    """One line per link that leads nowhere, and per thing that would be loaded from elsewhere."""
    pages = {path.resolve(): _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    found.append(f"{path.name}: loads {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{path.name}: {link} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                found.append(f"{path.name}: {link} has no such place")
    for style in site.rglob("*.css"):
        text = style.read_text(errors="replace")
        if "url(http" in text or "url(//" in text or "@import" in text:
            found.append(f"{style.name}: loads from elsewhere")
    return found


if __name__ == "__main__":
    said = problems(Path(sys.argv[1]))
    print("\n".join(said) or "every link leads somewhere; nothing loads from outside")
    sys.exit(1 if said else 0)
