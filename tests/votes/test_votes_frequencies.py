from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from votes_studies import make_study

from newtest.errors import UsageError, VotesError
from newtest.votes import Simulation, frequencies, import_votes, simulate_votes
from newtest.votes.simulate import read_difficulty

PAIRS = [(f"i{index:02d}", "n1") for index in range(40)]
ORIGINALS = [(f"r{index:02d}", "n1") for index in range(40)]


def _counts(rows: dict[str, tuple[int, int]]) -> pd.DataFrame:
    values = [(image, "n1", *counts) for image, counts in rows.items()]
    return pd.DataFrame(values, columns=["image_id", "wnid", "num_selected", "num_shown"])


def test_frequencies_have_exact_intervals(tmp_path: Path) -> None:
    with make_study(tmp_path, PAIRS) as study:
        assert frequencies(study).empty
        import_votes(study, _counts({"i00": (0, 10), "i01": (7, 10), "i02": (10, 10)}))
        table = frequencies(study)
    assert list(table.columns) == ["image_id", "wnid", "num_selected", "num_shown", "frequency", "lo", "hi"]
    assert table["frequency"].tolist() == [0.0, 0.7, 1.0]
    # Clopper-Pearson at 0, 7 and 10 of 10 (tables in Newcombe 1998).
    assert table["lo"].round(4).tolist() == [0.0, 0.3475, 0.6915]
    assert table["hi"].round(4).tolist() == [0.3085, 0.9333, 1.0]


def test_excluded_workers_can_be_left_out(tmp_path: Path) -> None:
    votes = pd.DataFrame(
        {"image_id": "i00", "wnid": "n1", "worker_id": ["w1", "w2", "w3"], "selected": [1, 1, 0]}
    )
    with make_study(tmp_path, PAIRS) as study:
        import_votes(study, votes)
        study.catalog.execute(
            "INSERT INTO excluded_workers VALUES (?, 'random', 'now')", (study.worker_key("w1"),)
        )
        assert frequencies(study)["num_shown"].tolist() == [3]
        assert frequencies(study, filtered=True)[["num_selected", "num_shown"]].values.tolist() == [[1, 2]]


def test_simulated_votes_are_the_same_for_a_seed_and_are_marked(tmp_path: Path) -> None:
    tables = []
    for place, seed in enumerate((1, 1, 2)):
        with make_study(tmp_path / str(place), PAIRS, ORIGINALS) as study:
            report = simulate_votes(study, Simulation(seed=seed, votes_per_image=7))
            assert (report.simulated, report.votes) == (80, 560)
            tables.append(frequencies(study))
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert tables[0]["simulated"].all()
    assert (tables[0]["num_shown"] == 7).all()


def test_a_simulation_goes_on_where_it_stopped_and_spares_real_votes(tmp_path: Path) -> None:
    with make_study(tmp_path / "whole", PAIRS) as study:
        simulate_votes(study)
        whole = frequencies(study)
    with make_study(tmp_path / "parts", PAIRS[:20]) as study:
        import_votes(study, _counts({"i00": (3, 4)}))
        assert simulate_votes(study).simulated == 19
        study.catalog.executemany(
            "INSERT INTO images (image_id, source, source_id) VALUES (?, 'f', ?)",
            [(i, i) for i, _ in PAIRS[20:]],
        )
        study.catalog.executemany("INSERT INTO candidates VALUES (?, ?)", PAIRS[20:])
        again = simulate_votes(study)
        assert (again.simulated, again.voted) == (20, 20)
        assert simulate_votes(study).votes == 0
        table = frequencies(study)
        assert (
            study.catalog.execute("SELECT count(*) FROM vote_batches WHERE origin = 'simulated'").fetchone()[
                0
            ]
            == 1
        )
    assert table[1:].reset_index(drop=True).equals(whole[1:].reset_index(drop=True))
    assert table.iloc[0][["num_selected", "num_shown", "simulated"]].tolist() == [3, 4, False]


def test_real_votes_outrank_simulated_ones(tmp_path: Path) -> None:
    with make_study(tmp_path, PAIRS[:2]) as study:
        simulate_votes(study)
        import_votes(study, _counts({"i00": (1, 3)}))
        table = frequencies(study)
    assert table["num_shown"].tolist() == [3, 10]
    assert table["simulated"].tolist() == [False, True]


def test_leaving_out_every_real_voter_brings_no_simulated_votes_back(tmp_path: Path) -> None:
    votes = pd.DataFrame({"image_id": ["i00"], "wnid": "n1", "worker_id": "w1", "selected": 1})
    with make_study(tmp_path, PAIRS[:2]) as study:
        simulate_votes(study)
        import_votes(study, votes)
        study.catalog.execute(
            "INSERT INTO excluded_workers VALUES (?, 'random', 'now')", (study.worker_key("w1"),)
        )
        table = frequencies(study, filtered=True)
    assert table["image_id"].tolist() == ["i01"]
    assert table["simulated"].tolist() == [True]


def test_a_difficulty_without_a_class_holds_for_every_class(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("image_id,probability,wnid\ni00,1,\ni01,0,n1\n")
    sure = Simulation(sensitivity=(1, 1), specificity=(1, 1))
    with make_study(tmp_path, PAIRS[:2]) as study:
        simulate_votes(study, sure, read_difficulty(tmp_path / "d.csv"))
        assert frequencies(study)["frequency"].tolist() == [1, 0]


def test_the_model_is_the_one_that_is_written_down(tmp_path: Path) -> None:
    difficulty = pd.DataFrame(
        {"image_id": [image for image, _ in PAIRS], "probability": [0.0] * 20 + [1.0] * 20}
    )
    simulation = Simulation(votes_per_image=50, sensitivity=(0.9, 0.9), specificity=(0.8, 0.8))
    with make_study(tmp_path, PAIRS) as study:
        simulate_votes(study, simulation, difficulty)
        selected = frequencies(study)["num_selected"]
    # 1,000 votes a half: expected 200 and 900, standard deviations 12.6 and 9.5.
    assert 140 < selected[:20].sum() < 260
    assert 855 < selected[20:].sum() < 945


def test_the_original_is_easier_than_the_pool_by_default(tmp_path: Path) -> None:
    with make_study(tmp_path, PAIRS, ORIGINALS) as study:
        simulate_votes(study)
        table = frequencies(study)
    assert table["frequency"][40:].mean() > table["frequency"][:40].mean() + 0.1


def test_a_difficulty_that_is_none_is_refused(tmp_path: Path) -> None:
    with make_study(tmp_path, PAIRS) as study:
        with pytest.raises(VotesError, match="difficulty: column 'probability' is missing"):
            simulate_votes(study, difficulty=pd.DataFrame({"image_id": ["i00"]}))
        with pytest.raises(VotesError, match=r"difficulty, row 2: probability is 1.5"):
            simulate_votes(
                study, difficulty=pd.DataFrame({"image_id": ["i00", "i01"], "probability": [1, 1.5]})
            )


@pytest.mark.parametrize(
    "values", [{"votes_per_image": 51}, {"candidates": (0.0, 1.0)}, {"specificity": (0.5, 0.4)}]
)
def test_a_simulation_that_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Simulation(**values)  # type: ignore[arg-type]
