"""A pool of the shared photos: right captions for one half, another photo's for the other half."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shared_encoders import conse_once

from newtest.clip.conse import Conse
from newtest.engines import LocalEngine
from newtest.pool import embedding
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.importing import import_folder
from newtest.pool.storage.pool import open_pool

SIZE = 64  # photos; each costs a classifier's forward pass


@pytest.fixture(scope="session")
def conse() -> Conse:
    """One encoder for the session."""
    return conse_once()


@pytest.fixture(scope="session")
def captioned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, each with a caption; every second caption belongs to another photo."""
    folder = tmp_path_factory.mktemp("captioned")
    described = json.loads((data / "imagenetv2" / "metadata" / "class_info.json").read_text())
    lemma = {row["wnid"]: row["synset"][0] for row in described}
    photos = sorted((data / "images").glob("*.JPEG"))[:SIZE]
    names = [lemma[photo.name.split("_")[0]] for photo in photos]
    for number, photo in enumerate(photos):
        (folder / photo.name).symlink_to(photo)
        right = number % 2 == 0
        name = names[number] if right else names[(number + SIZE // 2) % SIZE]
        (folder / photo.name).with_suffix(".txt").write_text(f"a photo of a {name}")
    return folder


@pytest.fixture(scope="session")
def photo_pool(captioned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of 30, 30 and 4 photos."""
    pool = tmp_path_factory.mktemp("photos")
    assert sum(shard.rows for shard in import_folder(captioned, pool, shard_rows=30)) == SIZE
    return pool


@pytest.fixture(scope="session")
def embedded_pool(photo_pool: Path, conse: Conse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, embedded and scored by the first filter that wanted scores; ``said.txt`` holds what that said."""
    folder = shutil.copytree(photo_pool, tmp_path_factory.mktemp("embedded") / "pool")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "_encoder", lambda config: conse)
        run(open_pool(folder), Recipe(clip_score=True, fraction=0.5), LocalEngine(), 1, said.append)
    (folder / "said.txt").write_text("\n".join(said))
    return Path(folder)
