"""Diagnoses: what is estimated of a draw against what is true of it, and where a warning is due."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pytest
from test_bias_strategy import frames, true_gap

from newtest.catalog import transaction
from newtest.catalog.revisions import find, reference_pairs
from newtest.catalog.votes import totals
from newtest.config import canonical_json, to_mapping
from newtest.draws import generator
from newtest.errors import SamplingError, UsageError
from newtest.evaluation.analysis.mismatch import explain
from newtest.evaluation.scoring.score import Score
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.evaluation.scoring.store import write_scores
from newtest.frequency import ScoredSet, VoteCounts
from newtest.sampling import SamplingConfig, prepare, sample_study
from newtest.sampling.bias import Estimate, accuracy_slopes, points_explained
from newtest.sampling.bias.diagnostics import Diagnostics
from newtest.sampling.bias.plot import draw_distributions
from newtest.sampling.diagnosis import diagnose_draft, stored_diagnostics
from newtest.study import Study
from newtest.votes import import_votes

MAIN = "from newtest.cli import main; main()"
COLUMNS = ["image_id", "wnid", "num_selected", "num_shown"]


def drafted(candidates: pd.DataFrame, reference: pd.DataFrame, **options):
    config = SamplingConfig(
        min_votes=1,
        min_reference_images=1,
        **{"allow_incomplete": True, "bias_correction": "mixture"} | options,
    )
    return prepare(candidates[COLUMNS], reference[COLUMNS], config)


@pytest.mark.parametrize("correction", ["none", "mixture"])
def test_estimates_agree_with_what_nobody_sees(correction):
    candidates, reference = frames(0, 60, votes=(10, 11))
    draft = drafted(candidates, reference, bias_correction=correction)
    found = diagnose_draft(draft)
    members = draft.draw().members
    drawn = members.merge(candidates, on="image_id")["true"].mean()
    assert found.images == len(members) == 600
    assert found.drawn.low < drawn < found.drawn.high
    assert found.original.low < reference["true"].mean() < found.original.high
    assert found.pool.low < candidates["true"].mean() < found.pool.high
    gap = true_gap(candidates, reference, members) / 100
    assert found.mismatch.low < gap < found.mismatch.high
    assert found.observed > drawn
    for shares in (found.distributions.original, found.distributions.pool, found.distributions.drawn):
        assert sum(shares) == pytest.approx(1, abs=1e-4)
    warned = any("harder" in warning for warning in found.warnings)
    assert warned == (correction == "none")


def test_the_held_out_half_shows_the_bias_without_a_model():
    candidates, reference = frames(1, 60, votes=(10, 11))
    published = diagnose_draft(drafted(candidates, reference, bias_correction="none")).held_out
    corrected = diagnose_draft(drafted(candidates, reference)).held_out
    assert published.splits == corrected.splits == 4
    assert published.votes == corrected.votes == 5
    assert published.gap > 0.04
    assert abs(corrected.gap) < published.gap / 3
    assert published.gap == pytest.approx(published.original - published.drawn)


def test_a_diagnosis_is_deterministic_and_survives_json():
    candidates, reference = frames(2, 5, votes=(10, 13))
    first, again = (diagnose_draft(drafted(candidates, reference)) for _ in range(2))
    assert first == again
    assert Diagnostics.of(json.loads(json.dumps(to_mapping(first)))) == first


@pytest.mark.parametrize("strategy", ["threshold", "top-images", "random", "all"])
def test_other_strategies_are_diagnosed_without_the_check(strategy):
    candidates, reference = frames(3, 5, votes=(10, 13))
    found = diagnose_draft(drafted(candidates, reference, strategy=strategy, bias_correction="none"))
    assert found.held_out is None
    assert 0 < found.drawn.value < 1
    assert not any("bias_correction" in warning for warning in found.warnings)  # they take none


def test_nothing_to_compare_is_none():
    candidates, reference = frames(4, 2)
    assert diagnose_draft(drafted(candidates, reference.assign(num_selected=0, num_shown=0))) is None
    unvoted = candidates.assign(num_selected=0, num_shown=0)
    assert diagnose_draft(drafted(unvoted, reference, strategy="random", bias_correction="none")) is None


def test_warnings_say_where_it_fails():
    candidates, reference = frames(5, 4, votes=(3, 4), originals=25, candidates=40)
    few = diagnose_draft(drafted(candidates, reference)).warnings
    assert sum("few votes" in warning for warning in few) == 2
    assert any("few images" in warning for warning in few)
    # Disjoint supports: all originals near 1, no candidate above 1/2.
    candidates, reference = frames(6, 4, votes=(20, 21))
    low = candidates.assign(num_selected=candidates["num_selected"].clip(upper=8))
    high = reference.assign(num_selected=20)
    disjoint = diagnose_draft(drafted(low, high)).warnings
    assert any("pool lacks" in warning for warning in disjoint)
    assert any("harder than the original" in warning for warning in disjoint)


@pytest.mark.parametrize("share", [0, 1])
def test_votes_that_all_agree(share):
    candidates, reference = frames(7, 2)
    for frame in (candidates, reference):
        frame["num_selected"] = frame["num_shown"] * share
    found = diagnose_draft(drafted(candidates, reference))
    assert found.drawn.value == pytest.approx(share, abs=0.01)
    assert found.held_out.gap == 0
    assert found.original.value == share


def test_hundreds_of_votes_an_image_and_one_that_is_unlike_all_others():
    """A resample without the odd one has no frequency left at which it could be: 0 / 0 must not become the answer."""
    rows = [(f"{kind}{i}", "a", 1000 if i else 0, 1000) for kind in "co" for i in range(30)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    pool, original = (table[table["image_id"].str.startswith(kind)] for kind in "co")
    found = diagnose_draft(drafted(pool, original, per_class=30, bias_correction="none"))
    assert found.drawn.value == pytest.approx(29 / 30, abs=0.01)
    assert json.loads(canonical_json(to_mapping(found)))["drawn"]["low"] < 29 / 30


def test_one_image_with_one_vote():
    row = pd.DataFrame({"image_id": ["a"], "wnid": ["n1"], "num_selected": [1], "num_shown": [1]})
    found = diagnose_draft(drafted(row, row, per_class=1))
    assert found.images == 1
    assert found.held_out is None
    assert np.isfinite(found.mismatch.low)


def test_slopes_are_those_of_the_true_frequency_not_of_the_noisy_one():
    random = generator(0, "slopes")
    true = random.beta(4, 1.5, 40_000)
    counts = VoteCounts(random.binomial(10, true), np.full(len(true), 10))
    chance = np.column_stack([0.15 + 0.8 * true, np.full(len(true), 0.5)])
    correct = (random.random(chance.shape) < chance).astype(float)
    scored = ScoredSet(counts, correct)
    slopes, errors = accuracy_slopes(scored)
    assert slopes == pytest.approx([0.8, 0.0], abs=0.05)
    assert np.all(np.abs(slopes - [0.8, 0.0]) < 4 * errors)
    noisy = np.polyfit(counts.frequency, correct[:, 0], 1)[0]
    assert noisy < 0.65
    table = points_explained(scored, Estimate(0.065, 0.05, 0.08), ["rising", "flat"])
    assert table["points"].to_list() == pytest.approx([5.2, 0.0], abs=0.4)
    assert (table["low"] < table["points"]).all()
    assert (table["points"] < table["high"]).all()


def test_no_slope_without_spread():
    same = ScoredSet(VoteCounts(np.full(9, 5), np.full(9, 10)), np.ones(9))
    with pytest.raises(SamplingError, match="same expected frequency"):
        accuracy_slopes(same)


def test_the_plot_is_the_same_bytes_and_names_the_sets():
    candidates, reference = frames(8, 3, votes=(10, 13))
    found = diagnose_draft(drafted(candidates, reference))
    first, again = draw_distributions(found, "a-0"), draw_distributions(found, "a-0")
    assert first.svg == again.svg
    assert first.png.startswith(b"\x89PNG")
    for label in ("original", "pool", "drawn"):
        assert f"{label}, mean" in first.svg.decode()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three classes with a reference, votes imported as counts."""
    candidates, reference = frames(9, 3, votes=(10, 11))
    with Study(tmp_path / "s", create=True) as opened:
        with transaction(opened.catalog) as catalog:
            catalog.execute(
                "INSERT INTO references_ VALUES ('original', 'test', 'f', '2026-11-01T00:00:00Z')"
            )
            for wnid in sorted(set(candidates["wnid"])):
                catalog.execute("INSERT INTO classes VALUES (?, '[]', '', '[]', 'test')", (wnid,))
            for frame, source in ((candidates, "folder"), (reference, "reference:original")):
                for image, wnid in zip(frame["image_id"], frame["wnid"], strict=True):
                    catalog.execute(
                        "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)",
                        (image, source, image),
                    )
                    catalog.execute(
                        "INSERT INTO files (image_id, state, sha256, attempts, fetched_at)"
                        " VALUES (?, 'ok', ?, 1, '')",
                        (image, image),
                    )
                    if frame is candidates:
                        catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image, wnid))
                    else:
                        catalog.execute(
                            "INSERT INTO reference_members VALUES ('original', ?, ?)", (image, wnid)
                        )
        import_votes(opened, pd.concat([candidates, reference])[COLUMNS])
        yield opened


def newtest(study: Study, *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.newtest(*arguments, "--study", str(study.root), cwd=study.root)


def test_sample_prints_and_stores_what_diagnose_prints(study):
    drawn = newtest(study, "sample", "--name", "a-0", "--bias-correction", "mixture", "--json")
    assert drawn.returncode == 0, drawn.stderr
    stored = json.loads(find(study.catalog, "a-0").summary)["diagnostics"]
    assert json.loads(drawn.stdout)["diagnostics"] == stored
    shown = newtest(study, "diagnose", "a-0")
    assert shown.returncode == 0, shown.stderr
    assert f"{stored['mismatch']['value']:.4f}" in shown.stdout
    assert "held-out check, 4 splits" in shown.stderr
    assert (study.root / "a-0-frequencies.svg").read_text().startswith("<?xml")
    as_json = newtest(study, "diagnose", "a-0", "--json", "--plot", "a.png")
    assert json.loads(as_json.stdout)["drawn"] == stored["drawn"]
    assert (study.root / "a.png").read_bytes().startswith(b"\x89PNG")


def test_sample_prints_the_diagnosis_of_the_published_rule_too(study):
    shown = newtest(study, "sample", "--name", "b-0", "--allow-incomplete")
    assert shown.returncode == 0, shown.stderr
    assert "original less drawn" in shown.stdout
    assert "warning: the drawn set is expected to be harder" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("diagnose", "nothing"), 1, "there is no revision 'nothing'"),
        (("diagnose", "nothing", "--plot", "a.jpg"), 2, ".svg or .png"),
    ],
)
def test_wrong_calls(study, arguments, code, message):
    done = newtest(study, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mismatch_is_explained_by_results_on_the_reference(study, tmp_path):
    sample_study(study, SamplingConfig(allow_incomplete=True), name="c-0")
    mismatch = stored_diagnostics(study, "c-0").mismatch
    members = reference_pairs(study.catalog, "original").rename(columns={"wnid": "class"})
    classes = tuple(sorted(set(members["class"])))
    labels = members["class"].map({wnid: index for index, wnid in enumerate(classes)}).to_numpy()
    evaluated = EvaluationSet("original", "test", classes, labels, members[["image_id", "class"]])
    counts = members.merge(totals(study.catalog, filtered=False), on="image_id")
    scores = []
    for model, right in (("rising", counts["num_selected"] >= 7), ("flat", counts.index % 2 == 0)):
        right = np.asarray(right)
        scores.append(
            Score(model, "original", int(right.sum()), len(right), evaluated.hash, "test", "", right)
        )
    write_scores(tmp_path / "results", evaluated, scores)
    table = explain(study, "c-0", tmp_path / "results")
    rising = table.set_index("model").loc["rising"]
    assert rising["points"] == pytest.approx(100 * rising["slope"] * mismatch.value)
    assert rising["points"] > 0
    assert rising["low"] < rising["points"] < rising["high"]
    with pytest.raises(UsageError, match="no revision"):
        explain(study, "d-0", tmp_path / "results")


DIAGNOSED = """
import numpy as np, pandas as pd
from newtest.config import canonical_json, to_mapping
from newtest.sampling import SamplingConfig, prepare
from newtest.sampling.diagnosis import diagnose_draft
def frame(kind, each, shape):
    random = np.random.default_rng(0)
    names = [f"{kind}{number}" for number in range(400 * each)]
    wnids = [f"n{number // each:03}" for number in range(400 * each)]
    selected = random.binomial(10, random.beta(*shape, size=len(names)))
    return pd.DataFrame({"image_id": names, "wnid": wnids, "num_selected": selected, "num_shown": 10})
draft = prepare(frame("c", 40, (2, 2)), frame("r", 30, (4, 1.5)), SamplingConfig(allow_incomplete=True))
print(canonical_json(to_mapping(diagnose_draft(draft))))
"""


def test_a_diagnosis_is_the_same_to_the_last_digit_with_one_thread_and_two():
    """BLAS splits a product of vectors of over 10,000 numbers among its threads, and adds in another order then."""
    one, two = (
        subprocess.run(
            [sys.executable, "-c", DIAGNOSED], env={**os.environ, "OMP_NUM_THREADS": threads},
            capture_output=True, text=True, check=True,
        ).stdout
        for threads in ("1", "2")
    )  # fmt: skip
    assert one == two
    assert json.loads(one)["images"] > 2000
