"""The published revisions of ImageNetV2, from the shared data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from newtest.sampling import SamplingConfig, sample

pytestmark = pytest.mark.data


def _load(data: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((data / "imagenetv2" / "datasets" / f"{name}.json").read_text())
    return loaded


def _frame(loaded: dict[str, Any]) -> pd.DataFrame:
    """The published votes are not in the data: here everybody selected everything."""
    frame = pd.DataFrame(loaded["image_filenames"], columns=["image_id", "wnid"])
    return frame.assign(num_selected=10, num_shown=10)


def test_our_defaults_are_the_parameters_of_the_published_matched_frequency(data: Path) -> None:
    published, config = _load(data, "imagenetv2-b-33"), SamplingConfig()
    assert published["sampling_function"] == "sample_wnid_histogram"
    assert tuple(published["histogram_bins"]) == config.bins
    assert published["min_num_annotations_candidates"] == config.min_votes
    assert published["min_num_annotations_val"] == config.reference_votes
    assert published["min_num_val_images_per_wnid"] == config.min_reference_images
    assert published["target_size"] == 1000 * config.per_class


def test_the_annotated_originals_are_just_enough_for_a_thousand_classes(data: Path) -> None:
    originals = _frame(_load(data, "imagenet-annotatedval20k-0"))
    candidates = _frame(_load(data, "imagenetv2-b-33"))
    drawn = sample(candidates, originals, SamplingConfig())
    assert len(drawn.members) == 10_000
    assert drawn.histogram.groupby("wnid")["reference"].sum().min() >= 20
    assert (drawn.drawn["[0.8,1]"] == 10).all()


def test_b_33_is_the_revision_of_b_31_that_changes_the_fewest_images(data: Path) -> None:
    originals = _frame(_load(data, "imagenet-annotatedval20k-0"))
    before, after = (_frame(_load(data, f"imagenetv2-b-{number}")) for number in (31, 33))
    pool = pd.concat([before, after]).drop_duplicates(["image_id", "wnid"])
    keys = [set(zip(frame["wnid"], frame["image_id"], strict=True)) for frame in (before, after)]
    pairs = list(zip(pool["wnid"], pool["image_id"], strict=True))
    gone = keys[0] - keys[1]
    assert 0 < len(gone) < 1000
    pool["in_parent"] = [pair in keys[0] for pair in pairs]
    pool["blocked"] = [pair in gone for pair in pairs]
    drawn = sample(pool, originals, SamplingConfig(seed=1)).members
    assert set(zip(drawn["wnid"], drawn["image_id"], strict=True)) == keys[1]
