"""Tar members written directly: ustar with no owner and no time, so that equal contents give equal tars.

They are read by ``newtest.reading.tars``.
"""

from __future__ import annotations

import tarfile

from newtest.reading.tars import BLOCK

__all__ = ["END", "packed"]

END = bytes(2 * BLOCK)
"""What a tar ends with."""


def packed(name: str, data: bytes) -> bytes:
    """One member, header and padding included."""
    encoded = name.encode()
    if len(encoded) > 100:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        header = info.tobuf(tarfile.GNU_FORMAT)
    else:
        front = (
            encoded.ljust(100, b"\0")
            + b"0000644\0"
            + b"0000000\0" * 2
            + b"%011o\0" % len(data)
            + b"00000000000\0"
        )
        back = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
        header = front + b"%06o\0 " % (sum(front) + 8 * 32 + sum(back)) + back
    return header + data + bytes(-len(data) % BLOCK)
