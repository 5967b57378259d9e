"""Fields of the library as flags of the command line: the one place that knows both names.

The library names a field in backticks: "`per_class` must be at least 1". That reads well in Python as it is. What the
command line prints goes through ``in_flags``, which makes ``--per-class`` of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["OTHERWISE", "all_commands", "flag_of", "in_flags", "speak_for"]

OTHERWISE = {
    "class_thresholds": "--class-threshold",
    "dssim_classes": "--dssim-class",
    "languages": "--language",
    "licenses": "--license",
    "models": "--model",
    "reversed_models": "--reversed",
    "scores": "--score",
    "sets": "--against",
    "terms": "--term",
    "votes_per_image": "--votes",
    "wnids": "--wnid",
}
"""Fields of the library that no command has a parameter of the same name for."""

Command = Any  # typer's, which is click's in old releases and its own copy of click in new ones

_roots: list[Callable[[], Command]] = []

_FIELD = re.compile(r"(?<!`)`([a-z][a-z0-9_]*)`(?!`)")


def speak_for(root: Callable[[], Command]) -> None:
    """Name the application whose flags are meant; ``newtest.cli.app`` does, for it is above this file."""
    _roots[:] = [root]


def in_flags(message: str) -> str:
    """The message with its fields as flags. Names that are not fields of any command stay as they are."""
    if not _roots or _FIELD.search(message) is None:
        return message
    root = _roots[0]()
    current = _running(root, sys.argv[1:])
    return _FIELD.sub(lambda found: flag_of(found[1], current, root) or found[0], message)


def flag_of(field: str, current: Command, root: Command) -> str | None:
    """The flag of a field: of the command that runs, else by the table, else of the first command that has it."""
    own = _own(current, field)
    if own is not None:
        return own
    if field in OTHERWISE:
        return OTHERWISE[field]
    named = (_own(command, field) for command in all_commands(root))
    return next((flag for flag in named if flag is not None and flag.startswith("--")), None)


def _own(command: Command, field: str) -> str | None:
    """A command's own word for a field, by the name of its parameter or of its flag."""
    flag = "--" + field.replace("_", "-")
    for parameter in command.params:
        flags = [option for option in parameter.opts if option.startswith("--")]
        if parameter.name == field or flag in flags:
            return flags[0] if flags else parameter.metavar or field.upper()
    return None


def _running(root: Command, words: Sequence[str]) -> Command:
    """The command that the words of a call begin with, which may have failed: contexts of typer are gone then."""
    command = root
    for word in words:
        inner = getattr(command, "commands", {}).get(word)
        if inner is None:
            break
        command = inner
    return command


def all_commands(command: Command) -> Iterator[Command]:
    """The commands below a group, and those of its groups."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield command
        return
    for child in inner.values():
        yield from all_commands(child)
