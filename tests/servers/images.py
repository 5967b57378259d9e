"""A real image server on loopback that misbehaves on demand: what it does is said in the path.

``/photo/N.jpg`` serves a photo (of those given, or small made ones). Before the last part a path may hold, e.g.
``/hang/photo/7.jpg``:

    hang          accepts and never answers
    drip          a byte every 0.2 s
    cut           announces the full length, closes in the middle (a broken connection)
    half          serves half of the file as if it were all (a truncated file)
    flaky-N       answers 503 the first N times that this path is asked for
    busy-N        answers 429 with Retry-After: 1 the first N times
    someday       answers 429 with a Retry-After in a year of twenty digits
    status-N      answers with status N
    noai          serves with X-Robots-Tag: noai
    bots          serves with X-Robots-Tag: otherbot: noai
    robots        serves with X-Robots-Tag headers as in ``?tag=...&tag=...``; with ``&to=URL`` it redirects
    gzip          compresses the transfer
    endless       never stops sending
    to-private    redirects to http://10.0.0.1/ (or ``?to=URL``)
    loop          redirects to itself

and instead of a photo: ``text.html``, ``empty.jpg``, ``script.svg``, ``bomb.png`` (a header that announces
60,000 × 60,000 pixels).
"""

from __future__ import annotations

import asyncio
import datetime
import io
import ssl
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import PIL.Image
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from multidict import CIMultiDict

__all__ = ["ImageServer", "bomb_png", "made_photo", "self_signed", "serving"]


def made_photo(number: int, size: tuple[int, int] = (160, 120)) -> bytes:
    """A JPEG that differs for every number."""
    red = PIL.Image.linear_gradient("L").resize(size)
    green = PIL.Image.radial_gradient("L").rotate(number * 7 % 360).resize(size)
    blue = PIL.Image.new("L", size, number % 256)
    buffer = io.BytesIO()
    PIL.Image.merge("RGB", (red, green, blue)).save(buffer, "JPEG", quality=85, comment=str(number).encode())
    return buffer.getvalue()


def bomb_png(side: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes whose header announces side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


class ImageServer:
    """The application; ``asked`` counts requests a path, ``peak`` is the most that were open at once,
    ``authorized`` counts those that sent a password."""

    def __init__(self, photos: Sequence[bytes] = (), *, latency: float = 0.0) -> None:
        self.photos = list(photos) or [made_photo(n) for n in range(8)]
        self.latency = latency
        self.asked: Counter[str] = Counter()
        self.open = self.peak = self.authorized = 0
        self.base = ""

    def url(self, path: str) -> str:
        return f"{self.base}/{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        if "Authorization" in request.headers:
            self.authorized += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._answer(request)
        finally:
            self.open -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        *moods, last = request.path.strip("/").split("/")
        headers: dict[str, str] = {}
        body, kind = self._content(last)
        for mood in moods:
            name, _, number = mood.partition("-")
            times = int(number) if number.isdecimal() else 0
            if name == "hang":
                await asyncio.sleep(3600)
            elif name == "drip":
                return await _drip(request, body)
            elif name == "cut":
                return await _cut(request, body)
            elif name == "endless":
                return await _endless(request)
            elif name == "half":
                body = body[: len(body) // 2]
            elif name == "flaky" and self.asked[request.path] <= times:
                return web.Response(status=503, text="try later")
            elif name == "busy" and self.asked[request.path] <= times:
                return web.Response(status=429, headers={"Retry-After": "1"})
            elif mood == "someday":
                date = f"Wed, 21 Oct {'9' * 20} 07:28:00 GMT"
                return web.Response(status=429, headers={"Retry-After": date})
            elif name == "status":
                return web.Response(status=times)
            elif mood == "noai":
                headers["X-Robots-Tag"] = "noindex, noai"
            elif mood == "bots":
                headers["X-Robots-Tag"] = "otherbot: noai, noimageai"
            elif mood == "robots":
                tags = CIMultiDict(("X-Robots-Tag", tag) for tag in request.query.getall("tag"))
                if "to" in request.query:
                    raise web.HTTPFound(request.query["to"], headers=tags)
                return web.Response(body=body, content_type=kind, headers=tags)
            elif mood == "gzip":
                body, headers["Content-Encoding"] = zlib.compress(body, wbits=31), "gzip"
            elif mood == "to-private":
                raise web.HTTPFound(request.query.get("to", "http://10.0.0.1/x.jpg"))
            elif mood == "loop":
                raise web.HTTPFound(request.path)
        return web.Response(body=body, content_type=kind, headers=headers)

    def _content(self, name: str) -> tuple[bytes, str]:
        stem = name.partition(".")[0]
        if stem.isdecimal():
            return self.photos[int(stem) % len(self.photos)], "image/jpeg"
        if name == "bomb.png":
            return bomb_png(), "image/png"
        if name == "script.svg":
            return b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/svg+xml"
        return (b"", "image/jpeg") if stem == "empty" else (b"<html>not an image</html>" * 20, "text/html")


async def _drip(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    with suppress(ConnectionResetError):  # whoever has lost patience
        for value in body:
            await response.write(bytes([value]))
            await asyncio.sleep(0.2)
    return response


async def _cut(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionResetError):
        for _ in range(100_000):
            await response.write(bytes(65_536))
    return response


class Server(Protocol):
    """What ``serving`` can run: an answer to every request, and a place for the address."""

    base: str

    async def answer(self, request: web.Request) -> web.StreamResponse: ...


S = TypeVar("S", bound=Server)


def self_signed(folder: Path) -> Path:
    """A file with a fresh key and a certificate for localhost that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "server.pem").write_bytes(key.private_bytes(form, *plain) + built.public_bytes(form))
    return folder / "server.pem"


@contextmanager
def serving(server: S, host: str = "127.0.0.1", *, certificate: Path | None = None) -> Iterator[S]:
    """Run a server in a thread until the block ends; its address is in ``base``. With a certificate it is https."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        context = None
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        site = web.TCPSite(runner, host, 0, backlog=512, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        server.base = f"http{'s' if certificate else ''}://{host}:{port}"
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()  # those that hang or drip
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the server did not start")
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
