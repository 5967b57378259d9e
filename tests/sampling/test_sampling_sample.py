from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_frames import frame, random_frame, spread

from newtest.errors import SamplingError
from newtest.sampling import SamplingConfig, prepare, sample
from newtest.sampling.config import StrategyName

COUNTS = st.integers(0, 14).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
FLAGS = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans())


@st.composite
def _pools(draw: st.DrawFn) -> pd.DataFrame:
    parts = []
    for wnid in ("a", "b", "c"):
        part = frame(wnid, draw(st.lists(COUNTS, max_size=30)))
        flags = draw(st.lists(FLAGS, min_size=len(part), max_size=len(part)))
        for position, name in enumerate(("blocked", "near_duplicate", "unreviewed", "in_parent")):
            part[name] = pd.Series([row[position] for row in flags], index=part.index, dtype=bool)
        part["component"] = draw(
            st.lists(st.sampled_from([None, "x", "y"]), min_size=len(part), max_size=len(part))
        )
        parts.append(part)
    pool = pd.concat(parts)
    pool["search_key"] = [f"key{i % 3}" for i in range(len(pool))]
    return pool


@settings(deadline=None, max_examples=60)
@given(_pools(), st.sampled_from(get_args(StrategyName)), st.integers(1, 6), st.booleans(), st.randoms())
def test_a_sample_is_eligible_within_its_targets_and_blind_to_row_order(
    pool: pd.DataFrame, strategy: StrategyName, per_class: int, fill_upward: bool, random: Any
) -> None:
    config = SamplingConfig(
        strategy=strategy,
        per_class=per_class,
        min_votes=3,
        fill_upward=fill_upward,
        allow_incomplete=True,
        seed=5,
    )
    original = pd.concat([spread(wnid, 2, prefix=f"r{wnid}") for wnid in "abc"]).assign(search_key="key1")
    drawn = sample(pool, original, config)
    members = set(zip(drawn.members["image_id"], drawn.members["wnid"], strict=True))
    excluded = set(zip(drawn.exclusions["image_id"], drawn.exclusions["wnid"], strict=True))
    assert len(members) == len(drawn.members)
    assert members.isdisjoint(excluded)
    assert not drawn.members["image_id"].duplicated().any()
    assert (drawn.members["num_shown"] >= 3).all()
    assert drawn.histogram["drawn"].sum() == len(members)
    assert (drawn.histogram["drawn"] <= drawn.histogram["eligible"]).all()
    per_wnid = drawn.histogram.groupby("wnid")[["target", "drawn"]].sum()
    assert (per_wnid["drawn"] <= per_wnid["target"]).all()
    short = set(per_wnid.index[per_wnid["drawn"] < per_wnid["target"]])
    assert short <= set(drawn.problems)

    order = list(range(len(pool)))
    random.shuffle(order)
    again = sample(pool.iloc[order], original, config)
    pd.testing.assert_frame_equal(again.members, drawn.members)
    pd.testing.assert_frame_equal(again.exclusions, drawn.exclusions)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.booleans(), min_size=110, max_size=110), st.booleans(), st.integers(0, 3))
def test_a_revision_keeps_as_many_members_of_its_parent_as_its_targets_allow(
    blocked: list[bool], fill_upward: bool, seed: int
) -> None:
    pool, original = spread("a", 10), spread("a", 2, prefix="r")
    config = SamplingConfig(per_class=20, fill_upward=fill_upward, allow_incomplete=True, seed=seed)
    parent = sample(pool, original, config)
    pool["in_parent"] = pool["image_id"].isin(parent.members["image_id"])
    pool["blocked"] = blocked
    child = sample(pool, original, SamplingConfig(**{**config.__dict__, "seed": seed + 1}))
    survivors = parent.members[~parent.members["image_id"].isin(child.exclusions["image_id"])]
    kept = set(survivors["image_id"]) & set(child.members["image_id"])
    if not fill_upward:
        assert kept == set(survivors["image_id"])
    drawn = child.drawn.loc["a"]
    for label, there in survivors["bin"].value_counts().items():
        kept_there = child.members[child.members["image_id"].isin(kept) & (child.members["bin"] == label)]
        assert len(kept_there) == min(there, drawn[label])


def test_unchanged_inputs_with_a_parent_change_nothing() -> None:
    pool, original = spread("a", 10), spread("a", 2, prefix="r")
    parent = sample(pool, original, SamplingConfig())
    pool["in_parent"] = pool["image_id"].isin(parent.members["image_id"])
    child = sample(pool, original, SamplingConfig(seed=99))
    pd.testing.assert_frame_equal(child.members, parent.members)


def test_different_seeds_draw_differently_and_uniformly() -> None:
    pool = frame("a", [(9, 10)] * 20)
    hits = pd.Series(0, index=pool["image_id"])
    for seed in range(400):
        drawn = sample(pool, None, SamplingConfig(strategy="random", per_class=5, seed=seed))
        hits[drawn.members["image_id"]] += 1
    # 400 draws of 5 in 20: 100 expected each, standard deviation 8.7.
    assert hits.between(65, 135).all()
    assert hits.sum() == 2000


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from sampling_frames import random_frame
from newtest.sampling import SamplingConfig, sample
pool, original = random_frame("pool", 5, 80, (2, 2)), random_frame("orig", 5, 40, (4, 1.5))
pool["search_key"] = [f"k{i % 4}" for i in range(len(pool))]
original["search_key"] = [f"k{i % 3}" for i in range(len(original))]
for strategy in ("matched-frequency", "threshold", "top-images", "random", "matched-keywords"):
    config = SamplingConfig(strategy=strategy, seed=7, fill_upward=True, allow_incomplete=True)
    drawn = sample(pool, original, config)
    print(drawn.members.to_csv(), drawn.exclusions.to_csv(), drawn.histogram.to_csv())
"""


def test_the_same_seed_gives_the_same_bytes_in_processes_with_other_hash_seeds() -> None:
    def run(hash_seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    first = run("0")
    assert len(first) > 1000
    assert run("1") == first
    assert run("4242") == first


def test_a_seed_means_the_same_tomorrow() -> None:
    drawn = sample(
        random_frame("pool", 2, 60, (2, 2)), None, SamplingConfig(strategy="random", per_class=2, seed=3)
    )
    assert [image[:8] for image in drawn.members["image_id"]] == [
        "06b9cc9d",
        "bbd0eede",
        "7500b019",
        "c1254442",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_selected": 11}, "image 0000 has num_selected 11 of num_shown 10"),
        ({"num_selected": -1}, "image 0000 has num_selected -1"),
        ({"num_selected": 0.5}, "num_selected must hold whole numbers"),
        ({"num_shown": None}, "num_shown must hold whole numbers"),
        ({"image_id": None}, "row 1 has no image_id"),
        ({"image_id": 7}, "image_id must be text"),
        ({"blocked": "yes"}, "blocked must hold true and false only"),
    ],
)
def test_frames_that_cannot_be_are_refused_with_the_place(change: dict[str, object], message: str) -> None:
    pool = frame("a", [(5, 10)] * 12).assign(**change)
    with pytest.raises(SamplingError, match=f"candidates: .*{message}"):
        sample(pool, None, SamplingConfig(strategy="random"))


def test_a_missing_column_and_a_pair_given_twice_are_named() -> None:
    pool = frame("a", [(5, 10)] * 12)
    with pytest.raises(SamplingError, match="candidates: column 'num_shown' is missing"):
        sample(pool.drop(columns="num_shown"), None, SamplingConfig(strategy="random"))
    with pytest.raises(SamplingError, match="reference: image 0003 is given twice for class a"):
        sample(pool, pd.concat([pool, pool[3:4]]), SamplingConfig(strategy="random"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"per_class": 0}, "`per_class` must be at least 1"),
        ({"bins": (0.2, 0.2)}, "`bins` must rise strictly"),
        ({"bins": (0.0, 0.5)}, "`bins` must rise strictly"),
        ({"bins": (float("nan"),)}, "`bins` must rise strictly"),
        ({"threshold": 1.5}, "a threshold lies between 0 and 1"),
        ({"strategy": "random", "bias_correction": "mixture"}, "belongs to matched-frequency"),
        (
            {"strategy": "matched-frequencies"},
            "no strategy 'matched-frequencies'; known are matched-frequency,",
        ),
        ({"bias_correction": "mixtures"}, "no bias correction 'mixtures'; known are none, mixture"),
        ({"min_reference_images": 0}, "`min_reference_images` must be at least 1"),
    ],
)
def test_configurations_that_contradict_themselves_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        SamplingConfig(**values)


def test_every_class_that_cannot_be_filled_is_named_with_its_own_exclusions() -> None:
    pool = pd.concat(
        [frame(wnid, [(5, 10)] * size, prefix=wnid) for wnid, size in (("a", 3), ("b", 4), ("c", 10))]
    )
    draft = prepare(pool.assign(blocked=pool["wnid"] == "b"), None, SamplingConfig(strategy="random"))
    assert draft.problems == {"a": "all has 3 of 10", "b": "all has 0 of 10 (excluded: blocked 4)"}


def test_matching_needs_a_reference() -> None:
    with pytest.raises(SamplingError, match="matched-frequency imitates an original set: a reference"):
        sample(spread("a", 3), None, SamplingConfig())
