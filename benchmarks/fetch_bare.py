"""What ``fetch.py`` compares with: downloading and nothing else, or downloading and keeping and nothing else.

    python benchmarks/fetch_bare.py < urls.txt          256 connections kept alive, bodies read and dropped
    python benchmarks/fetch_bare.py --kept < urls.txt   a process per core; each body is hashed and written behind the
                                                        others, then all are read and written again

The second is what any program must do that may be killed at any moment and writes tars in the order of its table. It
checks, describes and counts nothing. ``answers.txt`` has the URLs that answered 200.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import aiohttp

CONNECTIONS = 256


async def fetched(urls: list[str], connections: int, keep: Callable[[bytes], object]) -> list[str]:
    left, answered = iter(urls), []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:

        async def some() -> None:
            for url in left:
                async with session.get(url) as response:
                    keep(await response.read())
                    if response.status == 200:
                        answered.append(url)

        await asyncio.gather(*(some() for _ in range(connections)))
    return answered


def kept(urls: list[str], part: int, parts: int) -> list[str]:
    sizes: list[int] = []
    journal_path = Path(f"{part}.journal")
    with (
        journal_path.open("w+b", buffering=0) as journal,
        Path(f"{part}.tar").open("wb", buffering=0) as archive,
    ):

        def keep(data: bytes) -> None:
            os.writev(journal.fileno(), [hashlib.sha256(data).hexdigest().encode(), data])
            sizes.append(len(data))

        answered = asyncio.run(fetched(urls[part::parts], CONNECTIONS // parts, keep))
        place = 0
        for size in sizes:
            archive.write(os.pread(journal.fileno(), size, place + 64))
            place += 64 + size
    journal_path.unlink()
    return answered


def main() -> None:
    urls = sys.stdin.read().split()
    if "--kept" in sys.argv[1:]:
        parts = os.cpu_count() or 1
        with ProcessPoolExecutor(parts) as processes:
            found = list(processes.map(partial(kept, urls, parts=parts), range(parts)))
        answered = [url for part in found for url in part]
    else:
        answered = asyncio.run(fetched(urls, CONNECTIONS, len))
    Path("answers.txt").write_text("\n".join(answered))


if __name__ == "__main__":
    main()
