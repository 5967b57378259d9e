"""A source by its name. Keys come from the environment or a file outside the study, never from the study.

The file is ``$NEWTEST_CONFIG``, else ``~/.config/newtest/config.toml``::

    [flickr]
    key = "..."
    secret = "..."

    [openverse]
    client_id = "..."
    client_secret = "..."
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from newtest.config import load_toml
from newtest.errors import ConfigError, UsageError
from newtest.sources.flickr import REST_URL, Flickr, FlickrConfig
from newtest.sources.folder import Folder
from newtest.sources.openverse import API_URL, Openverse, OpenverseConfig
from newtest.sources.protocol import Source
from newtest.sources.recorded import Recorded
from newtest.sources.table import Table

__all__ = ["KINDS", "open_source"]

T = TypeVar("T")

KINDS = "flickr, openverse, recorded:PATH, folder:PATH, table:PATH"
_NO_KEY = "no Flickr key (FLICKR_API_KEY and FLICKR_API_SECRET, or [flickr] key and secret in {})"


@dataclass(frozen=True)
class _FlickrTable:
    key: str | None = None
    secret: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class _OpenverseTable:
    client_id: str | None = None
    client_secret: str | None = None
    url: str | None = None


def open_source(spec: str | None, say: Callable[[str], None], *, page_size: int | None = None) -> Source:
    """The source that a text names; None is flickr, or openverse (said so) when there is no Flickr key.

    ``page_size`` is how many results a network source should give at once, bounded by what it allows. Raises
    UsageError (no such kind), ConfigError (no key, unreadable file), SourceError (unreadable results), MissingExtra.
    """
    kind, _, place = (spec or "").partition(":")
    if spec in (None, "flickr"):
        config = _flickr(page_size)
        if config is not None:
            return Flickr(config, say)
        if spec is not None:
            raise ConfigError(
                f"{_NO_KEY.format(_config_file())}; or collect without a key: `source` openverse"
            )
        say(f"{_NO_KEY.format(_config_file())}: searching Openverse instead")
    if spec in (None, "openverse"):
        return Openverse(_openverse(), say)
    readers: dict[str, Callable[[Path], Source]] = {"recorded": Recorded, "folder": Folder, "table": Table}
    if kind not in readers or not place:
        raise UsageError(f"`source` {spec!r} is not one of {KINDS}")
    return readers[kind](Path(place).expanduser())


def _openverse() -> OpenverseConfig:
    """Openverse's configuration, with client credentials where there are both halves. Raises ConfigError for one."""
    table = _table(_OpenverseTable, "openverse")
    client_id = os.environ.get("OPENVERSE_CLIENT_ID") or table.client_id
    secret = os.environ.get("OPENVERSE_CLIENT_SECRET") or table.client_secret
    if (client_id is None) != (secret is None):
        lacking = "OPENVERSE_CLIENT_SECRET" if secret is None else "OPENVERSE_CLIENT_ID"
        raise ConfigError(
            f"{lacking} is missing: Openverse's client credentials are an id and a secret, from the environment or "
            f"[openverse] client_id and client_secret in {_config_file()}"
        )
    url = os.environ.get("NEWTEST_OPENVERSE_URL") or table.url or API_URL
    return OpenverseConfig(url, client_id, secret)


def _flickr(page_size: int | None) -> FlickrConfig | None:
    """Flickr's configuration, None when there is no key."""
    table = _table(_FlickrTable, "flickr")
    key = os.environ.get("FLICKR_API_KEY") or table.key
    secret = os.environ.get("FLICKR_API_SECRET") or table.secret
    if not key or not secret:
        return None
    url = os.environ.get("NEWTEST_FLICKR_URL") or table.url or REST_URL
    return FlickrConfig(key, secret, url, page_size=min(500, max(50, page_size or 250)))


def _config_file() -> Path:
    named = os.environ.get("NEWTEST_CONFIG")
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(named) if named else folder / "newtest" / "config.toml"


def _table(cls: type[T], table: str) -> T:
    file = _config_file()
    if not file.exists():
        if os.environ.get("NEWTEST_CONFIG"):
            raise ConfigError(f"{file}: NEWTEST_CONFIG names this file, but it is not there")
        return cls()
    return load_toml(cls, file, table=table)
