"""Many downloads at once, from strangers, within limits. A leaf: imports neither side."""

from __future__ import annotations

from newtest.download.scheduler import Outcome, Request, download
from newtest.download.transfer import DownloadConfig

__all__ = ["DownloadConfig", "Outcome", "Request", "download"]
