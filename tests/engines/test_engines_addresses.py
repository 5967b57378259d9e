"""Addresses where there is no cluster, and settings of the engine's name: one sentence, and no minute of silence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from engine_work import make_square

from newtest.engines import engine
from newtest.engines.ray import connecting
from newtest.engines.ray.lost import reason
from newtest.errors import ClusterError, NewtestError, UsageError


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def refused(address: str) -> NewtestError:
    with pytest.raises(NewtestError) as caught:
        list(engine(f"ray:{address}").map(make_square, [1]))
    assert "\n" not in str(caught.value) and address in str(caught.value)
    return caught.value


def test_where_nothing_listens(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    listening.close()
    error = refused(f"127.0.0.1:{port}")
    assert isinstance(error, ClusterError) and "no Ray listens there (Connection refused)" in str(error)
    assert "no machine of this name is known" in str(refused("no-such-host.invalid:6379"))


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_where_something_else_listens(
    answer: bytes | None, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_SECONDS", 0.2)

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, suppress(ConnectionError):  # the caller goes when it has seen enough
            if answer:
                connection.sendall(answer)
            connection.recv(1000)
            connection.recv(1000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert "not the head of a Ray cluster" in str(refused(f"127.0.0.1:{listening.getsockname()[1]}"))
    thread.join(5)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "10.0.0.1:port", "10.0.0.1:99999", ":6379", "ray://10.0.0.1:10001"]
)
def test_what_is_no_address(address: str) -> None:
    assert isinstance(refused(address), UsageError)


def test_the_variable_of_ray_is_looked_at_too(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listening.getsockname()[1]
    listening.close()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(ClusterError, match=f"127.0.0.1:{port}: no Ray listens there"):
        list(engine("ray").map(make_square, [1]))


RAYS_WORDS = (
    "ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing or incorrect. "
    "Note: RAY_AUTH_MODE is currently 'disabled' (not 'token')."
)
"""What Ray 2.60 raised where the head had a token and the command none (recorded; a head for it takes ten seconds)."""


def test_a_missing_token_is_told_as_such() -> None:
    ray = connecting.the_ray()
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError(
        f"Failed to connect to GCS. Last connection error: Traceback\n{RAYS_WORDS}\n"
    )
    told = str(connecting._told(ray, error, "10.0.0.1:6379"))
    assert told.startswith("10.0.0.1:6379: the cluster asks for a token") and "\n" not in told


def test_a_machine_without_newtest_is_named() -> None:
    """Ray's words of a worker whose machine lacks the package (recorded in part, of a node that had none)."""
    error = RuntimeError(
        "The actor died because of an error raised in its creation task, ray::Worker.__init__() (pid=8688, "
        "ip=10.0.0.7, actor_id=b795)\n  At least one of the input arguments for this task could not be computed:\n"
        "ModuleNotFoundError: No module named 'newtest.engines'"
    )
    told = "on 10.0.0.7, it could not start: No module named 'newtest.engines', so newtest or"
    assert reason(None, error, None).startswith(told)


def test_settings_stand_behind_the_name() -> None:
    named = engine("ray:10.0.0.1:6379,memory=4GiB,cpus=0.5,wait=60")
    assert (named.address, named.memory, named.cpus, named.wait) == ("10.0.0.1:6379", 4 << 30, 0.5, 60)  # type: ignore[attr-defined]
    for wrong in ("ray,memory", "ray,memory=much", "ray,cpus=2GiB", "ray,nodes=3", "ray:10.0.0.1:6379,"):
        with pytest.raises(UsageError, match="is not a setting of a Ray engine"):
            engine(wrong)
