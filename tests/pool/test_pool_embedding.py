"""From a folder of captioned photos to a subset of right pairs, through the encoders."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_photos import SIZE
from watchers import Watcher

from newtest.clip.conse import Conse
from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError
from newtest.pool import embedding
from newtest.pool.embedding import EmbedConfig, EncoderFacts, embed, embeddings_layer, score, scores_layer
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.importing import import_folder, import_tars
from newtest.pool.storage.layer_states import states
from newtest.pool.storage.layers import manifest_of
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, open_pool

# One worker loads the encoder and embeds the photos, for all tests that use them.
pytestmark = pytest.mark.xdist_group("conse")

ENGINE = LocalEngine()
ONE = Resources(workers=1)


@pytest.fixture
def shared(conse: Conse, monkeypatch: pytest.MonkeyPatch) -> Conse:
    """The session's encoder in place of a fresh one for each run."""
    monkeypatch.setattr(embedding, "_encoder", lambda config: conse)
    return conse


@pytest.fixture
def pool(embedded_pool: Path, tmp_path: Path) -> Pool:
    return open_pool(shutil.copytree(embedded_pool, tmp_path / "pool"))


def embedded(pool: Pool) -> dict[str, int]:
    sums = complete(embed(pool, EmbedConfig(batch=16), ENGINE, ONE), len(pool.shards))
    complete(score(pool, EmbedConfig(), ENGINE, 1), len(pool.shards))
    return sums


def test_keeping_half_by_score_keeps_the_right_pairs(pool: Pool, shared: Conse) -> None:
    assert "embedding its images and captions with conse" in (Path(pool.address) / "said.txt").read_text()
    watcher = Watcher()
    subset = run(pool, Recipe(clip_score=True, fraction=0.5), ENGINE, 1, watcher)
    assert "layer scores-" in watcher.said[0]
    assert subset.manifest["inputs"]["layers"]["clip_score"]["encoder"] == "conse"
    assert len(subset) == SIZE // 2
    rows = [row for path in Path(pool.address).glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    right = {row["uid"] for row in rows if int(row["key"]) % 2 == 0}
    kept = {f"{high:016x}{low:016x}" for high, low in subset.uids.tolist()}
    assert len(kept & right) / len(kept) >= 0.9


def test_scores_are_cosines_of_what_the_encoder_says(pool: Pool, shared: Conse) -> None:
    assert embedded(pool) == {"rows": SIZE, "failed": 0, "computed": 0}
    shard = pool.shards[2]
    stored = embeddings_layer(EncoderFacts("conse")).vectors(pool, shard, "image")
    texts = pq.read_table(Path(pool.address) / "00000002.parquet")["text"].to_pylist()
    scores = np.asarray(scores_layer(EncoderFacts("conse")).table(pool, shard)["score"])
    assert np.abs(np.linalg.norm(stored, axis=1) - 1).max() < 1e-3
    assert np.abs(scores - (stored * shared.texts(texts)).sum(1)).max() < 2e-3


def test_a_run_that_stopped_goes_on_and_gives_the_same_bytes(pool: Pool, shared: Conse) -> None:
    layer = embeddings_layer(EncoderFacts("conse"))
    folder = Path(pool.layers_address) / layer.folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    victim = sorted(folder.glob("*.parquet"))[2]
    victim.unlink()
    (folder / "manifest.json").unlink()
    (folder / f".{victim.name}.99.part").write_bytes(b"half")
    assert manifest_of(pool, layer) is None
    assert not next(state for state in states(pool) if state.kind == "embeddings").complete
    assert embedded(pool)["computed"] == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."} == before


def test_a_shard_that_changed_is_computed_again_alone(pool: Pool, shared: Conse) -> None:
    path = Path(pool.address) / "00000002.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "text", pa.array(["something else"] * len(table))), path)
    changed = open_pool(pool.address)
    assert manifest_of(changed, embeddings_layer(EncoderFacts("conse"))) is None
    assert embedded(changed)["computed"] == 1


def test_images_that_are_none_are_rows_with_a_reason(captioned: Path, tmp_path: Path, shared: Conse) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for photo in sorted(captioned.glob("*.JPEG"))[:3]:
        shutil.copy(photo, source)
    whole = next(iter(sorted(source.glob("*.JPEG"))))
    next(import_folder(source, tmp_path / "pool"))
    pool = tmp_path / "pool"
    with tarfile.open(pool / "00000000.tar") as archive:
        members = [(m.name, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    with tarfile.open(pool / "00000000.tar", "w") as archive:
        for number, (name, data) in enumerate(members):
            if name.startswith("000000002"):
                continue
            broken = b"<html>" if number == 0 else data
            member = tarfile.TarInfo(name)
            member.size = len(broken)
            archive.addfile(member, io.BytesIO(broken))
        link = tarfile.TarInfo("000000002.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    opened = open_pool(pool)
    assert embedded(opened)["failed"] == 3
    reasons = embeddings_layer(EncoderFacts("conse")).table(opened, opened.shards[0])["reason"].to_pylist()
    assert reasons == ["not-an-image", "no caption", "no image"]
    assert whole.name.startswith("n01")


def test_a_corrupt_tar_is_named_and_the_others_are_kept(pool: Pool, shared: Conse) -> None:
    tar = Path(pool.address) / "00000001.tar"
    tar.write_bytes(tar.read_bytes()[:100_000])
    broken = open_pool(pool.address)
    with pytest.raises(PoolError, match=r"1 of 3 shards failed, the others are kept.*00000001\.tar"):
        embedded(broken)
    assert manifest_of(broken, embeddings_layer(EncoderFacts("conse"))) is None


def test_tars_without_tables_get_them(data: Path, tmp_path: Path, shared: Conse) -> None:
    for name in ("image1.tar", "image2.tar"):
        shutil.copy(data / "pool" / name, tmp_path)
    with pytest.raises(PoolError, match="import-pool"):
        open_pool(tmp_path)
    done = list(import_tars(tmp_path))
    pool = open_pool(tmp_path)
    assert [pool.rows(shard) for shard in pool.shards] == [shard.rows for shard in done]
    assert sum(shard.rows for shard in done) > 2
    assert embedded(pool)["rows"] == sum(shard.rows for shard in done)
    assert list(import_tars(tmp_path)) == []
