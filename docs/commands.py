"""Writes docs/reference/: a page for each command with all of its options, from the code itself.

The pages are made by the build and are not kept in the repository: help texts change often.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from newtest.cli.app import command
from newtest.cli.stories import told

__all__ = ["every_command", "page", "write_pages"]

HEAD = """# Commands

These pages are written from the code when the site is built. They say what `newtest COMMAND --help`
says. `newtest` without arguments shows the commands of three stories:

```text
{stories}
```

"""


def every_command() -> Iterator[tuple[str, Any]]:
    """The top-level commands and groups, in the order of the work."""
    root = command()
    yield from ((name, root.commands[name]) for name in root.list_commands(None))


def page(name: str, inner: Any) -> str:
    """The page of a command, or of a group with its commands."""
    return "\n".join(_lines(f"newtest {name}", inner, "#"))


def write_pages(folder: Path) -> None:
    """Write ``commands.md`` and one page for each command. Pages that are as they would be stay untouched."""
    folder.mkdir(exist_ok=True)
    rows = [(name, inner.short_help or _prose(inner)[0]) for name, inner in every_command()]
    listed = "\n".join(f"- [newtest {name}]({name}.md): {does}" for name, does in rows)
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *(name for name, _ in rows), "```"])
    pages = {"commands": HEAD.format(stories=told()) + f"{listed}\n\n{toctree}\n"}
    pages |= {name: page(name, inner) for name, inner in every_command()}
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _lines(name: str, inner: Any, level: str) -> Iterator[str]:
    yield f"{level} {name}\n"
    *prose, example = [*_prose(inner), ""]
    for paragraph in prose:
        text, _, typed = paragraph.partition("Example: ")
        if text.strip():
            yield _escaped(text.strip()) + "\n"
        if typed:
            yield f"```text\n{typed}\n```\n"
    yield example
    children = getattr(inner, "commands", {})
    context = inner.make_context(name.split()[-1], [], resilient_parsing=True)
    records = (one.get_help_record(context) for one in inner.params if one.name != "help")
    shown = [record for record in records if record]
    if shown and not children:
        yield "| option or argument | what it is |\n|---|---|"
        yield from (f"| {_code(names)} | {_escaped(said)} |" for names, said in shown)
        yield ""
    for child, below in children.items():
        yield from _lines(f"{name} {child}", below, level + "#")


def _prose(inner: Any) -> list[str]:
    return [" ".join(part.split()) for part in (inner.help or "").split("\n\n")]


def _code(names: str) -> str:
    return f"`{names.replace('|', chr(92) + '|')}`"


def _escaped(text: str) -> str:
    """Help is text, not Markdown: what Markdown would take for markup is escaped."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>|#$" else char for char in text)


if __name__ == "__main__":
    write_pages(Path(__file__).resolve().parent / "reference")
