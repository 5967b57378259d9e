from __future__ import annotations

import pandas as pd
import pytest
from sampling_frames import frame, random_frame, spread

from newtest.errors import SamplingError
from newtest.sampling import SamplingConfig, prepare, sample


def test_matched_frequency_draws_the_scaled_histogram_of_the_original() -> None:
    # 2 4 6 10 18 originals in the five bins: the largest-remainder example [1,2,3,5,9] twice over.
    original = frame(
        "a", [(1, 10)] * 2 + [(2, 10)] * 4 + [(4, 10)] * 6 + [(6, 10)] * 10 + [(10, 10)] * 18, prefix="r"
    )
    drawn = sample(spread("a", 6), original, SamplingConfig())
    assert drawn.drawn.loc["a"].tolist() == [0, 1, 1, 3, 5]
    assert drawn.target.equals(drawn.drawn)
    assert drawn.histogram["reference"].tolist() == [2, 4, 6, 10, 18]
    assert drawn.members["bin"].value_counts().to_dict() == {
        "[0.2,0.4)": 1,
        "[0.4,0.6)": 1,
        "[0.6,0.8)": 3,
        "[0.8,1]": 5,
    }


def test_reference_images_with_few_votes_do_not_count_and_twenty_are_needed() -> None:
    original = pd.concat([frame("a", [(9, 10)] * 19, prefix="r"), frame("a", [(1, 9)] * 30, prefix="few")])
    with pytest.raises(
        SamplingError, match="a: its reference has 19 images with at least 10 votes, 20 are needed"
    ):
        sample(spread("a", 6), original, SamplingConfig())
    relaxed = SamplingConfig(min_reference_images=19)
    assert sample(spread("a", 6), original, relaxed).drawn.loc["a"].tolist() == [0, 0, 0, 0, 10]


def test_a_bin_that_lacks_images_is_named_or_filled_from_the_next_higher_with_images_left() -> None:
    original = frame("a", [(3, 10)] * 10 + [(9, 10)] * 10, prefix="r")
    pool = frame("a", [(3, 10)] * 2 + [(5, 10)] + [(7, 10)] * 9 + [(9, 10)] * 9)
    with pytest.raises(SamplingError, match=r"1 class cannot be filled: a: \[0.2,0.4\) has 2 of 5"):
        sample(pool, original, SamplingConfig())
    filled = sample(pool, original, SamplingConfig(fill_upward=True))
    assert filled.drawn.loc["a"].tolist() == [0, 2, 1, 2, 5]
    partial = sample(pool, original, SamplingConfig(allow_incomplete=True))
    assert partial.drawn.loc["a"].tolist() == [0, 2, 0, 0, 5]
    assert partial.problems == {"a": "[0.2,0.4) has 2 of 5"}


def test_filling_never_takes_what_a_bin_needs_itself() -> None:
    original = frame("a", [(3, 10)] * 10 + [(5, 10)] * 10, prefix="r")
    pool = frame("a", [(3, 10)] * 1 + [(5, 10)] * 6 + [(9, 10)] * 9)
    filled = sample(pool, original, SamplingConfig(fill_upward=True))
    assert filled.drawn.loc["a"].tolist() == [0, 1, 6, 0, 3]


def test_nothing_fills_the_highest_bin() -> None:
    original = frame("a", [(9, 10)] * 20, prefix="r")
    with pytest.raises(SamplingError, match=r"\[0.8,1\] has 3 of 10"):
        sample(frame("a", [(5, 10)] * 50 + [(9, 10)] * 3), original, SamplingConfig(fill_upward=True))


def test_threshold_draws_uniformly_among_the_frequent_enough() -> None:
    drawn = sample(spread("a", 10), None, SamplingConfig(strategy="threshold", per_class=20))
    assert len(drawn.members) == 20
    assert (drawn.members["num_selected"] >= 7).all()
    assert drawn.members["num_selected"].nunique() == 4
    assert (drawn.exclusions["reason"] == "below_threshold").all()
    assert len(drawn.exclusions) == 70


def test_top_images_orders_by_frequency_votes_parent_and_id_each_descending() -> None:
    pool = frame("a", [(9, 10), (18, 20), (10, 10), (9, 10), (9, 10), (8, 10)])
    pool["in_parent"] = [False, False, False, True, False, True]

    def best(count: int) -> list[str]:
        return (
            sample(pool, None, SamplingConfig(strategy="top-images", per_class=count))
            .members["image_id"]
            .tolist()
        )

    order = [next(iter(set(best(n + 1)) - set(best(n)))) if n else best(1)[0] for n in range(6)]
    assert order == ["0002", "0001", "0003", "0004", "0000", "0005"]


def test_random_and_all_need_no_votes_when_told_so() -> None:
    pool = frame("a", [(0, 0)] * 30)
    assert len(sample(pool, None, SamplingConfig(strategy="random", min_votes=0)).members) == 10
    assert len(sample(pool, None, SamplingConfig(strategy="all", min_votes=0)).members) == 30
    with pytest.raises(SamplingError, match=r"a: no candidate is eligible \(excluded: few_assignments 30\)"):
        sample(pool, None, SamplingConfig(strategy="all"))
    with pytest.raises(SamplingError, match="`min_votes` must be at least 1 for threshold"):
        SamplingConfig(strategy="threshold", min_votes=0)


def test_matched_keywords_gives_each_keyword_its_share_of_the_original() -> None:
    original = frame("a", [(0, 0)] * 10, prefix="r").assign(
        search_key=["tabby"] * 6 + ["cat"] * 3 + ["kitty"]
    )
    pool = frame("a", [(0, 0)] * 40).assign(
        search_key=["tabby"] * 10 + ["cat"] * 10 + ["kitty"] * 10 + ["dog"] * 10
    )
    config = SamplingConfig(strategy="matched-keywords", min_votes=0)
    drawn = sample(pool, original, config)
    assert drawn.drawn.loc["a"].to_dict() == {"kitty": 1, "cat": 3, "tabby": 6}
    assert drawn.members["bin"].value_counts().to_dict() == {"tabby": 6, "cat": 3, "kitty": 1}
    with pytest.raises(SamplingError, match="a: cat has 0 of 3, tabby has 0 of 6"):
        sample(pool[pool["search_key"] == "kitty"], original, config)
    with pytest.raises(SamplingError, match="a: no image of its reference has a search_key"):
        sample(pool, original.drop(columns="search_key"), config)


def test_a_class_of_either_frame_must_be_filled() -> None:
    pool, original = spread("a", 9), spread("b", 2, prefix="r")
    with pytest.raises(
        SamplingError, match=r"2 classes cannot be filled: a: its reference has 0 images.*b: .* has 0 of"
    ):
        sample(pool, original, SamplingConfig())


def test_what_is_feasible_is_known_before_anything_is_drawn() -> None:
    draft = prepare(spread("a", 1), spread("a", 2, prefix="r"), SamplingConfig(per_class=20))
    assert draft.plan.histogram["eligible"].tolist() == [2, 2, 2, 2, 3]
    assert draft.plan.histogram["target"].tolist() == [3, 4, 4, 4, 5]
    assert list(draft.problems) == ["a"]


def test_many_classes_at_once_match_one_by_one() -> None:
    pool, original = random_frame("pool", 8, 120, (2, 2)), random_frame("orig", 8, 40, (4, 1.5))
    together = sample(pool, original, SamplingConfig(fill_upward=True)).members
    for wnid, members in together.groupby("wnid"):
        alone = sample(
            pool[pool["wnid"] == wnid], original[original["wnid"] == wnid], SamplingConfig(fill_upward=True)
        )
        assert alone.members["image_id"].tolist() == members["image_id"].tolist()
