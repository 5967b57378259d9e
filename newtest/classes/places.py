"""Where WordNet 3.0's ``data.noun`` is: NLTK's data, the system's folder, or NLTK's download on first use."""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from newtest.errors import ClassError

__all__ = ["SYSTEM_FOLDERS", "find_data_noun"]

SYSTEM_FOLDERS = (
    Path("/usr/share/wordnet"),
    Path("/usr/share/wordnet/dict"),
    Path("/usr/local/WordNet-3.0/dict"),
)

_VERSION = re.compile(rb"WordNet (\d+\.\d+) Copyright")
_MEND = (
    "install it with: apt-get install wordnet-base, or: python -m nltk.downloader wordnet "
    "(NLTK_DATA names another folder)"
)


def find_data_noun(
    system: Sequence[Path] = SYSTEM_FOLDERS, download: Callable[[], bool] | None = None
) -> tuple[bytes, str]:
    """The bytes of ``data.noun`` of WordNet 3.0, and the place they came from.

    The first place that has a WordNet decides: folders named by NLTK_DATA, the system's, NLTK's usual ones (their
    ``corpora/wordnet``, unpacked or zipped), at last NLTK's own download. Raises ClassError: none is found and none
    can be downloaded, or the one found is not version 3.0 (a wnid's digits are byte offsets of that version alone).
    """
    named = [Path(part) for part in os.environ.get("NLTK_DATA", "").split(os.pathsep) if part]
    for data, place in _candidates(named, system):
        return _checked(data, place), place
    if (download or _nltk_download)():
        for data, place in _in_nltk(_nltk_path()):
            return _checked(data, place), place
    raise ClassError(f"WordNet 3.0 is not on this machine and could not be downloaded; {_MEND}")


def _candidates(named: Sequence[Path], system: Sequence[Path]) -> Iterator[tuple[bytes, str]]:
    yield from _in_nltk(named)
    for folder in system:
        if (file := folder / "data.noun").is_file():
            yield file.read_bytes(), str(file)
    yield from _in_nltk(_nltk_path())  # last, because importing NLTK takes a second


def _in_nltk(folders: Sequence[Path]) -> Iterator[tuple[bytes, str]]:
    for folder in folders:
        corpora = folder / "corpora"
        if (file := corpora / "wordnet" / "data.noun").is_file():
            yield file.read_bytes(), str(file)
        if (archive := corpora / "wordnet.zip").is_file():
            try:
                with zipfile.ZipFile(archive) as opened:
                    yield opened.read("wordnet/data.noun"), str(archive)
            except (zipfile.BadZipFile, KeyError) as error:
                raise ClassError(
                    f"{archive}: not NLTK's WordNet ({error}); delete it and download it again"
                ) from error


def _checked(data: bytes, place: str) -> bytes:
    found = _VERSION.search(data[:4096])
    version = found.group(1).decode() if found else "of an unknown version"
    if version != "3.0":
        raise ClassError(
            f"{place}: this is WordNet {version}, whose byte offsets are not the wnids of ImageNet; "
            f"WordNet 3.0 is needed: {_MEND}"
        )
    return data


def _nltk_path() -> list[Path]:
    import nltk.data

    return [Path(folder) for folder in nltk.data.path]


def _nltk_download() -> bool:
    import nltk

    print("WordNet 3.0 is not on this machine; downloading it with NLTK", file=sys.stderr)
    # NLTK prints its errors even when told to be quiet; our sentence says what to do.
    return bool(nltk.download("wordnet", quiet=True, print_error_to=io.StringIO()))
