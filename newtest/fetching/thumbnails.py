"""What people are shown of images: small upright JPEGs, made from the bytes, made again when they are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from newtest.errors import ImageError
from newtest.fetching.store import Store
from newtest.files import bytes_of, write_atomic
from newtest.images import thumbnail
from newtest.progress import UNWATCHED, Progress
from newtest.study import Study

__all__ = ["SIDE", "make_thumbnails", "thumbnail_of"]

SIDE = 320
"""The longer side of a thumbnail, in pixels."""


def thumbnail_of(study: Study, sha256: str, *, side: int = SIDE) -> Path:
    """The thumbnail of stored bytes, made now if it is not there. Raises ImageError, and OSError without bytes."""
    path = study.thumbnail_path(sha256)
    if not path.exists():
        write_atomic(path, thumbnail(bytes_of(study.image_path(sha256)), side))
    return path


def make_thumbnails(
    study: Study, store: Store, hashes: Sequence[str], *, progress: Progress = UNWATCHED
) -> dict[str, ImageError]:
    """Make the thumbnails that are missing, in threads; gives what cannot be shown, by sha256. Raises OSError."""

    def make(sha256: str) -> ImageError | None:
        try:
            store.put_thumbnail(sha256, thumbnail(bytes_of(study.image_path(sha256)), SIDE))
        except ImageError as error:
            return error
        return None

    bad: dict[str, ImageError] = {}
    missing = [sha256 for sha256 in hashes if not study.thumbnail_path(sha256).exists()]
    for sha256, error in _in_threads(make, iter(missing)):
        if error is not None:
            bad[sha256] = error
        progress.advance("thumbnails", 1, len(missing))
    return bad


def _in_threads(
    work: Callable[[str], ImageError | None], items: Iterator[str]
) -> Iterator[tuple[str, ImageError | None]]:
    """``work`` of each item, as they end; never more than a few ahead, so that the first error ends it soon."""
    ahead = 4 * (os.cpu_count() or 1)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="thumbnail") as threads:
        running: dict[Future[ImageError | None], str] = {}
        for item in items:
            running[threads.submit(work, item)] = item
            if len(running) >= ahead:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        for future, item in running.items():
            yield item, future.result()
