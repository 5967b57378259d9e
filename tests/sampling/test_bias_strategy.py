"""matched-frequency with the mixture correction, through the public ``sample``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from newtest.draws import generator
from newtest.errors import SamplingError
from newtest.sampling import SamplingConfig, sample

MIXTURE = SamplingConfig(bias_correction="mixture", min_votes=1, min_reference_images=1)


def frames(seed: int, classes: int, *, originals: int = 50, candidates: int = 200, votes=(10, 41)):
    """Classes that differ; the original mostly near 1, the pool harder. The column ``true`` is what nobody sees."""
    random = generator(seed, "classes")
    level = random.normal(0, 0.5, classes)

    def made(prefix: str, count: int, ease: float) -> pd.DataFrame:
        owner = np.repeat(np.arange(classes), count)
        true = 1 / (1 + np.exp(-(level[owner] + ease + 1.5 * random.normal(size=len(owner)))))
        shown = random.integers(*votes, size=len(owner))
        return pd.DataFrame(
            {
                "image_id": [f"{prefix}{i:06d}" for i in range(len(owner))],
                "wnid": [f"n{c:08d}" for c in owner],
                "num_selected": random.binomial(shown, true),
                "num_shown": shown,
                "true": true,
            }
        )

    return made("c", candidates, 0.8), made("o", originals, 2.2)


def true_gap(candidates: pd.DataFrame, reference: pd.DataFrame, members: pd.DataFrame) -> float:
    """Points of frequency by which the drawn set is harder than the original."""
    drawn = members.merge(candidates[["image_id", "true"]], on="image_id")["true"]
    return 100 * (reference["true"].mean() - drawn.mean())


@pytest.mark.parametrize("votes", [(10, 11), (5, 41)])
def test_per_class_draws_lose_the_bias_that_the_published_rule_has(votes):
    corrected, published = [], []
    for seed in range(3):
        candidates, reference = frames(seed, 100, votes=votes)
        for gaps, correction in ((corrected, "mixture"), (published, "none")):
            config = dataclasses.replace(
                MIXTURE, bias_correction=correction, seed=seed, allow_incomplete=True
            )
            gaps.append(true_gap(candidates, reference, sample(candidates, reference, config).members))
    assert abs(np.mean(corrected)) < 0.8
    assert np.mean(published) > 2


def test_every_class_is_filled_and_rows_add_up():
    candidates, reference = frames(0, 20)
    drawn = sample(candidates, reference, MIXTURE)
    assert drawn.members.groupby("wnid").size().eq(10).all()
    assert not drawn.members["image_id"].duplicated().any()
    histogram = drawn.histogram
    assert (histogram["drawn"] <= histogram["eligible"]).all()
    assert (histogram["drawn"] == histogram["target"]).all()
    assert histogram["reference"].sum() == len(reference)
    assert histogram["eligible"].sum() == len(candidates)


def test_row_order_and_process_do_not_matter():
    candidates, reference = frames(1, 5)
    first = sample(candidates, reference, MIXTURE).members
    again = sample(
        candidates.sample(frac=1, random_state=0), reference.sample(frac=1, random_state=1), MIXTURE
    ).members
    pd.testing.assert_frame_equal(first, again)
    other = sample(candidates, reference, dataclasses.replace(MIXTURE, seed=1)).members
    assert set(other["image_id"]) != set(first["image_id"])


def test_members_of_the_parent_stay():
    candidates, reference = frames(2, 10)
    first = sample(candidates, reference, MIXTURE).members
    blocked = set(first["image_id"].iloc[[0, 15, 31]])
    later = candidates.assign(
        in_parent=candidates["image_id"].isin(first["image_id"]), blocked=candidates["image_id"].isin(blocked)
    )
    second = sample(later, reference, MIXTURE).members
    kept = len(set(first["image_id"]) & set(second["image_id"]))
    assert not blocked & set(second["image_id"])
    assert kept >= len(first) - 20


def test_a_class_with_too_few_candidates_is_named():
    candidates, reference = frames(3, 3)
    scarce = (candidates["wnid"] == "n00000001") & (candidates.groupby("wnid").cumcount() >= 4)
    few = candidates[~scarce]
    with pytest.raises(SamplingError, match="n00000001"):
        sample(few, reference, MIXTURE)
    partial = sample(few, reference, dataclasses.replace(MIXTURE, allow_incomplete=True))
    assert partial.members.groupby("wnid").size().to_dict() == {
        "n00000000": 10,
        "n00000001": 4,
        "n00000002": 10,
    }


def test_a_class_without_candidates_or_reference_is_named():
    candidates, reference = frames(4, 3)
    config = dataclasses.replace(MIXTURE, allow_incomplete=True, min_reference_images=20)
    lonely = sample(
        candidates[candidates["wnid"] != "n00000000"], reference[reference["wnid"] != "n00000002"], config
    )
    assert set(lonely.problems) == {"n00000000", "n00000002"}
    assert "needed" in lonely.problems["n00000002"]
    assert set(lonely.members["wnid"]) == {"n00000001"}
    nobody = sample(candidates.head(0), reference, config)
    assert nobody.members.empty
    assert len(nobody.problems) == 3


@pytest.mark.parametrize("share", [0, 1])
def test_votes_that_all_agree(share):
    candidates, reference = frames(5, 2)
    for frame in (candidates, reference):
        frame["num_selected"] = frame["num_shown"] * share
    assert len(sample(candidates, reference, MIXTURE).members) == 20


def test_one_image_with_one_vote():
    row = {"image_id": ["a"], "wnid": ["n1"], "num_selected": [1], "num_shown": [1]}
    drawn = sample(pd.DataFrame(row), pd.DataFrame(row), dataclasses.replace(MIXTURE, per_class=1))
    assert list(drawn.members["image_id"]) == ["a"]
