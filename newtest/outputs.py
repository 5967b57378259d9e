"""What newtest may write over: its own files, and nothing else. Every command's output is decided here.

Each folder into which a command wrote keeps a list, ``.newtest-made``, of the files that newtest made there and the
sha256 that each had (the lines of ``sha256sum``). A file is newtest's own while it stands in the list with the bytes
that it has: one that somebody else made, or changed since, is refused and stays as it is. The list is written before
the file appears, so a killed run leaves nothing that the next one would take for a stranger's.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from newtest.errors import UsageError
from newtest.files import atomic_path, own_descriptor, sha256_of, text_at

__all__ = [
    "MADE", "claim_folder", "is_own_folder", "made_path", "mark_folder", "remove_made", "require_own_file",
    "require_own_folder", "require_this_machine", "write_made",
]  # fmt: skip

MADE = ".newtest-made"
"""The list of a folder's files that newtest made."""

_SIGNS = (
    "study.sqlite",
    "study/study.sqlite",
    "__newtest",
    "fetch.json",
    "reshard.json",
    "sweep.json",
    "set.json",
    "*/set.json",
)
"""What only newtest's folders hold: a study, a demo, a pool, a sweep, results."""


def require_this_machine(path: Path) -> Path:
    """``path``, or UsageError for a URL: it would become a folder here whose name begins with ``s3:``."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise UsageError(
            f"{str(path).replace(':/', '://', 1)}: this is written on this machine alone; name a path here and copy "
            "what was written from there"
        )
    return path


def require_own_file(path: Path) -> Path:
    """``path``, where a file may be written: nothing is there, or what newtest itself put there.

    Raises UsageError for a file of somebody else, for a folder and for a URL. Pipes and devices are never refused.
    """
    require_this_machine(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise UsageError(f"{path}: a link to nothing is there; remove it or name another file") from None
        return path
    except NotADirectoryError:
        raise UsageError(f"{path}: a part of this path is a file and no folder; name another place") from None
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{path}: a folder is there, and a file is to be written; name a file")
    if stat.S_ISREG(status.st_mode) and status.st_size and not _is_made(path):
        raise UsageError(
            f"{path}: a file is there that newtest did not make, or that was changed since; move it away or name "
            "another one, and it stays as it is"
        )
    return path


def require_own_folder(path: Path) -> Path:
    """``path``, where a folder of newtest's may be: nothing is there, an empty folder, or one that newtest made.

    Raises UsageError for a folder of somebody else, for a file and for a URL.
    """
    require_this_machine(path)
    if not path.exists():
        return path
    if not path.is_dir():
        raise UsageError(f"{path}: a file is there, and a folder is to be written; name another one")
    if not is_own_folder(path) and any(
        not each.is_dir() and not _is_unfinished(each.name) for each in path.rglob("*")
    ):
        raise UsageError(
            f"{path}: this folder holds files that newtest did not make; name a new or an empty folder, and it stays "
            "as it is"
        )
    return path


def claim_folder(path: Path) -> None:
    """Make the folder where there is none and note that it is newtest's; raises UsageError where it is not."""
    mark_folder(require_own_folder(path))


def mark_folder(path: Path) -> Path:
    """Make a folder whose name is newtest's own, and note that it is newtest's before anything is in it: a run that is
    killed then finds it again. Returns ``path``.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"{path}: a file or a link that leads nowhere is in the place of a folder"
        ) from error
    (path / MADE).touch()
    return path


def is_own_folder(path: Path) -> bool:
    """Whether newtest wrote into this folder before."""
    return any(any(path.glob(sign)) for sign in (MADE, f"*/{MADE}", *_SIGNS))


@contextmanager
def made_path(path: Path) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends well (``newtest.files.atomic_path``), noted as ours.

    Raises UsageError where something else is in its place.
    """
    require_own_file(path)
    if path.exists() and not path.is_file():  # /dev/stdout, a named pipe
        yield path
        return
    with atomic_path(path) as temporary:
        yield temporary
        _note(path, sha256_of(temporary))


def write_made(path: Path, data: bytes | str) -> None:
    """Write a whole file that newtest may write again later; raises UsageError where something else is there."""
    with made_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def remove_made(path: Path) -> None:
    """Remove a file that newtest wrote and that nobody changed since; any other one stays."""
    if path.is_file() and not path.is_symlink() and _is_made(path):
        path.unlink()


def _is_unfinished(name: str) -> bool:
    """Whether a killed run left this file (``newtest.files.atomic_path``)."""
    return name.startswith(".") and name.endswith(".part")


def _is_made(path: Path) -> bool:
    known = _known(path)
    return bool(known) and sha256_of(path) in known


def _known(path: Path) -> set[str]:
    """What the list says of a file: the sha256 of each version that newtest wrote."""
    try:
        lines = text_at(path.parent / MADE, "utf-8", errors="surrogateescape").split("\n")
    except (OSError, ValueError):
        return set()
    return {digest for digest, _, name in (line.partition("  ") for line in lines) if name == _listed(path)}


def _note(path: Path, digest: str) -> None:
    if digest in _known(path):
        return
    line = f"{digest}  {_listed(path)}\n".encode("utf-8", "surrogateescape")
    handle = own_descriptor(path.parent / MADE, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, line)  # one write: lines of two runs never mix
    finally:
        os.close(handle)


def _listed(path: Path) -> str:
    return path.name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
