"""An S3 on loopback: moto's real server."""

from __future__ import annotations

import fsspec

__all__ = ["forget_the_last_server"]


def forget_the_last_server() -> None:
    """fsspec keeps a store for as long as the process lives, and with it the endpoint of its first use."""
    from obstore.fsspec import register

    register("s3")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
