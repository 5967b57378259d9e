"""Somebody asks that an image be removed: it leaves the study and the next revisions, and the reason is kept."""

from __future__ import annotations

from dataclasses import dataclass

from newtest.catalog.files import Removal, same_bytes, take_down
from newtest.catalog.releases import release_paths, revisions_with
from newtest.errors import NotFoundError
from newtest.study import Study, now

__all__ = ["Takedown", "takedown"]


@dataclass(frozen=True)
class Takedown:
    """What was removed, and where it still is: a release is never changed, so its makers must withdraw it."""

    image_ids: tuple[str, ...]
    files_removed: int
    revisions: tuple[str, ...]
    releases: tuple[str, ...]


def takedown(study: Study, image: str, *, reason: str, by: str) -> Takedown:
    """Remove an image (by image_id, or the sha256 of its bytes) and all with the same bytes from a study.

    Its bytes and thumbnail are deleted, it is blocked in every class and never fetched again, nor are the same bytes
    under another id; votes about it stay, as numbers. Doing it twice does no harm. Raises UsageError when the study
    has no such image.
    """
    with study.exclusive("fetch"):
        ids, hashes = same_bytes(study.catalog, image)
        if not ids:
            raise NotFoundError(
                f"{study.root} has no image {image!r}; wanted is an image_id or the sha256 of its bytes"
            )
        # The bytes first: killed in between, the catalog still names what the next try has to delete.
        for sha256 in hashes:
            study.image_path(sha256).unlink(missing_ok=True)
            for small in study.thumbnail_path(sha256).parent.glob(f"{sha256}*"):  # of every size
                small.unlink(missing_ok=True)
        take_down(study.catalog, ids, hashes, Removal(reason, by, now()))
    revisions = revisions_with(study.catalog, ids)
    return Takedown(tuple(ids), len(hashes), tuple(revisions), tuple(release_paths(study.catalog, ids)))
