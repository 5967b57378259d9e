"""What a table lacks is told with what it has; what predictions lack, by the names that fit best."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from servers.images import made_photo

from newtest.classes.custom import read_classes
from newtest.errors import NewtestError
from newtest.evaluation.analysis.frequency_gap import pool_counts
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.classmap import read_class_map
from newtest.evaluation.scoring.keys import rows_by_id
from newtest.evaluation.scoring.labels import read_labels
from newtest.evaluation.scoring.results import with_groups
from newtest.evaluation.scoring.sets import read_set
from newtest.releasing.evidence import read_blocked, read_near_duplicates
from newtest.sampling.pairs import pairs_of


@pytest.mark.parametrize(
    "read",
    [
        read_class_map, read_labels, read_set, read_near_duplicates, read_classes,
        read_blocked,
        lambda path: with_groups(pd.DataFrame({"model": ["m"]}), path),
        lambda path: pool_counts(pd.read_csv(path), str(path)),
        lambda path: pairs_of(pd.read_csv(path), str(path)),
    ],
)  # fmt: skip
def test_a_missing_column_is_told_with_those_that_there_are(read: object, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("picture,kind\na.jpg,cat\n")
    with pytest.raises(NewtestError, match="it has picture, kind"):
        read(table)  # type: ignore[operator]


def test_images_without_a_prediction_are_counted_by_the_names_that_fit_best(tmp_path: Path) -> None:
    for cls in ("a", "b"):
        (tmp_path / cls / "deep").mkdir(parents=True)
        (tmp_path / cls / "0.jpg").write_bytes(made_photo(1))
    (tmp_path / "a/deep/1.jpg").write_bytes(made_photo(2))
    found = read_set(tmp_path)
    with pytest.raises(
        Unscorable, match=r"^1 of the 3 images have no prediction, first '1.jpg', compared as paths$"
    ):
        rows_by_id(found, pd.Series(["a/0.jpg", "b/0.jpg"]).to_numpy(dtype=str))
