"""The parameters of a requester's call, checked as MTurk does, and its error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["Parameters", "TurkError"]

_ID = re.compile(r"[A-Z0-9]{1,64}")


class TurkError(Exception):
    """A RequestError: ``code`` is MTurk's TurkErrorCode."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Parameters:
    """Typed access to the JSON of a call. Every method raises TurkError for what is missing or of the wrong
    kind."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def refuse(self, *names: str) -> None:
        """Refuse parameters that this server does not offer, so that nobody believes they hold."""
        for name in names:
            if self._values.get(name):
                raise TurkError("AWS.NotSupported", f"{name} is not supported by this server.")

    def text(self, name: str, *, longest: int, default: str | None = None) -> str:
        """A string; required when there is no default."""
        value = self._values.get(name, default)
        if value is None:
            raise TurkError("AWS.MissingParameters", f"The parameter {name} is missing.")
        if not isinstance(value, str) or len(value) > longest:
            raise TurkError(
                "AWS.ParameterOutOfRange", f"{name} must be a string of at most {longest} characters."
            )
        return value

    def identifier(self, name: str) -> str:
        """An id of a HIT, a HIT type or an assignment."""
        value = self.text(name, longest=64)
        if not _ID.fullmatch(value):
            raise TurkError("AWS.ParameterOutOfRange", f"{name} is not an id.")
        return value

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number between two bounds."""
        value = self._values.get(name, default)
        if value is None:
            raise TurkError("AWS.MissingParameters", f"The parameter {name} is missing.")
        if type(value) is not int or not least <= value <= most:
            raise TurkError("AWS.ParameterOutOfRange", f"{name} must be a number between {least} and {most}.")
        return value

    def seconds(self, name: str) -> float:
        """A time, in seconds since 1970."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e11:
            raise TurkError("AWS.ParameterOutOfRange", f"{name} must be a time in seconds since 1970.")
        return float(value)

    def money(self, name: str) -> str:
        """An amount of dollars as a decimal string with at most two places."""
        value = self.text(name, longest=12)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal(-1)
        if not re.fullmatch(r"\d+(\.\d{0,2})?", value) or not 0 <= amount <= 1_000:
            raise TurkError("AWS.ParameterOutOfRange", f"{name} must be an amount of dollars such as 0.10.")
        return f"{amount:.2f}"

    def choices(self, name: str, known: Sequence[str]) -> tuple[str, ...]:
        """Some of the known values; all of them by default."""
        value = self._values.get(name) or list(known)
        if not isinstance(value, list) or not set(map(str, value)) <= set(known):
            raise TurkError("AWS.ParameterOutOfRange", f"{name} must be a list of {', '.join(known)}.")
        return tuple(value)

    def flag(self, name: str) -> bool:
        """True or False; False by default."""
        return self._values.get(name) is True
