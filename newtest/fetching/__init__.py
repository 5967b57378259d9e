"""Bytes for a study's images: downloaded or read, checked, stored by their hash, and shown as thumbnails."""

from __future__ import annotations

from newtest.download import DownloadConfig
from newtest.fetching.stage import LOCAL_SOURCES, FetchConfig, FetchSummary, fetch_missing

__all__ = ["LOCAL_SOURCES", "DownloadConfig", "FetchConfig", "FetchSummary", "fetch_missing"]
