"""An S3 on loopback: moto's real server."""

from __future__ import annotations

from collections.abc import Iterator

import fsspec
import pytest

__all__ = ["bucket"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 bucket on loopback, for as long as this module's tests run."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        _forget_the_last_server()
        boto3.client("s3").create_bucket(Bucket="newtest-pools")
        yield "s3://newtest-pools"
        server.stop()


def _forget_the_last_server() -> None:
    """fsspec keeps a store for as long as the process lives, and with it the endpoint of its first use."""
    from obstore.fsspec import register

    register("s3")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
