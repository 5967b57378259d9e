"""Changed files: bytes, numbers and pieces of good ones, and what is known to trouble parsers. Seeded."""

from __future__ import annotations

import io
import random
import re
import zipfile

__all__ = ["mutated"]

TROUBLE = (
    b"[" * 200, b"[" * 20_000, b'{"a":' * 2000, b'"\\ud800"', b"\\udfff", b"9" * 5000, b"-1", b"1e999",
    b"NaN", b"\0",
    b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"'", b";", b",", b"\t", b"\r\n", b"null",
    b"true", b"{}", b"[]",
    b"''", b"../../../../etc/x", b"/etc/passwd", b"a." * 500, b"=1+1", b"%s%n", b"\x7f" * 8, b"\x80" * 8, b"\xff" * 8,
    b"18446744073709551616", b"9223372036854775808", b"a\0b.jpg", b"file:///etc/passwd", b"\x93NUMPY",
    b"PAR1", b"PK\3\4", b"c__builtin__\nbytearray\n", b"cos\nsystem\n",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"J\xff\xff\xff\x7f",
)  # fmt: skip
NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"9223372036854775807", b"1" + b"0" * 30)


def mutated(seed: bytes, other: bytes, kind: str, draw: random.Random) -> bytes:
    """One to four changes of a good file; of packed formats half the time inside, with sums that are right again."""
    if kind in ("npz", "torch") and draw.random() < 0.6:
        # torch.save packs nothing, and torch maps what is stored as it is
        return _inside_zip(seed, draw, zipfile.ZIP_DEFLATED if kind == "npz" else zipfile.ZIP_STORED)
    data = bytearray(seed)
    for _ in range(draw.choice((1, 1, 2, 4))):
        _change(data, other, draw)
    if kind == "tar" and draw.random() < 0.7:
        _right_sums(data)
    return bytes(data)


def _change(data: bytearray, other: bytes, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    length = draw.choice((1, 1, 2, 4, 8, 64, 512))
    how = draw.randrange(8)
    if how == 0 and data:
        data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
    elif how == 1:
        data[at : at + length] = draw.randbytes(length)
    elif how == 2:
        del data[at : at + length]
    elif how == 3:
        data[at:at] = draw.choice(TROUBLE)
    elif how == 4:
        found = draw.choice(TROUBLE)
        data[at : at + len(found)] = found
    elif how == 5:
        del data[at:]
    elif how == 6 and (numbers := list(re.finditer(rb"\d+", data))):
        one = draw.choice(numbers)
        data[one.start() : one.end()] = draw.choice((*NUMBERS, b"9" * 5000))
    else:
        cut = draw.randrange(len(other) + 1)
        data[at:] = other[cut:] if draw.random() < 0.5 else other[cut : cut + length] + data[at:]


def _right_sums(data: bytearray) -> None:
    """Checksums of the tar headers that still look like some."""
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar":
            block = data[start : start + 512]
            total = sum(block) - sum(block[148:156]) + 256
            data[start + 148 : start + 156] = b"%06o\0 " % total


def _inside_zip(seed: bytes, draw: random.Random, packing: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seed)) as old, zipfile.ZipFile(packed, "w", packing) as new:
        for name in old.namelist():
            data = bytearray(old.read(name))
            if draw.random() < 0.7:
                _change(data, b"", draw)
            new.writestr(name, bytes(data))
    return packed.getvalue()
