"""Values that a catalog keeps as JSON. A catalog may be a stranger's, so each is looked at when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from newtest.errors import NewtestError, StudyError
from newtest.reading.failures import reason_of
from newtest.reading.jsons import parse_json

__all__ = ["believed", "kept", "kept_texts"]

T = TypeVar("T", dict[str, Any], list[Any])


def kept(text: str, what: str, kind: type[T]) -> T:
    """A JSON value of this kind (dict or list). Raises StudyError that says what is damaged."""
    with believed(what):
        value = parse_json(text)
        if not isinstance(value, kind):
            raise TypeError(f"a {type(value).__name__} in the place of a {kind.__name__}")
    return value


def kept_texts(text: str, what: str) -> tuple[str, ...]:
    """A JSON list of texts. Raises StudyError that says what is damaged."""
    values = kept(text, what, list)
    with believed(what):
        if not all(isinstance(value, str) for value in values):
            raise TypeError("not texts alone")
    return tuple(values)


@contextmanager
def believed(what: str) -> Iterator[None]:
    """What the block takes out of a catalog's value may be missing, or of another kind: that is a StudyError."""
    try:
        yield
    except NewtestError as error:
        if not isinstance(error, ValueError):  # Unreadable is both
            raise
        raise _damaged(what, error) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise _damaged(what, error) from error


def _damaged(what: str, error: Exception) -> StudyError:
    return StudyError(
        f"the catalog is damaged: {what} cannot be read ({reason_of(error)}); take study.sqlite from a copy"
    )
