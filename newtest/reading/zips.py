"""Zip archives, as ``.npz`` and PyTorch's files are. Their directory is believed only as far as the file reaches."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

from newtest.files import require_regular
from newtest.reading.failures import Unreadable

__all__ = ["opened_zip"]


def opened_zip(source: Path | IO[bytes]) -> zipfile.ZipFile:
    """An archive, open. A member that claims more packed bytes than the file has is refused: Python's reader would take
    that much memory before the first byte, and a ratio of sizes would prove nothing.

    Raises OSError, zipfile.BadZipFile, Unreadable.
    """
    if isinstance(source, Path):
        require_regular(source)
    archive = zipfile.ZipFile(source)
    try:
        assert archive.fp is not None
        size = archive.fp.seek(0, io.SEEK_END)
        for member in archive.infolist():
            if member.compress_size > size:
                raise Unreadable(
                    f"{member.filename[:100]!r} claims {member.compress_size:,} bytes of a file of {size:,}"
                )
    except BaseException:
        archive.close()
        raise
    return archive
