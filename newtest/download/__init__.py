"""Many downloads at once, from strangers, within limits. A leaf: imports neither side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.lazy import face

if TYPE_CHECKING:
    from newtest.download.config import DownloadConfig
    from newtest.download.records import Download, Request
    from newtest.download.scheduler import download
    from newtest.download.traffic import HostTraffic, Traffic
    from newtest.download.urls import without_credentials

__all__ = [
    "Download",
    "DownloadConfig",
    "HostTraffic",
    "Request",
    "Traffic",
    "download",
    "without_credentials",
]

__getattr__, __dir__ = face(
    __name__,
    {
        "newtest.download.config": ("DownloadConfig",),
        "newtest.download.records": ("Download", "Request"),
        "newtest.download.scheduler": ("download",),
        "newtest.download.traffic": ("HostTraffic", "Traffic"),
        "newtest.download.urls": ("without_credentials",),
    },
)
