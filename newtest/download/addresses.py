"""Which network addresses strangers' URLs may lead to.

A name is not protection: it may resolve to a private address, resolve anew between check and use (DNS rebinding), or
redirect to one. So the check sits where the socket for an address is made, on the address that it will connect to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["Connections", "PrivateAddress", "is_public"]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that IANA gives out, unlike ::10.0.0.1 or fec0::1
_RESOLVER_THREADS = 32


class PrivateAddress(OSError):
    """A URL led to an address that is not on the public internet."""

    def __init__(self) -> None:
        super().__init__(
            "leads to a private, loopback or link-local address"
        )  # alike for all, so that they merge


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet; the IPv4 address inside an IPv6 one counts.

    Not public: private, loopback, link-local (cloud metadata), shared (RFC 6598), multicast, reserved, unspecified.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        return ip.is_global and ip in _GLOBAL_UNICAST
    return ip.is_global and not ip.is_multicast


class Connections(aiohttp.TCPConnector):
    """Connects without a limit but where to; a refused address is a PrivateAddress error inside aiohttp's
    ClientConnectorError. Must be made inside a running event loop.
    """

    def __init__(self, *, allow_private: bool) -> None:
        super().__init__(
            limit=0,
            ttl_dns_cache=300,
            resolver=_Resolver(),
            socket_factory=_any_socket if allow_private else _public_socket,
        )

    def let_go(self, host: str, *, most: int) -> None:
        """Close the idle connections of ``host`` (a name, or ``name:port``), which is done with; then, of hosts that
        were only redirected to, the oldest ones, until idle ones are left to at most ``most`` hosts.

        aiohttp has no call for this: its connections would stay open for 15 s more, and be too many.
        """
        keys = [key for key in self._conns if host in (key.host, f"{key.host}:{key.port}")]
        for key in keys + [key for key in self._conns if key not in keys][:-most]:
            for connection, _ in self._conns.pop(key):
                connection.close()


def _any_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol = info[:3]
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    if not is_public(info[4][0]):
        raise PrivateAddress
    return _any_socket(info)


class _Resolver(AbstractResolver):
    """getaddrinfo in threads of its own: with asyncio's few, every host waits for one slow name server."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        infos = await loop.run_in_executor(
            self._threads,
            lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(at[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, at in infos
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
