"""Options that the commands on pools share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from newtest.cli.ending import at_end
from newtest.cli.options import progress
from newtest.progress import watched

if TYPE_CHECKING:
    from newtest.engines import Engine

__all__ = [
    "Arch",
    "EngineName",
    "ImageCol",
    "LayersDir",
    "ModelName",
    "PoolAt",
    "VectorsAt",
    "Workers",
    "counted",
    "default_out",
    "engine_of",
]

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
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Whose vectors: an encoder as for embed-pool, b32, l14, or a key of the .npz.",
        show_default="what the pool has",
    ),
]
Arch = Annotated[str | None, typer.Option("--arch", hidden=True, help="The same as --model.")]
VectorsAt = Annotated[
    str | None,
    typer.Option(
        "--vectors",
        metavar="FILE",
        help="Vectors made elsewhere: .npy in row order, .npz:KEY, a clip-retrieval folder.",
    ),
]
ImageCol = Annotated[
    str | None,
    typer.Option(
        "--image-col",
        metavar="COLUMN",
        help="The column of images, where tables have several; COLUMN[0] is the first of each list.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="local, ray, or ray:ADDRESS; for Ray also memory=4GiB, cpus=2, wait=600 after commas.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Workers; 0 is one per core (or per GPU).")]


def engine_of(name: str) -> Engine:
    """The engine of a command; what a person should know of it stands on stderr. Raises UsageError.

    A command joins a cluster once and leaves it at its end.
    """
    from newtest.cli.options import Notes
    from newtest.engines import engine

    found = engine(name, Notes())
    if found.name == "ray":
        from newtest.engines.ray import joined_once

        at_end(joined_once())
    return found


def default_out(pool: str, name: str) -> Path:
    """Where a command writes that was told of no place: in the current folder, or in ``__newtest`` of a pool that it
    was typed in, which other readers would take for a table of theirs otherwise.
    """
    from newtest.cli.options import own_subset
    from newtest.pool.storage.location import HOME, LocalPlace, place_of

    place, here = place_of(pool), Path.cwd()
    root = place.root.resolve() if isinstance(place, LocalPlace) else None
    out = Path(name)
    if root is not None and root in (here, *here.parents):
        out = Path(*[".."] * len(here.relative_to(root).parts), HOME, name)
    return (own_subset(out) if out.suffix == ".npy" else out) or out


def counted(what: str, things: Iterable[T], total: int) -> Iterator[T]:
    """Pass things on, with a progress bar on a terminal."""
    with progress() as shown:
        yield from watched(shown, what, things, total)
