"""Options that name classes, for commands that look for their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from newtest.records import Class

__all__ = ["ClassesFile", "Wnids", "WnidsFile", "chosen_classes", "lines_of"]

Wnids = Annotated[
    list[str], typer.Option("--wnid", metavar="WNID", help="A class; may be given several times.")
]
WnidsFile = Annotated[
    Path | None,
    typer.Option("--wnids-file", metavar="F", help="A file with one wnid per line (# begins a comment)."),
]
ClassesFile = Annotated[
    Path | None,
    typer.Option(
        "--classes", metavar="F", help="TOML or CSV of classes not in WordNet; without --wnid, all of them."
    ),
]


def chosen_classes(wnid: Sequence[str], wnids_file: Path | None, classes_file: Path | None) -> list[Class]:
    """The classes that the options name. Raises UsageError when they name none."""
    from newtest.classes import classes_of, read_classes
    from newtest.errors import UsageError

    custom = read_classes(classes_file) if classes_file else {}
    wnids = [*wnid, *(lines_of(wnids_file) if wnids_file else [])]
    if not wnids:
        wnids = list(custom)
    if not wnids:
        raise UsageError("name a class with --wnid, --wnids-file or --classes")
    return classes_of(wnids, custom)


def lines_of(file: Path) -> list[str]:
    """The words of a file, one per line; empty lines and what follows a # are left out."""
    from newtest.errors import NotFoundError, UsageError
    from newtest.reading.texts import read_lines

    try:
        lines = read_lines(file)
    except OSError as error:
        raise NotFoundError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{file}: not UTF-8 text, one wnid per line") from error
    return [word for line in lines if (word := line.partition("#")[0].strip())]
