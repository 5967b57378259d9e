"""Tables of sets as strangers write them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from newtest.evaluation.scoring.set_paths import with_paths


def test_a_row_whose_file_is_missing_has_no_path(tmp_path: Path) -> None:
    """Found by fuzzing: a missing text in a column of texts is a float."""
    frame = pd.DataFrame({"image_id": ["a", "b", "c"], "file": ["a.png", None, float("nan")]})
    paths = with_paths(frame, tmp_path)["path"].tolist()
    assert paths[0] == str((tmp_path / "a.png").resolve())
    assert [path for path in paths[1:] if path and not path.startswith(str(tmp_path.resolve()))] == []
