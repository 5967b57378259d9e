"""Addresses where there is no cluster, and settings of the engine's name: one sentence, and no minute of silence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from engine_work import make_square

from newtest.engines import engine
from newtest.engines.ray import connecting
from newtest.engines.ray.lost import reason, said
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


@pytest.mark.parametrize(
    ("here", "told"),
    [
        ({}, "asks for a token, and this machine has none; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or"),
        (
            {"RAY_AUTH_TOKEN": "a"},
            "and this machine's (RAY_AUTH_TOKEN) is not in use; set RAY_AUTH_MODE=token",
        ),
        ({"HOME": "with a token"}, "(~/.ray/auth_token) is not in use; set RAY_AUTH_MODE=token"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/a"},
            "the cluster asks for another token than this machine's (RAY_AUTH_TOKEN_PATH)",
        ),
    ],
)
def test_a_missing_token_is_told_as_such(
    here: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if "HOME" in here:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("0" * 32)
    for name, value in here.items():
        monkeypatch.setenv(name, value if name != "HOME" else str(tmp_path))
    ray = connecting.the_ray()
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError(
        f"Failed to connect to GCS. Last connection error: Traceback\n{RAYS_WORDS}\n"
    )
    sentence = str(connecting._told(ray, error, "10.0.0.1:6379"))
    assert sentence.startswith("10.0.0.1:6379: the cluster asks for") and told in sentence
    assert "\n" not in sentence


CRASH = """:job_id:10000000
:actor_name:Worker
loading
about to crash
*** SIGSEGV received at time=1795745127 on cpu 0 ***
PC: @     0x7f8b12b85ad8  (unknown)  (unknown)
    @     0x7f8b12a5a050  (unknown)  (unknown)
[2026-11-27 02:05:27,423 E 17431 17431] logging.cc:474: PC: @     0x7f8b12b85ad8  (unknown)  (unknown)
Fatal Python error: Segmentation fault

Stack (most recent call first):
  File "/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/data/heads.py", line 7 in head
  File "/lib/newtest/pool/scorers.py", line 97 in scores

Extension modules: msgpack._cmsgpack, google._upb._message, psutil._psutil_linux, PIL._imaging (total: 24)
"""
"""The log of a worker that crashed in a user's function (recorded of Ray 2.60, shortened)."""


def test_of_the_log_of_a_crash_the_place_is_quoted_and_not_a_list_of_modules() -> None:
    assert said(CRASH) == (
        "about to crash | Fatal Python error: Segmentation fault | "
        'File "/lib/python3.11/ctypes/__init__.py", line 519 in string_at | File "/data/heads.py", line 7 in head'
    )
    assert said(CRASH.split("Fatal")[0]).endswith(
        "about to crash | *** SIGSEGV received at time=1795745127 on cpu 0 ***"
    )
    assert said("a\n\nb\nc\nd\n") == "b | c | d" and said(":job_id:1\n") == ""


class OfRay:
    """As much of Ray as joining needs."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def is_initialized(self) -> bool:
        return bool(self.calls) and self.calls[-1] == "init"

    def init(self, **settings: object) -> None:
        self.calls.append("init")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def test_a_command_joins_a_cluster_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To leave and to join again takes seconds, and has crashed within Ray."""
    from newtest.cli.ending import ending
    from newtest.cli.pool_options import engine_of

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray = OfRay()
    for _ in range(2):
        with connecting.connected(ray, None):
            pass
    assert ray.calls == ["init", "shutdown"] * 2  # from Python each map for itself
    ray = OfRay()
    with pytest.raises(ClusterError, match="on the way"), ending():
        for _ in range(2):
            engine_of("ray")  # commands ask twice
            with connecting.connected(ray, None):
                assert ray.calls == ["init"]
        raise ClusterError("on the way")
    assert ray.calls == ["init", "shutdown"]
    with connecting.connected(ray, None):
        pass
    assert ray.calls == ["init", "shutdown"] * 2


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
