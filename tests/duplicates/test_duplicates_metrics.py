"""Pixel distances, their exact join, and the published tables and figures."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from newtest.duplicates import flags, measure_dssim, measure_l2, scan
from newtest.duplicates.components import components, photo_key, removals, same_photo_pairs
from newtest.duplicates.metrics import DSSIM_CLOSE, L2_CLOSE, cells, dssim, l2_proposals, picture, squared_l2
from newtest.duplicates.published import near_duplicate_pairs, neighbour_distances, reviewed_pairs
from newtest.errors import ConfigError


@pytest.fixture(scope="module")
def pictures(data: Path) -> np.ndarray:
    return np.stack([picture(path) for path in sorted((data / "images").glob("*.JPEG"))[:40]])


def test_dssim_of_two_flat_pictures_has_a_closed_form() -> None:
    a, b = (np.full((256, 256, 3), level, np.uint8) for level in (100, 140))
    c1 = (0.01 * 255) ** 2
    assert dssim(a, a) == pytest.approx(0, abs=1e-12)
    assert dssim(a, b) == pytest.approx((1 - (2 * 100 * 140 + c1) / (100**2 + 140**2 + c1)) / 2)


def test_dssim_by_hand_in_one_window() -> None:
    """The centre window of SSIM, summed by hand, equals a picture that is that window everywhere."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (35, 35), dtype=np.uint8)
    noisy = np.clip(tile + rng.normal(0, 20, tile.shape), 0, 255).astype(np.uint8)
    a, b = (np.tile(t, (8, 8))[:256, :256, None].repeat(3, axis=2) for t in (tile, noisy))
    x, y = tile.astype(float), noisy.astype(float)
    covariance = np.cov(x.ravel(), y.ravel())
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * x.mean() * y.mean() + c1) * (2 * covariance[0, 1] + c2)
    ssim /= (x.mean() ** 2 + y.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)
    assert dssim(a, b) == pytest.approx((1 - ssim) / 2, abs=1e-9)  # every window holds the whole tile


def test_strangers_are_far_and_copies_near(pictures: np.ndarray) -> None:
    brighter = np.asarray(ImageEnhance.Brightness(Image.fromarray(pictures[0])).enhance(1.1))
    assert squared_l2(pictures[0], brighter) < L2_CLOSE and dssim(pictures[0], brighter) < DSSIM_CLOSE
    assert squared_l2(pictures[0], pictures[1]) > L2_CLOSE and dssim(pictures[0], pictures[1]) > DSSIM_CLOSE


@pytest.mark.parametrize("limit", [1e8, 5e8, 9e8])
def test_l2_proposals_miss_nothing(pictures: np.ndarray, limit: float) -> None:
    rng = np.random.default_rng(1)
    noisy = np.clip(pictures + rng.normal(0, 15, pictures.shape), 0, 255).astype(np.uint8)
    left, right = (np.stack([cells(p) for p in side]) for side in (pictures, noisy))
    true = {(i, j) for i, a in enumerate(pictures) for j, b in enumerate(noisy) if squared_l2(a, b) <= limit}
    proposed = set(zip(*(x.tolist() for x in l2_proposals(left, right, limit)), strict=True))
    assert len(true) >= len(pictures) and true <= proposed
    assert limit > 2e8 or len(proposed) < 5 * len(true)


def test_pixel_metrics_in_a_study(builder, data: Path) -> None:
    photos = [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:6]]
    builder.add_all({f"p{i}": content for i, content in enumerate(photos)})
    original = Image.open(BytesIO(photos[0])).convert("RGB")
    for name, image in {
        "bright": ImageEnhance.Brightness(original).enhance(1.1),
        "mirror": ImageOps.mirror(original),
    }.items():
        buffer = BytesIO()
        image.save(buffer, "JPEG")
        builder.add(name, buffer.getvalue(), reference="val" if name == "mirror" else None)
    study = builder.study
    assert measure_l2(study) == {"pool": 1, "reference:val": 0}
    scan(study)
    assert measure_dssim(study) == {
        "measured": 3,
        "close": 1,
    }  # of three proposed pairs: the mirrored ones are not
    assert measure_dssim(study) == {"measured": 0, "close": 0}
    assert measure_dssim(study, classes=["n01443537"])["measured"] == 28
    found = pd.read_sql("SELECT metric, count(*) AS n FROM neighbours GROUP BY metric", study.catalog)
    assert found.set_index("metric")["n"].to_dict() == {"dct144-3": 3, "dssim-35": 3, "l2-256": 1}
    waiting = flags(study, thresholds={"dct144-3": -1, "dssim-35": DSSIM_CLOSE}).query("unreviewed")
    assert waiting["image_id"].tolist() == ["bright", "p0"]


def test_published_components(data: Path) -> None:
    pairs = near_duplicate_pairs(data / "imagenetv2" / "metadata" / "near_duplicates.json")
    nodes = pd.Index(sorted({*pairs["image_a"], *pairs["image_b"]}))
    sizes = np.bincount(components(nodes, pairs))
    assert (len(nodes), len(sizes), sizes.max()) == (17_916, 4_444, 396)


def test_published_distances_and_reviews(data: Path) -> None:
    folder = data / "imagenetv2" / "metadata"
    near = neighbour_distances(folder / "nearest_neighbor_results_test.json")
    assert near["image_id"].nunique() == 5 and set(near["metric"]) == {"l2", "fc7", "dssim"}
    assert near.groupby(["image_id", "metric"])["distance"].apply(lambda d: d.is_monotonic_increasing).all()
    assert (near["neighbour"] != near["image_id"]).all()
    pair = near.query(
        "metric == 'l2' and image_id.str.startswith('1582') and neighbour.str.startswith('3572')"
    )
    assert pair["distance"].item() == pytest.approx(30403.6487448464**2)
    both = near.merge(
        near, left_on=["image_id", "neighbour", "metric"], right_on=["neighbour", "image_id", "metric"]
    )
    assert len(both) > 0 and np.allclose(
        both["distance_x"], both["distance_y"]
    )  # a distance is the same both ways
    limits = near["metric"].map({"l2": 1.2e8, "fc7": 1.32e4, "dssim": DSSIM_CLOSE})
    assert not (
        near["distance"] < limits
    ).any()  # the published coverage rule would let all five goldfish through
    assert len(reviewed_pairs(folder / "nearest_neighbor_reviews_v2.json")) > 1000


def test_broken_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        near_duplicate_pairs(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("[")
    with pytest.raises(ConfigError, match="not valid JSON"):
        near_duplicate_pairs(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ConfigError, match="object"):
        near_duplicate_pairs(tmp_path / "a.json")


FACTS = {
    "candidate": True,
    "reference": False,
    "blocked": False,
    "sampled": False,
    "num_shown": 10,
    "pixels": 100,
}


def images(**changes: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{"image_id": name, **FACTS, **change} for name, change in sorted(changes.items())])


CHAIN = pd.DataFrame({"image_a": ["a", "b"], "image_b": ["b", "c"]})


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, "a"),
        ({"c": {"pixels": 200}}, "c"),
        ({"b": {"num_shown": 20}, "c": {"pixels": 200}}, "b"),
        ({"a": {"sampled": True}, "b": {"num_shown": 20}}, "a"),
        ({"a": {"sampled": True, "blocked": True}, "b": {"num_shown": 20}}, "b"),
    ],
)
def test_exactly_one_stays_by_the_stated_rule(change: dict[str, dict[str, object]], kept: str) -> None:
    table = images(**{name: change.get(name, {}) for name in "abcd"})
    gone = removals(table, CHAIN)
    assert sorted(gone.index) == sorted(set("abc") - {kept})
    assert set(gone) == {f"duplicate of {kept}"}


def test_a_component_that_touches_a_reference_goes_whole() -> None:
    table = images(a={}, b={}, c={"reference": True, "candidate": False}, d={"reference": True}, e={})
    gone = removals(table, CHAIN)
    assert gone.to_dict() == {
        "a": "duplicate of c, which is in a reference set",
        "b": "duplicate of c, which is in a reference set",
        "d": "is itself in a reference set",
    }


def test_records_of_one_photo_are_known_by_its_number() -> None:
    table = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d", "e"],
            "url": ["https://live.staticflickr.com/1/123_a.jpg", None, "https://x.org/1", "https://x.org/1", None],
            "page_url": [None, "https://www.flickr.com/photos/someone/123/", None, None, None],
        }
    )  # fmt: skip
    assert same_photo_pairs(table).to_numpy().tolist() == [["a", "b"], ["c", "d"]]
    assert photo_key(None, None) is None
