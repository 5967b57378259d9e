"""Days as people write them: read where they can be read in one way, and never guessed.

ISO 8601 down to the month or the year; EXIF's ``2005:01:02 10:20:30``; ``2005/1/2``; names of months in English in any
order; the dotted form, which is day first everywhere (``02.01.2005``); with slashes or dashes only where one of the two
numbers is above 12, or both are the same (``13/02/2005``, ``02/13/2005``, ``01/01/2005``); the dates of HTTP and mail;
seconds or milliseconds since 1970. ``01/02/2005`` is the first of February or the second of January: that is unknown.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import re

__all__ = ["day_bounds", "moment", "unclear"]

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"),
            ("july", "jul"), ("august", "aug"), ("september", "sep", "sept"), ("october", "oct"),
            ("november", "nov"), ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip
_TIME = re.compile(r"[ T]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*$")
_YEAR, _MONTH = re.compile(r"\d{4}"), re.compile(r"(\d{4})[-/](\d{1,2})")
_YEAR_FIRST = re.compile(r"(\d{4})([-/:.])(\d{1,2})\2(\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\.?")
_WORDS = re.compile(r"[a-z]+|\d+")
_WEEKDAY = re.compile(r"(mon|tues?|wed(nes)?|thu(rs?)?|fri|sat(ur)?|sun)(day)?")
_MOST_TEXT = 100


def moment(value: object) -> str | None:
    """A day or time as ISO 8601, as exact as it was given (``2005``, ``2005-01``, ``2005-01-02``, with a time).

    None where there is none, and where it cannot be read for certain.
    """
    if isinstance(value, datetime.date) and value == value:  # NaT is not equal to itself
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = " ".join(str(value).split())
    if not text or len(text) > _MOST_TEXT:
        return None
    try:
        return _stamp(text) or _iso(text) or _clocked(text) or _mail(text)
    except (ValueError, OverflowError, OSError):
        return None


def unclear(value: object) -> bool:
    """Whether something is there that is not a day that can be read for certain."""
    empty = value is None or value != value or (isinstance(value, str) and not value.strip())
    return not empty and moment(value) is None


def day_bounds(iso: str) -> tuple[str, str]:
    """The first and the last day that a moment of ours may be: ``2005-01`` is one of 31 days."""
    day = iso[:10]
    if len(day) == 4:
        return f"{day}-01-01", f"{day}-12-31"
    if len(day) == 7:
        following = datetime.date(int(day[:4]) + int(day[5:]) // 12, int(day[5:]) % 12 + 1, 1)
        return f"{day}-01", (following - datetime.timedelta(days=1)).isoformat()
    return day, day


def _stamp(text: str) -> str | None:
    """Seconds (9 to 11 digits) or milliseconds (12 to 14) since 1970."""
    digits = text.removesuffix(".0")
    if not (digits.isascii() and digits.isdigit() and 9 <= len(digits) <= 14) or text == "0":
        return None
    seconds = int(digits) / (1000 if len(digits) > 11 else 1)
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso(text: str) -> str | None:
    if _YEAR.fullmatch(text):
        return text if int(text) >= 1800 else None
    if found := _MONTH.fullmatch(text):
        return datetime.date(int(found[1]), int(found[2]), 1).isoformat()[:7]
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    midnight = "T" not in text and " " not in text and parsed.time() == datetime.time()
    # A time that was not given is not midnight.
    return parsed.date().isoformat() if midnight else parsed.isoformat().replace("+00:00", "Z")


def _clocked(text: str) -> str | None:
    """A day in another form, with or without a time of the day behind it."""
    time = _TIME.search(text)
    day = _day(text[: time.start()] if time else text)
    if day is None or time is None or len(day) < 10:
        return day
    hours, _, rest = time[1].partition(":")
    clock = datetime.time.fromisoformat(f"{hours.zfill(2)}:{rest}")
    return f"{day}T{clock.isoformat()}"


def _day(text: str) -> str | None:
    if found := _YEAR_FIRST.fullmatch(text):
        return datetime.date(int(found[1]), int(found[3]), int(found[4])).isoformat()
    if found := _YEAR_LAST.fullmatch(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if found[2] == "." or first > 12 or first == second:
            return datetime.date(year, second, first).isoformat()
        return datetime.date(year, first, second).isoformat() if second > 12 else None
    return _named(text.lower())


def _named(text: str) -> str | None:
    """``Jan 2 2005``, ``2nd of January, 2005``, ``January 2005``: one month's name, one year, at most one day."""
    words = [word for word in _WORDS.findall(text) if word not in ("st", "nd", "rd", "th", "of", "the")]
    if words and _WEEKDAY.fullmatch(words[0]):
        words = words[1:]
    if re.sub(r"[\s,.a-z0-9]", "", text.replace("-", " ").replace("/", " ")):
        return None
    months = [_MONTHS[word] for word in words if word in _MONTHS]
    numbers = [word for word in words if word.isdigit()]
    years = [int(word) for word in numbers if len(word) == 4]
    days = [int(word) for word in numbers if len(word) < 3]
    if len(months) != 1 or len(years) != 1 or len(days) > 1 or len(words) != 2 + len(days):
        return None
    return datetime.date(years[0], months[0], (days or [1])[0]).isoformat()[: 10 if days else 7]


def _mail(text: str) -> str | None:
    """``Sun, 02 Jan 2005 10:20:30 GMT``."""
    if "," not in text[:5]:
        return None
    return email.utils.parsedate_to_datetime(text).isoformat().replace("+00:00", "Z")
