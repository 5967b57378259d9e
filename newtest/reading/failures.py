"""What is raised where a stranger's bytes are not what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from newtest.errors import NewtestError

__all__ = ["Unreadable", "reason_of", "translated"]

_LONGEST = 300


class Unreadable(NewtestError, ValueError):
    """Bytes that are not of the format, or are beyond a limit. Rooms catch it as the ValueError that it is."""


def reason_of(error: BaseException) -> str:
    """An error's first line, cut to a length that a sentence bears; its kind where it has no text."""
    lines = str(error).strip().splitlines()
    said = lines[0][:_LONGEST].encode("utf-8", "replace").decode() if lines else ""
    return "".join(one if one.isprintable() else "\ufffd" for one in said) or type(error).__name__


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn whatever a library raises into ``Unreadable``; errors of ours and of the disk pass.

    Only library calls stand inside: parsers meet strange bytes with errors of every kind (SyntaxError, RecursionError,
    MemoryError, struct.error, AssertionError), and a list of them is never whole.
    """
    try:
        yield
    except (NewtestError, OSError):
        raise
    except Exception as error:
        raise Unreadable(f"not {what}: {reason_of(error)}") from error
