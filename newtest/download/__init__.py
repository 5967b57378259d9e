"""Many downloads at once, from strangers, within limits. A leaf: imports neither side."""

from __future__ import annotations

from newtest.download.records import Download, Request
from newtest.download.retry_after import retry_after
from newtest.download.scheduler import download
from newtest.download.traffic import HostTraffic, Traffic
from newtest.download.transfer import DownloadConfig
from newtest.download.urls import without_credentials

__all__ = [
    "Download",
    "DownloadConfig",
    "HostTraffic",
    "Request",
    "Traffic",
    "download",
    "retry_after",
    "without_credentials",
]
