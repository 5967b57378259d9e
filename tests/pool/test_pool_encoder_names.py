"""A layer is found by the name of its encoder: a checkpoint's by its bytes, whatever rule or precision made it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from pool_tiny_model import tiny_model
from servers.images import made_photo

from newtest.clip.torch_runtime import library
from newtest.errors import PoolError
from newtest.pool.embedding import RULE, EncoderFacts, embeddings_layer
from newtest.pool.storage.layers import Layer, describe, settle
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.score_columns import score_source
from newtest.pool.storage.vectors import vector_source


def told(*typed: str) -> dict[str, Any]:
    done = invoke([*typed, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, (typed, done.output)
    return dict(json.loads(done.stdout))


def test_a_checkpoint_names_its_layer_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    photos = [made_photo(0), made_photo(1), made_photo(0)]
    pq.write_table(
        pa.table({"key": list("abc"), "jpg": photos, "text": ["one", "two", "one"]}),
        tmp_path / "pool/0.parquet",
    )
    (tmp_path / "set").mkdir()
    (tmp_path / "set/0.jpg").write_bytes(photos[0])
    pool, out = str(tmp_path / "pool"), ("--out", str(tmp_path / "out.npy"))
    model = tiny_model(tmp_path)
    told("embed-pool", pool, "--model", model, "--precision", "bfloat16")
    config, _, file = model.partition("@")
    moved = f"{config}@{shutil.copy(file, tmp_path / 'moved.safetensors')}"
    layer_of(open_pool(pool), "another", np.eye(3, dtype=np.float32))
    for name in (model, moved):
        found = told("dedup-pool", pool, "--model", name, "--method", "exact", "--threshold", "0.999", *out)
        assert found["dedup"]["vectors"].endswith("/bfloat16)") and found["rows_not_compared"] == 0
        assert found["rows_removed"] >= 1, "the model's weights are random, and much looks alike to it"
        against = ("--against", str(tmp_path / "set"), "--threshold", "0.99")
        assert told("decontaminate-pool", pool, *against, "--model", name, *out)["rows_removed"] >= 2
        kept = told("filter-pool", pool, "--clip-score", "--fraction", "1", "--model", name, *out)
        assert kept["rows_kept"] == 3
    assert {path.name.split("-")[0] for path in (tmp_path / "pool/__newtest/layers").iterdir()} <= {
        "embeddings", "scores", "hashes"
    }, "nothing was computed again under another name"  # fmt: skip
    assert len(list((tmp_path / "pool/__newtest/layers").glob("scores-*"))) == 1


def layer_of(pool: Pool, name: str, vectors: np.ndarray, rule: int = RULE, kind: str = "embeddings") -> Layer:
    layer = Layer(kind, {"encoder": name, "rule": rule})
    assert (
        rule != RULE
        or kind != "embeddings"
        or layer.config["encoder"] == embeddings_layer(EncoderFacts(name)).config["encoder"]
    )
    describe(pool, layer)
    rows = vectors.astype(np.float16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    columns = {"score": pa.array(vectors[:, 0])} if kind == "scores" else {"image": column, "text": column}
    with pool.layers.writing(layer.file(pool, pool.shards[0])) as path:
        pq.write_table(pa.table({**columns, "reason": pa.nulls(len(rows), pa.string())}), path)
    settle(pool, layer)
    return layer


def test_layers_of_one_encoder_by_two_rules_are_one_encoder(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uid": [f"{k:032x}" for k in range(3)]}), tmp_path / "0.parquet")
    pool, vectors = open_pool(tmp_path), np.eye(3, dtype=np.float32)
    for kind in ("embeddings", "scores"):
        for rule in (4, 2, 3):
            layer_of(pool, "ViT-B-32/openai", vectors, rule, kind)
    source = vector_source(pool)
    assert source.layer is not None and source.layer.config["rule"] == 4
    assert source.said.endswith("(ViT-B-32/openai, the newest of 3)")
    scores = score_source(pool, None)
    assert scores is not None and scores.layers["clip_score"][0].config["rule"] == 4
    assert scores.said.endswith("(ViT-B-32/openai, the newest of 3)")
    layer_of(pool, "ViT-B-32/openai/bfloat16", vectors, 4)
    with pytest.raises(
        PoolError, match=r"several encoders are there \(ViT-B-32/openai, ViT-B-32/openai/bfloat16\)"
    ):
        vector_source(pool)
    named = vector_source(pool, "ViT-B-32/openai").layer
    assert named is not None and named.config["encoder"] == "ViT-B-32/openai", "the very name comes first"
    (tmp_path / "halves").mkdir()
    pq.write_table(pa.table({"uid": ["0" * 32]}), tmp_path / "halves/0.parquet")
    halves = open_pool(tmp_path / "halves")
    layer_of(halves, "ViT-B-32/openai/bfloat16", vectors[:1], 4)
    found = vector_source(halves, "ViT-B-32/openai").layer
    assert found is not None and found.config["encoder"].endswith("/bfloat16")


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``MODEL@FILE`` of a model with two published tags, which another preprocessing each was made for."""
    config, _, file = tiny_model(tmp_path).partition("@")
    published = library("open_clip.pretrained", "open_clip_torch", "clip")._PRETRAINED
    plain = {"file": file, "mean": None, "std": None, "interpolation": "bicubic", "resize_mode": "shortest"}
    own = {"plain": plain, "squashed": {**plain, "resize_mode": "squash", "interpolation": "bilinear"}}
    monkeypatch.setitem(published, Path(config).stem, own)
    return f"{Path(config).stem}@{file}"


def test_vectors_of_other_pictures_are_other_layers(tmp_path: Path, checkpoint: str) -> None:
    """One checkpoint as three encoders: each has its layers, and every command takes ``--like`` for the same one."""
    (tmp_path / "pool").mkdir()
    photos = [made_photo(0), made_photo(1)]
    pq.write_table(
        pa.table({"key": ["a", "b"], "jpg": photos, "text": ["a red dog", "two"]}),
        tmp_path / "pool/0.parquet",
    )
    pool, out = str(tmp_path / "pool"), ("--out", str(tmp_path / "out.npy"))
    model, _, file = checkpoint.partition("@")
    told_of = [
        told("embed-pool", pool, "--model", checkpoint, *more)
        for more in (("--like", "squashed"), ("--like", "plain"), ())
    ]
    names = [one["encoder"].partition("@")[0] for one in told_of]
    assert names == [f"{model}/squashed", f"{model}/plain", f"{model}/default"]
    assert len({one["layers"]["embeddings"] for one in told_of}) == 3
    same = told("embed-pool", pool, "--model", f"open_clip:{model}/squashed@{file}")
    assert same["encoder"] == told_of[0]["encoder"] and not same["computed"]
    folder = tmp_path / "pool/__newtest/layers"
    vectors = [
        pq.read_table(next((folder / one["layers"]["embeddings"]).glob("*.parquet")))["image"].to_pylist()
        for one in told_of
    ]
    assert vectors[0] != vectors[1]
    there = sorted(path.name for path in folder.iterdir())
    like = ("--model", checkpoint, "--like", "squashed")
    dealt = told("dedup-pool", pool, *like, "--method", "exact", *out)
    assert told_of[0]["layers"]["embeddings"] in dealt["dedup"]["vectors"]
    kept = told("filter-pool", pool, "--clip-score", "--fraction", "1", *like, *out)
    assert told_of[0]["layers"]["scores"] in json.dumps(kept) or kept["rows_kept"] == 2
    (tmp_path / "set").mkdir()
    (tmp_path / "set/0.jpg").write_bytes(photos[0])
    clean = told("decontaminate-pool", pool, "--against", str(tmp_path / "set"), *like, *out)
    assert clean["rows_removed"] >= 1
    assert sorted(path.name for path in folder.iterdir()) == there, "nothing was embedded again"
    found = ("--out", str(tmp_path / "found.csv"), "--wnid", "n02084071", "--best")
    assert told("search-pool", pool, *like, *found)["candidates"] == 1
    assert len(list(folder.glob("definitions-*"))) == 1


def test_another_version_of_open_clip_makes_another_layer(
    tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag that prepares its pictures in another way keeps its name, and its vectors are never mixed."""
    (tmp_path / "pool").mkdir()
    table = pa.table({"key": ["a"], "jpg": [made_photo(0)], "text": ["one"]})
    pq.write_table(table, tmp_path / "pool/0.parquet")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/0.jpg").write_bytes(made_photo(0))
    pool, like = str(tmp_path / "pool"), ("--model", checkpoint, "--like", "squashed")
    before = told("embed-pool", pool, *like)
    published = library("open_clip.pretrained", "open_clip_torch", "clip")._PRETRAINED
    monkeypatch.setitem(published[checkpoint.partition("@")[0]]["squashed"], "resize_mode", "longest")
    against = ("decontaminate-pool", pool, "--against", str(tmp_path / "set"), *like)
    out = ("--out", str(tmp_path / "out.npy"))
    refused = invoke([*against, *out])
    assert "prepared" in str(refused.exception) and "run 'newtest embed-pool' again" in str(refused.exception)
    after = told("embed-pool", pool, *like)
    assert after["encoder"] == before["encoder"] and after["layers"] != before["layers"]
    assert after["computed"] == 1
    refused = invoke([*against, *out])
    assert "prepared in different ways; remove the one that is not meant" in str(refused.exception)
    shutil.rmtree(tmp_path / "pool/__newtest/layers" / before["layers"]["embeddings"])
    assert told(*against, *out)["rows_removed"] == 1


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("embed-pool", ".", "--like", "openai"), "conse has its own weights"),
        (("embed-pool", ".", "--model", "ViT-B-32/openai", "--like", "openai"), "names the tag whose"),
        (("dedup-pool", ".", "--like", "openai"), "`like` goes with `model`"),
        (("search-pool", ".", "--wnid", "n02084071", "--like", "openai"), "conse has its own weights"),
    ],
)
def test_a_tag_without_a_checkpoint_is_refused(typed: tuple[str, ...], message: str) -> None:
    assert message in str(invoke([*typed]).exception)
