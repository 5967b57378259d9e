"""Posted forms, parsed with limits. Only URL-encoded ones: no page of ours uploads files."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["Form", "read_form"]

MAX_FIELDS = 2_000


class Form:
    """The fields of a posted form: ``one`` for a single value, ``all`` for what may be ticked several
    times."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self.fields = tuple(fields)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, in the order of the form."""
        return tuple(value for key, value in self.fields if key == name)

    def one(self, name: str, default: str = "") -> str:
        """The last value of a field, or ``default``."""
        return next((value for key, value in reversed(self.fields) if key == name), default)


async def read_form(request: Request) -> Form:
    """The request's form. Raises HTTPException: 415 for another type, 400 for what is not a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "A form (application/x-www-form-urlencoded) is required here.")
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise HTTPException(400, "This is not a form.") from error
    return Form(pairs)
