"""A test set's images, resized and compressed, planted in a pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.clip.conse import Conse
from newtest.errors import PoolError, UsageError
from newtest.pool.dedup import target_sets as module
from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.target_sets import set_images
from newtest.pool.importing import import_folder
from newtest.pool.storage.pool import Pool, open_pool

# One worker loads the encoder and embeds the photos, for all tests that use them.
pytestmark = pytest.mark.xdist_group("conse")


@pytest.fixture(scope="module")
def sets(captioned: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Changed copies of the pool's photos 5, 15 and 25; and four photos that are not in it, in a tar."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "seen").mkdir()
    for number in (5, 15, 25):
        image = PIL.Image.open(sorted(captioned.glob("*.JPEG"))[number]).convert("RGB")
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(
            folder / "seen" / f"{number}.jpg", quality=70
        )
    (folder / "seen" / "broken.jpg").write_bytes(b"?")
    fresh = folder / "fresh"
    fresh.mkdir()
    for path in sorted((data / "images").glob("*.JPEG"))[-4:]:
        (fresh / path.name).write_bytes(path.read_bytes())
    next(import_folder(fresh, folder / "tars"))
    return str(folder / "seen"), str(folder / "tars")


@pytest.mark.parametrize("method", ["exact", "hash"])
def test_what_is_in_a_test_set_goes_and_its_pairs_are_kept(
    method: str, embedded_pool: Path, sets: tuple[str, str], conse: Conse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "encoder", lambda name, **more: conse)
    pool = open_pool(embedded_pool)
    config = DecontaminateConfig(method, threshold=0.85)  # type: ignore[arg-type]
    found = decontaminate(pool, sets, config)
    manifest = found.subset.manifest
    assert (manifest["rows_read"], manifest["rows_removed"], manifest["rows_not_compared"]) == (64, 3, 0)
    assert manifest["sets"][sets[0]]["images_found"] == 3
    assert manifest["sets"][sets[0]]["unreadable"] == 1
    assert manifest["sets"][sets[1]] == {
        "images": 4, "unreadable": 0, "pairs": 0, "rows_removed": 0, "images_found": 0,
    }  # fmt: skip
    key_of = {row["uid"]: int(row["key"]) for row in _rows(pool)}
    pairs = {(key_of[row["uid"]], row["image"]) for row in found.pairs.to_pylist()}
    assert pairs == {(5, "5.jpg"), (15, "15.jpg"), (25, "25.jpg")}


def test_hashes_find_mirrored_and_cropped_copies(captioned: Path, tmp_path: Path) -> None:
    photos, copies = sorted(captioned.glob("*.JPEG"))[:6], tmp_path / "copies"
    (tmp_path / "source").mkdir()
    copies.mkdir()
    for path in photos:
        (tmp_path / "source" / path.name).write_bytes(path.read_bytes())
    mirrored, cropped = (PIL.Image.open(path).convert("RGB") for path in photos[:2])
    PIL.ImageOps.mirror(mirrored).save(copies / "mirrored.png")
    width, height = cropped.size
    cropped = cropped.crop((width // 40, height // 40, width - width // 40, height - height // 40))
    cropped.save(copies / "cropped.jpg", quality=80)
    list(import_folder(tmp_path / "source", tmp_path / "pool"))
    found = decontaminate(open_pool(tmp_path / "pool"), [str(copies)], DecontaminateConfig("hash"))
    assert {Path(row["image"]).name for row in found.pairs.to_pylist()} == {"mirrored.png", "cropped.jpg"}
    assert len(found.subset.uids) == 4


def test_a_set_of_which_nothing_can_be_read_makes_no_pool_clean(captioned: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.jpg").write_bytes(min(captioned.glob("*.JPEG")).read_bytes())
    list(import_folder(tmp_path / "source", tmp_path / "pool"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.jpg").write_bytes(b"?")
    with pytest.raises(PoolError, match="none of its 1 images could be read"):
        decontaminate(open_pool(tmp_path / "pool"), [str(tmp_path / "broken")], DecontaminateConfig("hash"))


def test_sets_of_vectors_need_no_encoder(tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float16)
    pq.write_table(pa.table({"uid": [f"{row:032x}" for row in range(4)]}), tmp_path / "0.parquet")
    np.savez(tmp_path / "0.npz", l14_img=vectors)
    np.save(tmp_path / "set.npy", vectors[2:3].astype(np.float32) * 5)
    np.save(tmp_path / "narrow.npy", np.eye(3))
    pool = open_pool(tmp_path)
    found = decontaminate(pool, [str(tmp_path / "set.npy")], DecontaminateConfig())
    assert found.subset.uids.tolist() == [(0, 0), (0, 1), (0, 3)]
    with pytest.raises(PoolError, match="cannot be compared"):
        decontaminate(pool, [str(tmp_path / "narrow.npy")], DecontaminateConfig())
    with pytest.raises(UsageError, match=r"an \.npy of the same encoder"):
        decontaminate(pool, [str(tmp_path)], DecontaminateConfig())
    with pytest.raises(UsageError, match="`against`"):
        decontaminate(pool, [], DecontaminateConfig())


def test_a_set_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="no images here"):
        list(set_images(str(tmp_path)))


def _rows(pool: Pool) -> list[dict[str, object]]:
    return [
        row
        for shard in pool.shards
        for row in pq.read_table(Path(pool.address) / shard.table.name).to_pylist()
    ]
