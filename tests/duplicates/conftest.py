"""A study with real bytes, put together by SQL so that these tests need no downloader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from newtest.catalog import transaction
from newtest.study import Study


class StudyBuilder:
    """Adds images with given bytes to a study, as candidates or as members of a reference set."""

    def __init__(self, study: Study) -> None:
        self.study = study
        study.catalog.execute(
            "INSERT INTO classes VALUES ('n01443537', '[\"goldfish\"]', '', '[]', 'wordnet-3.0')"
        )

    def add(
        self, image_id: str, content: bytes | None, *, reference: str | None = None, url: str | None = None
    ) -> None:
        catalog = self.study.catalog
        with transaction(catalog):
            catalog.execute(
                "INSERT INTO images (image_id, source, source_id, url) VALUES (?, ?, ?, ?)",
                (image_id, f"reference:{reference}" if reference else "folder", image_id, url),
            )
            if reference:
                catalog.execute(
                    "INSERT OR IGNORE INTO references_ VALUES (?, 'test', 'f', '2026-01-01')", (reference,)
                )
                catalog.execute(
                    "INSERT INTO reference_members VALUES (?, ?, 'n01443537')", (reference, image_id)
                )
            else:
                catalog.execute("INSERT INTO candidates VALUES (?, 'n01443537')", (image_id,))
            if content is not None:
                self._keep(image_id, content)

    def add_all(self, images: Mapping[str, bytes], *, reference: str | None = None) -> None:
        for image_id, content in images.items():
            self.add(image_id, content, reference=reference)

    def _keep(self, image_id: str, content: bytes) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.study.image_path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.study.catalog.execute(
            "INSERT INTO files (image_id, state, sha256, attempts, fetched_at) VALUES (?, 'ok', ?, 1, '2026-01-01')",
            (image_id, sha256),
        )


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[StudyBuilder]:
    with Study(tmp_path / "study", create=True) as study:
        yield StudyBuilder(study)
