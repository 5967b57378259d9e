"""Where WordNet 3.0 is on this machine: the one search for it, for a study's classes and for a pool's captions.

Looked at in turn: the folder named by NEWTEST_WORDNET, those named by NLTK_DATA, the system's, NLTK's usual ones (their
``corpora/wordnet``, unpacked or zipped), at last NLTK's own download. The first place that has the file decides.
"""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from newtest.errors import ClassError
from newtest.files import bytes_of, cache_folder, write_atomic
from newtest.reading.failures import Unreadable
from newtest.reading.zips import opened_zip

__all__ = ["SYSTEM_FOLDERS", "find_wordnet", "wordnet_folder"]

SYSTEM_FOLDERS = (
    Path("/usr/share/wordnet"),
    Path("/usr/share/wordnet/dict"),
    Path("/usr/local/WordNet-3.0/dict"),
)

_VERSION = re.compile(rb"WordNet (\d+\.\d+) Copyright")
_MEND = (
    "install it with: apt-get install wordnet-base, or: python -m nltk.downloader wordnet "
    "(NEWTEST_WORDNET or NLTK_DATA names another folder)"
)


def find_wordnet(
    name: str,
    *,
    system: Sequence[Path] = SYSTEM_FOLDERS,
    download: Callable[[], bool] | None = None,
    more: Sequence[str] = (),
) -> tuple[list[bytes], str]:
    """The bytes of a file of WordNet 3.0 (``data.noun``, ``index.noun``) and of ``more`` beside it; and their place.

    Raises ClassError: none is found and none can be downloaded, a file of ``more`` is not beside it, or the one found
    is not version 3.0 (a wnid's digits are byte offsets of that version alone).
    """
    names = (name, *more)
    for read, place in _candidates(system):
        if (data := read(name)) is not None:
            return _checked(names, data, read, place)
    if (download or _nltk_download)():
        for read, place in _in_nltk(_nltk_path()):
            if (data := read(name)) is not None:
                return _checked(names, data, read, place)
    raise ClassError(f"WordNet 3.0 is not on this machine and could not be downloaded; {_MEND}")


def wordnet_folder(*names: str) -> Path:
    """A folder that holds these files of WordNet 3.0; what lies in NLTK's archive is unpacked into the cache first.

    Raises as ``find_wordnet``.
    """
    found, place = find_wordnet(names[0], more=names[1:])
    if Path(place).parent.is_dir() and not place.endswith(".zip"):
        return Path(place).parent
    folder = cache_folder() / "wordnet-3.0"
    for name, data in zip(names, found, strict=True):
        if not (folder / name).is_file() or (folder / name).stat().st_size != len(data):
            write_atomic(folder / name, data)
    return folder


Read = Callable[[str], bytes | None]
"""A file of a place by its name; None where the place does not have it."""


def _candidates(system: Sequence[Path]) -> Iterator[tuple[Read, str]]:
    if named := os.environ.get("NEWTEST_WORDNET"):
        yield _in_folder(Path(named).expanduser())
    yield from _in_nltk([Path(part) for part in os.environ.get("NLTK_DATA", "").split(os.pathsep) if part])
    for folder in system:
        yield _in_folder(folder)
    yield from _in_nltk(_nltk_path())  # last, because importing NLTK takes a second


def _in_folder(folder: Path) -> tuple[Read, str]:
    def read(name: str) -> bytes | None:
        return bytes_of(folder / name) if (folder / name).is_file() else None

    return read, str(folder)


def _in_nltk(folders: Sequence[Path]) -> Iterator[tuple[Read, str]]:
    for folder in folders:
        yield _in_folder(folder / "corpora" / "wordnet")
        if (archive := folder / "corpora" / "wordnet.zip").is_file():
            yield _in_archive(archive)


def _in_archive(archive: Path) -> tuple[Read, str]:
    def read(name: str) -> bytes | None:
        try:
            with opened_zip(archive) as opened:
                return opened.read(f"wordnet/{name}")
        except (zipfile.BadZipFile, KeyError, Unreadable) as error:
            raise ClassError(
                f"{archive}: not NLTK's WordNet ({error}); delete it and download it again"
            ) from error

    return read, str(archive)


def _checked(names: Sequence[str], data: bytes, read: Read, place: str) -> tuple[list[bytes], str]:
    at = place if place.endswith(".zip") else str(Path(place) / names[0])
    found = _VERSION.search(data[:4096])
    version = found.group(1).decode() if found else "of an unknown version"
    if version != "3.0":
        raise ClassError(
            f"{at}: this is WordNet {version}, whose byte offsets are not the wnids of ImageNet; "
            f"WordNet 3.0 is needed: {_MEND}"
        )
    rest = [read(name) for name in names[1:]]
    for name, more in zip(names[1:], rest, strict=True):
        if more is None:
            raise ClassError(f"{place}: WordNet's {name} is missing there; {_MEND}")
    return [data, *(more for more in rest if more is not None)], at


def _nltk_path() -> list[Path]:
    import nltk.data

    return [Path(folder) for folder in nltk.data.path]


def _nltk_download() -> bool:
    import nltk

    print("WordNet 3.0 is not on this machine; downloading it with NLTK", file=sys.stderr)
    # NLTK prints its errors even when told to be quiet; our sentence says what to do.
    return bool(nltk.download("wordnet", quiet=True, print_error_to=io.StringIO()))
