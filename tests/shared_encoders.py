"""Encoders that are loaded once a session, whichever rooms' tests use them: loading is the dearest part."""

from __future__ import annotations

from functools import cache

from newtest.clip.conse import Conse

__all__ = ["conse_once"]


@cache
def conse_once() -> Conse:
    """The offline encoder, on the CPU."""
    return Conse(device="cpu")
