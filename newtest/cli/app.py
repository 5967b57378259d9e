"""The typer application and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from newtest.cli.ending import ending
from newtest.cli.wording import in_flags, speak_for
from newtest.errors import NewtestError
from newtest.version import __version__

__all__ = ["application", "command", "main"]

INTERRUPTED = 130


class _InOrder(typer.core.TyperGroup):
    """Commands are listed in the order of the work; typer would put groups behind single commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        from newtest.cli.commands import COMMANDS

        return [name for name, _, _ in COMMANDS if name in self.commands]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"newtest {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """The options of newtest itself; without a command, the commands of the three stories."""
    context.with_resource(ending())
    if context.invoked_subcommand is None:
        from newtest.cli.stories import told

        typer.echo(told())


def _bare() -> typer.Typer:
    """The application without commands."""
    made = typer.Typer(
        name="newtest",
        cls=_InOrder,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=(
            "Replicate a test set the way ImageNetV2 was made, and curate image-text pools the way DataComp does. "
            "Commands are listed in the order of the work; each has --help with an example."
        ),
    )
    made.callback(invoke_without_command=True)(_root)
    return made


@cache
def command() -> Any:
    """The whole application as one command, with every stage hung on it."""
    from newtest.cli.commands import attach

    attach(made := _bare())
    return typer.main.get_command(made)


def application(name: str) -> typer.Typer:
    """The application with one command, by its name: the others take their time to be imported and built."""
    from newtest.cli.commands import attach

    attach(made := _bare(), name)
    return made


def _command_for(words: Sequence[str]) -> Any:
    """The application with the one command that is typed; the whole where nothing is typed that we know."""
    from newtest.cli.commands import COMMANDS

    typed = next((word for word in words if not word.startswith("-")), "")
    if typed not in [name for name, _, _ in COMMANDS]:
        return command()
    return typer.main.get_command(application(typed))


speak_for(command)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 something failed (stderr says which), 2 wrong usage, 130 interrupted.
    """
    from newtest.files import NotAFile, is_full_disk

    try:
        _command_for(sys.argv[1:])()
    except NewtestError as error:
        _stop(str(error), error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer makes this of Ctrl-C, without a word
            _stop("interrupted; what was done is kept, run the same command again to go on", INTERRUPTED)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except sqlite3.OperationalError as error:
        if "disk is full" in str(error) or "disk I/O" in str(error):
            _stop(
                f"the disk is full or failing ({error}); nothing half-written is kept, free some space and run again",
                1,
            )
        if "locked" in str(error):
            _stop(f"the study is busy in another process ({error}); run again when that one has ended", 1)
        raise
    except sqlite3.DatabaseError as error:
        _stop(f"the catalog is damaged ({error}); take study.sqlite from a copy", 1)
    except NotAFile as error:
        _stop(str(error), 1)
    except OSError as error:
        if is_full_disk(error):
            _stop(f"{_told(error)}; what was complete is kept, run the same command again to go on", 1)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
            _stop(f"{error.filename}: {error.strerror}; choose a place that you may write to", 1)
        raise


def _told(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.EFBIG:
        return f"{where}larger than this process may write (ulimit -f); raise that limit"
    what = "the quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
    return f"{where}{what}; free some space there"


def _stop(message: str, code: int) -> None:
    message = in_flags(message)
    # What went wrong may quote strangers: a server's answer, a name in an archive. A terminal obeys some characters.
    said = "".join(char if char.isprintable() or char == "\n" else "?" for char in message)
    print(f"newtest: {said}", file=sys.stderr)
    raise SystemExit(code)
