"""The one reader of Retry-After (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import email.utils
import time

__all__ = ["retry_after"]

_MOST_DIGITS = 12


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a number of seconds or an HTTP date (UTC where it names no zone).

    0.0 for a date that has passed; None where there is no header or none that can be read.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[-_MOST_DIGITS:]) if len(text) <= _MOST_DIGITS else None
    try:
        when = email.utils.parsedate_tz(text)
        if when is None:
            return None
        return max(0.0, email.utils.mktime_tz(when) - time.time())
    except (ValueError, OverflowError, TypeError):  # a year with twenty digits, the 40th of June
        return None
