"""Options that the commands on pools share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, TypeVar

import typer

from newtest.cli.options import progress
from newtest.progress import watched

__all__ = ["EngineName", "LayersDir", "PoolAt", "Workers", "counted"]

T = TypeVar("T")

PoolAt = Annotated[
    str,
    typer.Argument(
        metavar="POOL", help="The pool: a folder or an fsspec URL.", show_default="the current folder"
    ),
]
LayersDir = Annotated[
    str | None,
    typer.Option(
        "--layers", metavar="DIR", help="Where layers are kept, for a pool that cannot be written to."
    ),
]
EngineName = Annotated[str, typer.Option("--engine", help="local, ray, or ray:ADDRESS.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Workers; 0 is one a core (or a GPU).")]


def counted(what: str, things: Iterable[T], total: int) -> Iterator[T]:
    """Pass things on, with a progress bar on a terminal."""
    with progress() as shown:
        yield from watched(shown, what, things, total)
