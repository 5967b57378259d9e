"""Pools of real captions and photos, a bucket, and a disk that is soon full."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pool_disk import SIZE as DISK_SIZE
from pool_disk import SmallDisk
from pool_photos import SIZE
from pool_s3 import forget_the_last_server
from pool_tables import pool_table
from shared_encoders import conse_once
from watchers import Watcher

from newtest.clip.conse import Conse
from newtest.engines import LocalEngine
from newtest.pool import embedding
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.importing import import_folder
from newtest.pool.storage.pool import open_pool


@pytest.fixture(scope="session")
def captions(data: Path) -> list[str]:
    """The 10,000 real captions."""
    texts = pq.read_table(data / "pool" / "urls_captions_10000.parquet")["TEXT"].to_pylist()
    return [text or "" for text in texts]


@pytest.fixture(scope="session")
def datacomp(captions: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 shards of 2,000, 1,500 and 1 rows."""
    folder = tmp_path_factory.mktemp("datacomp")
    start = 0
    for number, rows in enumerate((2000, 1500, 1)):
        pq.write_table(
            pool_table(captions, start, rows), folder / f"{number:08d}.parquet", row_group_size=700
        )
        start += rows
    return folder


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
    watcher = Watcher()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "_encoder", lambda config: conse)
        run(open_pool(folder), Recipe(clip_score=True, fraction=0.5), LocalEngine(), 1, watcher)
    (folder / "said.txt").write_text("\n".join(watcher.said))
    return Path(folder)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 bucket on loopback, for as long as this module's tests run."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        forget_the_last_server()
        # moto keeps buckets for as long as the process lives, whatever server they were made by.
        urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
        boto3.client("s3").create_bucket(Bucket="newtest-pools")
        yield "s3://newtest-pools"
        server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    yield SmallDisk(folder, mounted)
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
