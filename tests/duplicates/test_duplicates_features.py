"""Features of networks: EfficientNet-Lite0 with its real weights on real photos, a small timm model from a file."""

from __future__ import annotations

import importlib.util
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from commands import here
from needs import missing
from PIL import Image, ImageOps

from newtest.catalog import pair_searches
from newtest.clip.describer import describer
from newtest.duplicates import DedupRequest, dedup, flags, scan
from newtest.duplicates.features import feature_metric, measure_features
from newtest.errors import NewtestError, UsageError, WeightsError


def test_features_find_what_pixels_do_not(builder, data: Path) -> None:
    photos = [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:8]]
    builder.add_all({f"p{i}": content for i, content in enumerate(photos)})
    turned = ImageOps.mirror(Image.open(BytesIO(photos[0])).convert("RGB")).rotate(6, fillcolor="gray")
    buffer = BytesIO()
    turned.save(buffer, "JPEG")
    builder.add("turned", buffer.getvalue(), reference="val")
    builder.add("broken", b"no picture")
    study, model = builder.study, describer("efficientnet-lite0")
    assert scan(study).new_pairs == {"bytes": 0, "dct144-3": 0}
    assert measure_features(study, model, limit=0.3) == {"pool": 0, "reference:val": 1}
    metric = feature_metric(model)
    row = study.catalog.execute("SELECT * FROM neighbours WHERE metric = ?", (metric,)).fetchone()
    assert (row["image_a"], row["image_b"]) == ("p0", "turned") and 0 < row["distance"] < 0.3
    done = study.catalog.execute(
        "SELECT count(*) FROM compared WHERE metric = ? AND image_id = 'broken'", (metric,)
    )
    assert done.fetchone()[0] == 0
    assert measure_features(study, model, limit=0.3) == {"pool": 0, "reference:val": 0}
    with pytest.raises(UsageError, match=r"0\.\.1"):
        measure_features(study, model, limit=1.5)


def recoloured(photo: bytes, factor: float) -> bytes:
    buffer = BytesIO()
    Image.open(BytesIO(photo)).convert("RGB").point(lambda level: level * factor).save(buffer, "PNG")
    return buffer.getvalue()


def small_model(path: Path, seed: int) -> str:
    """A timm model of 0.4 million random weights in a file, classifier included, and what newtest calls it."""
    if importlib.util.find_spec("timm") is None:
        missing('no timm: pip install "newtest[clip]"')
    import torch

    from newtest.clip.torch_runtime import library

    torch.manual_seed(seed)
    torch.save(library("timm", "timm", "clip").create_model("test_resnet", num_classes=7).state_dict(), path)
    return f"timm:test_resnet@{path}"


def test_a_timm_model_from_a_file_through_the_command(builder, data: Path, tmp_path: Path) -> None:
    """Also: the next plain run goes on with the model, so that a download is not left unreviewed."""
    photos = [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:4]]
    builder.add_all({f"p{i}": content for i, content in enumerate(photos)})
    builder.add("copy", recoloured(photos[0], 0.97), reference="val")
    model = small_model(tmp_path / "small.pt", 0)

    def run(*options: str) -> dict[str, dict[str, object]]:
        done = here("dedup", "--json", "--study", builder.study.root, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first = run("--features", "timm:test_resnet@small.pt", "--features-distance", "1e-3")
    (metric,) = [name for name in first["new_pairs"] if name.startswith("cosine:")]
    assert metric.startswith("cosine:timm:test_resnet@sha256:") and first["new_pairs"][metric] == 1
    assert first["looked_by"][model] == {"limit": 1e-3}
    pair = builder.study.catalog.execute("SELECT * FROM neighbours WHERE metric = ?", (metric,)).fetchone()
    assert (pair["image_a"], pair["image_b"]) == ("copy", "p0") and 0 < pair["distance"] <= 1e-3
    builder.add("late", recoloured(photos[1], 0.97))
    assert "not yet compared" in flags(builder.study).set_index("image_id").loc["late", "reason"]
    assert run()["new_pairs"][metric] == 1
    assert flags(builder.study).set_index("image_id").loc["late", "reason"].startswith("close to p1")
    known = builder.study.catalog.execute(
        "SELECT length(value) FROM hashes WHERE kind = ?", (metric,)
    ).fetchall()
    assert [row[0] for row in known] == [
        4 * 96
    ] * 6  # the pooled features, not the classifier's seven outputs


def test_other_weights_are_another_metric(builder, data: Path, tmp_path: Path) -> None:
    photo = (sorted((data / "images").glob("*.JPEG"))[0]).read_bytes()
    builder.add_all({"a": photo, "b": recoloured(photo, 0.97)})
    study, path = builder.study, tmp_path / "small.pt"
    metrics = []
    for seed in (0, 1):
        model = small_model(path, seed)
        report = dedup(study, DedupRequest(features=model, features_distance=0.01))
        (metric,) = [name for name in report.new_pairs if name.startswith("cosine:")]
        metrics.append(metric)
        assert report.new_pairs[metric] == 1
    assert metrics[0] != metrics[1] and pair_searches.left_out(study.catalog) == [metrics[0]]
    path.unlink()
    with pytest.raises(NewtestError, match=r"no such checkpoint .*`without` timm:test_resnet@"):
        dedup(study, DedupRequest())
    report = dedup(study, DedupRequest(without=(model,)))
    assert [search.name for search in report.looked_by] == ["bytes", "hash"]


def test_features_are_the_models_own_and_pooled(tmp_path: Path, data: Path) -> None:
    import torch

    from newtest.clip.torch_runtime import library

    timm = library("timm", "timm", "clip")
    model = describer(small_model(tmp_path / "small.pt", 3))
    photo = Image.open(sorted((data / "images").glob("*.JPEG"))[0]).convert("RGB")
    prepared = model.prepare(photo)
    assert prepared.shape == (3, 160, 160)  # test_resnet's own size
    torch.manual_seed(3)
    full = timm.create_model("test_resnet", num_classes=7).eval()
    with torch.inference_mode():
        row = full.forward_head(full.forward_features(torch.from_numpy(prepared[None])), pre_logits=True)[
            0
        ].numpy()
    assert np.allclose(model.describe(prepared[None])[0], row / np.linalg.norm(row), atol=1e-6)


def test_weights_that_cannot_be_had_leave_nothing_behind(builder, data: Path, tmp_path: Path) -> None:
    builder.add("a", (sorted((data / "images").glob("*.JPEG"))[0]).read_bytes())
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="the weights cannot be had"):
        dedup(builder.study, DedupRequest(features=f"timm:test_resnet@{tmp_path / 'bad.pt'}"))
    assert set(pair_searches.chosen(builder.study.catalog)) == {"bytes", "hash"}
    assert not flags(builder.study)["unreviewed"].any()


def test_what_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    for name, message in {
        "nothing": "give efficientnet-lite0, timm:NAME",
        "timm:no_such_net": "timm has no model 'no_such_net'",
        "timm:resnet18.no_such_tag": "timm has no weights resnet18.no_such_tag",
        "timm:resnet18@nowhere.pt": "no such checkpoint",
    }.items():
        with pytest.raises(UsageError, match=message):
            assert describer(name).name == "never"
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="it must hold tensors alone"):
        describer(f"timm:test_resnet@{tmp_path / 'bad.pt'}").prepare(Image.new("RGB", (9, 9)))
    small_model(tmp_path / "small.pt", 0)
    with pytest.raises(WeightsError, match="of this very model"):
        describer(f"timm:test_vit@{tmp_path / 'small.pt'}").prepare(Image.new("RGB", (9, 9)))
