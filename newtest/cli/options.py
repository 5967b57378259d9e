"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from newtest.cli.wording import in_flags
from newtest.progress import Progress

if TYPE_CHECKING:
    import rich.progress

__all__ = [
    "JsonFlag",
    "Notes",
    "StudyDir",
    "choice",
    "note",
    "on_this_machine",
    "own_file",
    "own_folder",
    "own_subset",
    "print_json",
    "print_table",
    "progress",
]  # fmt: skip

T = TypeVar("T", bound=str)

StudyDir = Annotated[
    Path,
    typer.Option(
        "--study",
        metavar="DIR",
        envvar="NEWTEST_STUDY",
        help="The study's folder.",
        show_default="the current folder",
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, for programs.")]


def own_file(path: Path | None) -> Path | None:
    """Check an option that names a file to write, before any work is done."""
    from newtest.outputs import require_own_file

    return path if path is None else require_own_file(path)


def own_folder(path: Path | None) -> Path | None:
    """Check an option that names a folder to write into."""
    from newtest.outputs import require_own_folder

    return path if path is None else require_own_folder(path)


BESIDE_SUBSETS = (
    ".json", ".rows.npy", ".rules.npy", ".pairs.parquet", ".queries.parquet", ".clusters.parquet", ".groups.parquet",
)  # fmt: skip


def own_subset(path: Path | None) -> Path | None:
    """Check an option that names a subset to write, and the files that go beside it."""
    from newtest.outputs import require_own_file

    if path is not None:
        for suffix in ("", *BESIDE_SUBSETS):
            require_own_file(path.with_suffix(suffix) if suffix else path)
    return path


def on_this_machine(path: Path | None) -> Path | None:
    """Check an option that names a new folder on this machine; a URL is refused."""
    from newtest.outputs import require_this_machine

    return path if path is None else require_this_machine(path)


MANY_ROWS = 10_000


def note(message: str) -> None:
    """Say something to a person: on stderr, so that stdout stays a result. Fields become flags."""
    print(in_flags(message), file=sys.stderr)


def print_json(value: Any) -> None:
    """The one JSON document of ``--json``: keys in their given order, non-ASCII as it is.

    A list of very many rows has one on a line: indenting a million of them would take longer than making them.
    """
    if isinstance(value, dict) and any(isinstance(v, list) and len(v) > MANY_ROWS for v in value.values()):
        parts = (f"  {_json(str(key))}: {_rows(part)}" for key, part in value.items())
        sys.stdout.write("{\n" + ",\n".join(parts) + "\n}\n")
    else:
        sys.stdout.write(_json(value, indent=2) + "\n")
    sys.stdout.flush()  # a server prints where it listens and then goes on


def _json(value: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:  # JSON has no NaN: a number that is missing is null
        return json.dumps(_finite(value), indent=indent, ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rows(value: Any) -> str:
    if isinstance(value, list) and len(value) > MANY_ROWS:
        return "[\n" + ",\n".join(f"    {_json(row)}" for row in value) + "\n  ]"
    return _json(value, indent=2).replace("\n", "\n  ")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """A table on stdout; numbers to the right. Text from outside is printed as text, never as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        values = [row[position] for row in rows if row[position] not in (None, "")]
        numeric = bool(values) and all(isinstance(value, (int, float)) for value in values)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    width = None if sys.stdout.isatty() else 160
    console = Console(width=width, highlight=False, soft_wrap=False)
    if title:  # a title of the table would be wrapped to the width of its columns, within words
        console.print(Text(_cell(title), style="italic"), soft_wrap=True)
    console.print(table)


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars on a terminal (stderr), one for each kind of work; silent elsewhere, and then rich is not loaded."""
    if not sys.stderr.isatty():
        yield _Bars(None)
        return
    import rich.progress as shown
    from rich.console import Console

    columns = (
        shown.TextColumn("{task.description}"), shown.BarColumn(), shown.MofNCompleteColumn(),
        shown.TimeElapsedColumn(), shown.TimeRemainingColumn(),
    )  # fmt: skip
    with shown.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars)


class Notes:
    """``newtest.progress.Progress`` without bars: sentences on stderr."""

    def advance(self, what: str, done: int = 1, total: int | None = None) -> None: ...

    def say(self, sentence: str) -> None:
        note(sentence)


class _Bars:
    """``newtest.progress.Progress`` on a terminal."""

    def __init__(self, bars: rich.progress.Progress | None) -> None:
        self._bars = bars
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def advance(self, what: str, done: int = 1, total: int | None = None) -> None:
        if self._bars is None:
            return
        if what not in self._tasks or self._bars.tasks[self._tasks[what]].finished:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], advance=done, total=total)

    def say(self, sentence: str) -> None:
        note(sentence)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "".join(c if c.isprintable() else " " for c in str(value))


def choice(option: str, value: str, known: tuple[T, ...]) -> T:
    """One of a few words. Raises UsageError."""
    from newtest.errors import UsageError

    for word in known:
        if word == value:
            return word
    raise UsageError(f"{option}: {value!r} is not one of {', '.join(known)}")
