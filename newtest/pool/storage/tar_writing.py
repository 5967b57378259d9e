"""Tar members written directly: ustar with no owner and no time, so that equal contents give equal tars.

They are read by ``newtest.reading.tars``.
"""

from __future__ import annotations

import tarfile
from typing import IO

from newtest.reading.tars import BLOCK

__all__ = ["END", "add"]

END = bytes(2 * BLOCK)
"""What a tar ends with."""
_BACK = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
"""A header behind its checksum."""


def add(archive: IO[bytes], name: str, data: bytes) -> None:
    """Write one member, header and padding included; the data are not copied for that."""
    archive.write(_header(name, len(data)))
    archive.write(data)
    archive.write(bytes(-len(data) % BLOCK))


def _header(name: str, size: int) -> bytes:
    encoded = name.encode()
    if len(encoded) > 100:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        return info.tobuf(tarfile.GNU_FORMAT)
    front = encoded.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    return front + b"%06o\0 " % (sum(front) + 8 * 32 + sum(_BACK)) + _BACK
