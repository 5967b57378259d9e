"""Joining a cluster. What goes wrong is one sentence, within seconds where the address is at fault.

Ray itself asks an address for minutes and raises a traceback. So the address is looked at first: does anything listen,
and does it speak HTTP/2, as Ray's head does (gRPC)?
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from newtest.errors import ClusterError, MissingExtra, UsageError

__all__ = ["connected", "joined_once", "the_ray"]

_SECONDS = 5.0
_RETRIES_S = "3"
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""A client's first bytes in HTTP/2 (RFC 9113, 3.4): the preface and an empty frame of settings."""
_SETTINGS = 4
_kept: list[ExitStack] = []
"""What ends the connection of a ``joined_once`` that is open."""


def the_ray() -> Any:
    """The package. Raises MissingExtra."""
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


@contextmanager
def joined_once() -> Iterator[None]:
    """Within, the first map joins and the others find Ray joined; it is left at the end.

    For commands, which map several times: to leave and to join again takes seconds, and Ray's own threads have crashed
    over it (2.60: one command in thirty, with a SIGSEGV below boost's executor).
    """
    if _kept:
        yield
        return
    with ExitStack() as stack:
        _kept.append(stack)
        try:
            yield
        finally:
            _kept.clear()


@contextmanager
def connected(ray: Any, address: str | None) -> Iterator[None]:
    """Ray is there within; what was there before stays. Raises ClusterError, UsageError."""
    if ray.is_initialized():
        yield
        return
    named = address or os.environ.get("RAY_ADDRESS") or None
    if named is not None and named not in ("auto", "local"):
        _looked_at(named)
    try:
        _join(ray, address, named)
    except Exception as error:
        with suppress(Exception):
            ray.shutdown()
        raise _told(ray, error, named) from error
    with ExitStack() as stack:
        ends = _kept[0] if _kept else stack
        ends.enter_context(_stdout_kept_clean(ray))
        ends.callback(ray.shutdown)
        yield


@contextmanager
def _stdout_kept_clean(ray: Any) -> Iterator[None]:
    """Ray prints what its nodes report (twenty lines of a log for a lost node) on stdout, where the result belongs.

    It has a switch for that which is not public, and which is left alone where a version lacks it.
    """
    module = getattr(getattr(ray, "_private", None), "worker", None)
    name = "_worker_logs_enabled"
    before = getattr(module, name, None)
    if module is None or before is None:
        yield
        return
    setattr(module, name, False)
    try:
        yield
    finally:
        setattr(module, name, before)


def _join(ray: Any, address: str | None, named: str | None) -> None:
    settings = {"log_to_driver": False, "include_dashboard": False, "configure_logging": False}
    if named is None or named == "local":
        ray.init(address=address, **settings)
        return
    with _few_retries(), _kept_quiet():
        ray.init(address=address, **settings)


def _looked_at(address: str) -> None:
    """Raises an error where no head of Ray can be at an address: what is wrong with it in one sentence."""
    if address.startswith("ray://"):
        raise UsageError(
            f"{address}: Ray Client cannot carry this work; run the command on a machine of the cluster and give the "
            "head's HOST:PORT (ray:10.0.0.1:6379), or submit it there with `ray job submit`"
        )
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(
            f"{address!r} is not an address of a Ray cluster; give HOST:PORT, such as 10.0.0.1:6379"
        )
    try:
        connection = _reached(host.strip("[]"), int(port))
    except socket.gaierror as error:
        raise ClusterError(f"{address}: no machine of this name is known ({error.strerror})") from error
    except TimeoutError as error:
        raise ClusterError(
            f"{address}: no answer within {_SECONDS:.0f} s; is the head of the cluster there, and may this machine "
            "reach it?"
        ) from error
    except OSError as error:
        raise ClusterError(
            f"{address}: no Ray listens there ({error.strerror}); give the address that the head printed"
        ) from error
    with connection:
        if os.environ.get("RAY_USE_TLS", "0") in ("0", "") and not _speaks_http2(connection):
            raise ClusterError(
                f"{address}: what listens there is not the head of a Ray cluster; its port is usually 6379 (8265 is "
                "the dashboard's, 10001 that of Ray Client)"
            )


def _reached(host: str, port: int) -> socket.socket:
    """A connection. Ray takes this machine's own address for ``localhost``, so both are tried."""
    hosts = [host]
    if host in ("localhost", "127.0.0.1", "::1"):
        hosts.append(socket.gethostname())
    for other in hosts[:-1]:
        with suppress(OSError):
            return socket.create_connection((other, port), timeout=_SECONDS)
    return socket.create_connection((hosts[-1], port), timeout=_SECONDS)


def _speaks_http2(connection: socket.socket) -> bool:
    with suppress(OSError):
        connection.sendall(_HELLO)
        head = b""
        while len(head) < 9 and (more := connection.recv(9 - len(head))):
            head += more
        return len(head) == 9 and head[3] == _SETTINGS
    return False


@contextmanager
def _few_retries() -> Iterator[None]:
    """Ray tries for 20 s to join what refuses it. Its own variable for that is set, unless the user has done so."""
    name = "RAY_gcs_server_port_wait_time_s"
    ours = name not in os.environ
    if ours:
        os.environ[name] = _RETRIES_S
    try:
        yield
    finally:
        if ours:
            os.environ.pop(name, None)


@contextmanager
def _kept_quiet() -> Iterator[None]:
    """What Ray's C++ writes on stderr while it joins in vain is left out; what it writes otherwise is passed on."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            _back(before)
            raise
        _back(before)
        kept.seek(0)
        with suppress(OSError):
            os.write(2, kept.read())


def _back(before: int) -> None:
    os.dup2(before, 2)
    os.close(before)


def _told(ray: Any, error: BaseException, address: str | None) -> ClusterError:
    """Ray's error in one sentence; its causes hold what its text does not."""
    where = address or "Ray on this machine"
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__ or cause.__context__
    text = "\n".join(texts)
    if "AuthenticationError" in text or "InvalidAuthToken" in text:
        return ClusterError(f"{where}: {_about_tokens()}")
    if "Version mismatch" in text:
        theirs, own = _versions(text)
        return ClusterError(
            f"{where}: the cluster has {theirs} and this machine {own}; both must be the same, so install the "
            "cluster's versions here"
        )
    if "temp_dir" in text or "Failed to connect to GCS" in text or text.startswith("ConnectionError: \n"):
        return ClusterError(
            f"{where}: what listens there does not answer as the head of Ray {ray.__version__} does; give the port of "
            "the head (usually 6379), and see that the cluster has the same version"
        )
    if address == "auto" and isinstance(error, ConnectionError):
        return ClusterError("no Ray cluster was found on this machine; give its address as ray:HOST:PORT")
    first = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return ClusterError(
        f"{where}: Ray cannot be joined or started ({type(error).__name__}: {first.strip()[:300]})"
    )


def _about_tokens() -> str:
    """Ray looks for a token in two variables and then in a file, and all of that only in the mode for it."""
    found = next((name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if os.environ.get(name)), None)
    if found is None and Path("~/.ray/auth_token").expanduser().is_file():
        found = "~/.ray/auth_token"
    if found is None:
        return (
            "the cluster asks for a token, and this machine has none; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or "
            "RAY_AUTH_TOKEN_PATH (the cluster's token usually stands in ~/.ray/auth_token of its head)"
        )
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return f"the cluster asks for a token, and this machine's ({found}) is not in use; set RAY_AUTH_MODE=token"
    return (
        f"the cluster asks for another token than this machine's ({found}); the cluster's usually stands in "
        "~/.ray/auth_token of its head"
    )


def _versions(text: str) -> tuple[str, str]:
    """``Ray 2.60.0 and Python 3.11.7`` twice: the cluster's and ours, from Ray's text of six lines."""
    found = [
        line.split(":", 1)[1].strip()
        for line in text.splitlines()
        if line.strip().startswith(("Ray:", "Python:"))
    ]
    if len(found) < 4:
        return "another version of Ray or Python", "this one"
    return f"Ray {found[0]} and Python {found[1]}", f"Ray {found[2]} and Python {found[3]}"
