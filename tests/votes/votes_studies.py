"""Small studies for the tests of votes and of sampling."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from newtest.catalog import transaction
from newtest.study import Study

__all__ = ["make_study"]

Pairs = Iterable[tuple[str, str]]


def make_study(
    root: Path,
    candidates: Pairs,
    reference: Pairs = (),
    *,
    name: str = "original",
    no_bytes: Collection[str] = (),
) -> Study:
    """An open study with these (image_id, wnid) pairs and no votes; the bytes of some images are not there."""
    study = Study(root, create=True)
    candidates, reference = list(candidates), list(reference)
    with transaction(study.catalog) as catalog:
        images = {image: "folder" for image, _ in candidates} | {
            image: f"reference:{name}" for image, _ in reference
        }
        catalog.executemany(
            "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)",
            [(image, source, f"{image}.jpg") for image, source in images.items()],
        )
        catalog.executemany(  # the bytes themselves are nowhere: nothing here reads them
            "INSERT INTO files (image_id, state, sha256, num_bytes, attempts, fetched_at)"
            " VALUES (?, 'ok', ?, 1, 1, '2026-11-01T00:00:00Z')",
            [
                (image, hashlib.sha256(image.encode()).hexdigest())
                for image in images
                if image not in no_bytes
            ],
        )
        classes = sorted({wnid for _, wnid in candidates})
        catalog.executemany(
            "INSERT INTO classes VALUES (?, '[]', '', '[]', 'test')", [(wnid,) for wnid in classes]
        )
        catalog.executemany("INSERT INTO candidates VALUES (?, ?)", candidates)
        if reference:
            catalog.execute(
                "INSERT INTO references_ VALUES (?, 'test', 'f', '2026-11-01T00:00:00Z')", (name,)
            )
            catalog.executemany(
                "INSERT INTO reference_members VALUES (?, ?, ?)", [(name, *pair) for pair in reference]
            )
    return study
