"""What a command takes for its whole life and gives back at its end, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

__all__ = ["at_end", "ending"]

_open: list[ExitStack] = []


@contextmanager
def ending() -> Iterator[None]:
    """The life of a command."""
    with ExitStack() as stack:
        _open.append(stack)
        try:
            yield
        finally:
            _open.pop()


def at_end(taken: AbstractContextManager[object]) -> None:
    """Enter this now and leave it when the command ends; outside of a command nothing happens."""
    if _open:
        _open[-1].enter_context(taken)
