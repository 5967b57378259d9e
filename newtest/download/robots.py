"""robots.txt (RFC 9309): what a site asks automatic visitors to leave alone; for a run that was told to obey it.

The group of our own name holds, else that of ``*``; of its rules the longest that matches decides, and ``allow`` wins
a tie. Without a robots.txt (a 4xx) everything is allowed; where a site cannot say (5xx, no connection) nothing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Robots", "Rules", "parse_robots"]

MOST_BYTES = 500 * 1024
"""RFC 9309, section 2.5: a parser reads at least 500 KiB."""


@dataclass(frozen=True)
class Rules:
    """(allows, pattern) of the group that holds for us; ``reachable`` is False where the site could not say."""

    rules: tuple[tuple[bool, str], ...] = ()
    reachable: bool = True

    def allow(self, url: str) -> bool:
        """Whether a URL of this site may be asked for."""
        parts = urlsplit(url)
        path = _normal(f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
        best, allowed = -1, True
        for allows, pattern in self.rules:
            length = len(pattern)
            if (length > best or (length == best and allows)) and _matches(pattern, path):
                best, allowed = length, allows
        return allowed


class Robots:
    """The rules of the sites of one run; each is asked once. ``get`` gives a status and the text of a URL."""

    def __init__(self, user_agent: str, get: Callable[[str], Awaitable[tuple[int, str]]]) -> None:
        self._agent, self._get = user_agent.split("/")[0].strip().lower(), get
        self._sites: dict[str, asyncio.Future[Rules]] = {}

    async def of(self, url: str) -> Rules:
        """The rules of the site of a URL."""
        parts = urlsplit(url)
        site = f"{parts.scheme.lower()}://{parts.netloc.lower()}"
        if site not in self._sites:
            self._sites[site] = asyncio.ensure_future(self._read(f"{site}/robots.txt"))
        return await asyncio.shield(self._sites[site])

    def stop(self) -> None:
        """End what is still being asked."""
        for site in self._sites.values():
            site.cancel()

    async def _read(self, url: str) -> Rules:
        status, text = await self._get(url)
        if status == 200:
            return parse_robots(text, self._agent)
        return Rules() if 400 <= status < 500 and status != 429 else Rules(reachable=False)


def parse_robots(text: str, agent: str) -> Rules:
    """The rules that hold for an agent, by its name in lower case."""
    groups: dict[str, list[tuple[bool, str]]] = {}
    current: list[str] = []
    in_rules = False
    for line in text.removeprefix("\ufeff").splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent":
            current = [value.lower()] if in_rules else [*current, value.lower()]
            in_rules = False
            for each in current:
                groups.setdefault(each, [])
        elif name in ("allow", "disallow"):
            in_rules = True
            if value:
                for each in current:
                    groups[each].append((name == "allow", _normal(value)))
    ours = next((name for name in (agent, "*") if name in groups), None)
    return Rules(tuple(groups[ours]) if ours else ())


def _normal(path: str) -> str:
    """Escapes of what needs none taken out, and of what needs one put in; ``*`` and ``$`` stay."""
    return quote(unquote(path), safe="/?&=+:@!$'()*,;~-._%")


def _matches(pattern: str, path: str) -> bool:
    end = pattern.endswith("$")
    parts = pattern.removesuffix("$").split("*")
    at = 0
    for number, part in enumerate(parts):
        if number == 0:
            if not path.startswith(part):
                return False
            at = len(part)
        elif number == len(parts) - 1 and end:
            return len(path) - len(part) >= at and path.endswith(part)
        else:
            found = path.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
    return not end or at == len(path)
