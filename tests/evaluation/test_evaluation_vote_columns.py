"""Numbers of votes in tables that somebody else made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.frequency_gap import read_pool
from newtest.evaluation.scoring.board_files import read_boards
from newtest.evaluation.scoring.labels import read_labels
from newtest.evaluation.scoring.vote_columns import votes_of


def test_empty_cells_are_no_votes_and_numbers_may_be_texts() -> None:
    images = pd.DataFrame({"num_selected": ["3", "", None, "2.0"], "num_shown": [5, np.nan, 0, 4]})
    selected, shown = votes_of(images, "set")
    assert selected.tolist() == [3, 0, 0, 2]
    assert shown.tolist() == [5, 0, 0, 4]


@pytest.mark.parametrize("cell", ["x", "0.5", "-1", "1e400", "9" * 23, "9" * 5000, "inf"])
def test_what_is_no_number_of_votes_is_named_with_its_row(cell: str, tmp_path: Path) -> None:
    table = tmp_path / "pool.csv"
    table.write_text(f"num_selected,num_shown\n1,5\n{cell},5\n")
    with pytest.raises(
        EvaluationError, match=r"pool\.csv: column num_selected, row 2: .* is not a number of votes"
    ):
        read_pool(table)


def test_a_count_beyond_whole_numbers_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    table.write_text(f"model,set,k,n\na,val,5,9\nb,val,5,{'9' * 30}\n")
    with pytest.raises(EvaluationError, match="must hold whole numbers"):
        read_boards([table])


@pytest.mark.parametrize("digits", [19, 30, 5000])
def test_a_label_of_more_digits_than_64_bits_hold_is_a_name(digits: int, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"image,label\na,{'9' * digits}\nb,5\n")
    labels, names = read_labels(table)
    assert [str(one) for (one,) in labels] == ["9" * digits, "5"]
    assert names is not None and names.tolist() == ["a", "b"]
