"""What the correction assumes: each broken on purpose, by the crowds of ``benchmarks/bias_assumptions.py``."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from newtest.draws import generator
from newtest.frequency import ScoredSet, VoteCounts, adjusted_gap
from newtest.frequency.chosen import misfit
from newtest.frequency.mixture import GRID, fit, likelihood
from newtest.sampling import SamplingConfig, prepare, sample_study
from newtest.sampling.bias.assumptions import Assumptions
from newtest.sampling.bias.crowds import Votes, equal_crowds, leniency, within_tasks
from newtest.sampling.bias.design import follows_answers
from newtest.sampling.bias.explained import accuracy_bend
from newtest.sampling.diagnosis import diagnose_draft, stored_diagnostics
from newtest.study import Study


def _benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "bias_assumptions.py"
    spec = importlib.util.spec_from_file_location("bias_assumptions", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bias_assumptions"] = module
    spec.loader.exec_module(module)
    return module


bench = _benchmark()
NAMED = {crowd.name: crowd for crowd in bench.CLEAN + bench.BROKEN}


def case(name: str, **changes: object) -> Any:
    return dataclasses.replace(NAMED[name], **({"classes": 30} | changes))


@pytest.mark.parametrize("name", ["clean, 5 votes", "clean, 10 votes", "clean, each image in two tasks"])
def test_clean_votes_are_not_warned_of(name: str) -> None:
    """5 votes and small classes set off the held-out alarm when it was judged by the bare gap."""
    warned = [bench.run(case(name, classes=60), seed)[2] for seed in range(2)]
    assert warned == [[], []]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("votes alike within a task, .3, two tasks an image", "more alike within a task than the binomial"),
        ("crowds differ by +.3 logits, with controls", "unequal crowds"),
        ("crowds differ by -.3 logits, with controls", "unequal crowds"),
        ("crowds differ by +.3 logits, nothing common", "separate crowds"),
        ("accuracy steps up at .9", "accuracy is not a line in the frequency"),
    ],
)
def test_a_broken_assumption_is_named_with_its_size(name: str, cause: str) -> None:
    _, _, warnings = bench.run(case(name), 0)
    told = [warning for warning in warnings if cause in warning]
    assert len(told) == 1
    assert "points" in told[0]


@pytest.mark.parametrize(
    "name",
    ["workers differ by .5 logits, separate crowds with controls", "more votes where people disagreed"],
)
def test_the_interval_holds_the_mismatch(name: str) -> None:
    """Lenient workers covered .44, and more votes where people disagreed 0 of 16."""
    held = [bench.run(case(name), seed)[1] for seed in range(4)]
    assert sum(held) >= 3


def votes_of(worker: np.ndarray, image: np.ndarray, selected: np.ndarray, **more: np.ndarray) -> Votes:
    images, control = int(image.max()) + 1, np.zeros(len(image), dtype=bool)
    known = {
        "task": np.full(len(image), -1),
        "original": image,
        "pool": np.full(len(image), -1),
        "control": control,
    }
    assert images
    return Votes(image=image, worker=worker, selected=selected.astype(float), **(known | more))


def test_the_leniency_of_workers_is_estimated() -> None:
    random = generator(0, "leniency")
    image, worker = np.repeat(np.arange(3000), 8), random.integers(60, size=24_000)
    ability = random.normal(0, 1, 3000)[image]
    for sd in (0.0, 0.6):
        lenient = random.normal(0, sd, 60)
        chance = 1 / (1 + np.exp(-(ability + lenient[worker])))
        found = np.sqrt(leniency(votes_of(worker, image, random.random(24_000) < chance)))
        assert found == pytest.approx(sd, abs=0.12)


def test_one_task_and_several_are_told_apart() -> None:
    random = generator(1, "tasks")
    image, task = np.repeat(np.arange(2000), 10), np.tile(np.repeat([0, 1], 5), 2000)
    for alike in (0.0, 0.2):
        mean = random.uniform(0.2, 0.8, 2000)
        chance = np.repeat(mean[:, None], 2, axis=1)
        if alike:
            spread = (1 - alike) / alike
            chance = random.beta(chance * spread, (1 - chance) * spread)
        selected = random.random(20_000) < chance[image, task]
        votes = votes_of(np.arange(20_000), image, selected, task=image * 2 + task)
        value, error = within_tasks(votes) or (np.nan, np.nan)
        assert value == pytest.approx(alike, abs=0.03)
        assert abs(value - alike) < 4 * error
    assert within_tasks(votes_of(np.arange(20_000), image, selected, task=image)) is None, "one task an image"


def test_equal_crowds_are_equal_and_the_same_people_need_no_test() -> None:
    image = np.repeat(np.arange(400), 10)
    random = generator(2, "crowds")
    worker = random.integers(30, size=4000)
    place = {"original": np.where(image < 200, image, -1), "pool": np.where(image >= 200, image, -1)}
    same = equal_crowds(votes_of(worker, image, random.random(4000) < 0.6, **place))
    assert same.workers == 1.0
    assert same.difference is None
    assert Assumptions(((0.0, 0.0),), 0.04, crowds=same).warnings() == []


def test_beta_binomial_likelihoods_add_up_and_answer_what_if() -> None:
    every = VoteCounts(np.arange(11), np.full(11, 10))
    for alike in (0.0, 0.05, 0.3):
        assert np.allclose(likelihood(every, alike).sum(axis=0), 1)
    random = generator(3, "alike")
    true = random.beta(4, 2, 20_000)
    scattered = random.beta(true * 9, (1 - true) * 9)  # a correlation of .1
    counts = VoteCounts(random.binomial(10, scattered), np.full(20_000, 10))
    assert fit(counts, alike=0.1).variance == pytest.approx(true.var(), abs=0.004)
    assert fit(counts).variance > true.var() + 0.01
    assert fit(counts, alike=0.1).mean == pytest.approx(float(GRID @ fit(counts).weights), abs=0.01)


def test_without_single_votes_the_sensitivity_is_told() -> None:
    crowd = case("clean, 10 votes")
    images = bench.population(crowd, 0)
    images["num_shown"] = 10
    images["num_selected"] = generator(0, "counts").binomial(10, images["true"])
    columns = ["image_id", "wnid", "num_selected", "num_shown"]
    pool, original = (images.loc[images["kind"] == kind, columns] for kind in ("pool", "original"))
    config = SamplingConfig(per_class=10, min_votes=1, min_reference_images=1, bias_correction="mixture")
    found = diagnose_draft(prepare(pool, original, config))
    assert found is not None and found.assumptions is not None
    assert found.warnings == ()
    rhos, sizes = zip(*found.assumptions.alike, strict=True)
    assert rhos == (0.0, 0.05, 0.1, 0.3)
    assert list(sizes) == sorted(sizes), "votes that scatter more hide a harder set"
    assert sizes[1] > 0.01
    notes = " ".join(found.assumptions.notes())
    assert (
        "over-dispersion cannot be tested" in notes
        and "correlated by 0.05, 0.1 or 0.3 beyond its frequency" in notes
    )
    assert "single votes are not known" in notes


def test_more_votes_where_people_disagreed_is_seen_and_other_designs_are_not() -> None:
    random = generator(4, "design")
    true = random.beta(3, 1.5, 4000)
    five = random.binomial(5, true)
    more = np.where((five > 0) & (five < 5), 15, 0)
    assert follows_answers(VoteCounts(five + random.binomial(more, true), 5 + more))
    shown = random.integers(5, 41, 4000)
    assert not follows_answers(VoteCounts(random.binomial(shown, true), shown))
    assert not follows_answers(VoteCounts(five, np.full(4000, 5)))


def test_a_line_has_no_bend_and_a_step_has() -> None:
    random = generator(5, "bend")
    true = random.beta(4, 1.5, 5000)
    counts = VoteCounts(random.binomial(10, true), np.full(5000, 10))
    for curve, bent in ((0.15 + 0.8 * true, False), (np.where(true > 0.9, 0.9, 0.4), True)):
        right = (random.random((5000, 10)) < curve[:, None]).astype(float)
        found = accuracy_bend(ScoredSet(counts, right))
        assert found is not None
        assert found.notable is bent


def test_votes_that_chose_the_replica_are_said() -> None:
    random = generator(6, "chosen")
    true = random.beta(3, 1.5, (2, 3000))
    sets = [
        ScoredSet(
            VoteCounts(random.binomial(10, s), np.full(3000, 10)), (random.random(3000) < s).astype(float)
        )
        for s in true
    ]
    assert adjusted_gap(*sets, replicates=5, fresh=True).warnings == ()
    assert "if they chose it" in adjusted_gap(*sets, replicates=5).warnings[0]
    said = adjusted_gap(*sets, replicates=5, fresh=False).warnings[0]
    assert said.startswith("the votes are those that chose the replica")
    cut = sets[1].where(np.flatnonzero(sets[1].counts.num_selected >= 7))
    assert misfit(cut.counts) < 0.001 < misfit(sets[1].counts)
    assert "cut off" in adjusted_gap(sets[0], cut, replicates=5, fresh=True).warnings[0]
    pooled = adjusted_gap(sets[0], cut, replicates=5, fresh=False, pool=sets[1].counts)
    assert not any("chose" in warning for warning in pooled.warnings)


def test_a_study_keeps_what_its_single_votes_say(tmp_path: Path) -> None:
    """Through the catalog: two crowds without anything in common, stored and read back."""
    from newtest.catalog import transaction
    from newtest.votes import import_votes

    crowd = case("crowds differ by +.3 logits, nothing common", classes=3, originals=30, candidates=60)
    images = bench.population(crowd, 0)
    votes = bench.vote(crowd, images, 0).merge(images, left_on="row", right_index=True)
    with Study(tmp_path / "s", create=True) as study:
        with transaction(study.catalog) as catalog:
            catalog.execute(
                "INSERT INTO references_ VALUES ('original', 'test', 'f', '2026-11-01T00:00:00Z')"
            )
            for wnid in sorted(set(images["wnid"])):
                catalog.execute("INSERT INTO classes VALUES (?, '[]', '', '[]', 'test')", (wnid,))
            for image, wnid, kind in images[["image_id", "wnid", "kind"]].itertuples(index=False):
                source = "folder" if kind == "pool" else "reference:original"
                catalog.execute(
                    "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)",
                    (image, source, image),
                )
                catalog.execute(
                    "INSERT INTO files (image_id, state, sha256, attempts, fetched_at) VALUES (?, 'ok', ?, 1, '')",
                    (image, image),
                )
                where = "candidates VALUES (" if kind == "pool" else "reference_members VALUES ('original', "
                catalog.execute(f"INSERT INTO {where}?, ?)", (image, wnid))
        import_votes(
            study,
            votes.assign(worker_id=votes["worker"].astype(str))[
                ["image_id", "wnid", "worker_id", "selected"]
            ],
        )
        sample_study(study, SamplingConfig(allow_incomplete=True, bias_correction="mixture"), name="a")
        found = stored_diagnostics(study, "a")
    assert found.assumptions is not None and found.assumptions.crowds is not None
    assert found.assumptions.crowds.workers == 0
    assert found.assumptions.workers is not None
    assert any(warning.startswith("separate crowds: 100 %") for warning in found.warnings)


def test_a_diagnosis_of_an_earlier_version_is_read() -> None:
    from newtest.config import to_mapping
    from newtest.sampling.bias.diagnostics import Diagnostics

    crowd = case("clean, 10 votes", classes=3)
    images = bench.population(crowd, 0)
    frame = pd.DataFrame(images[["image_id", "wnid"]]).assign(num_shown=10, num_selected=7)
    pool, original = (frame[images["kind"] == kind] for kind in ("pool", "original"))
    config = SamplingConfig(per_class=5, min_votes=1, min_reference_images=1)
    found = diagnose_draft(prepare(pool, original, config))
    assert found is not None
    old = to_mapping(found)
    del old["assumptions"]
    if old["held_out"]:
        del old["held_out"]["surprise"], old["held_out"]["surprise_error"]
    assert Diagnostics.of(old).assumptions is None
