"""Files and folders of results, whoever wrote them, as one board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring import board_clip, board_lm, board_timm
from newtest.evaluation.scoring.board import Board, board_rows, joined
from newtest.evaluation.scoring.board_names import with_shared_names
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.loading import LoadConfig, load
from newtest.evaluation.scoring.results import Results
from newtest.evaluation.scoring.store import is_results
from newtest.reading.failures import reason_of
from newtest.reading.jsons import read_json

__all__ = ["BoardConfig", "read_boards"]

_TABLES = (".csv", ".tsv", ".parquet")
_BESIDE = ("model_types.csv",)
_TESTBED = "imagenetv2-matched-frequency-format-val"
MOST_FILES = 20_000
"""Files of one folder: 20,000 runs of CLIP_benchmark."""


@dataclass(frozen=True)
class BoardConfig:
    """How to read. ``groups`` and ``unit`` are for tables of no known source; ``metric`` for all."""

    metric: str = "top1"
    groups: Path | None = None
    unit: str = "auto"


def read_boards(paths: Sequence[Path], options: BoardConfig | None = None) -> Board:
    """Read results tables, JSON of CLIP_benchmark and lm-eval, and results of ``newtest evaluate``, as they are.

    A folder stands for the tables and JSON files below it; those without accuracies are named and left out. Raises
    EvaluationError for a file that is named and is not a table of results.
    """
    reader = _Reader(options or BoardConfig())
    for path in paths:
        reader.read(path)
    return reader.board()


class _Reader:
    """Gathers boards by the kind of their source."""

    def __init__(self, options: BoardConfig) -> None:
        self.options = options
        self.boards: list[tuple[str, Board]] = []
        self.runs: list[dict[str, Any]] = []
        self.metadata: list[pd.DataFrame] = []
        self.ignored: dict[str, list[str]] = {}

    def read(self, path: Path) -> None:
        if not path.is_dir():
            self._file(path, inside=False)
        elif is_results(path):
            self.boards.append(("newtest", self._own([path])))
        else:
            files = sorted(file for file in path.rglob("*") if file.suffix in (*_TABLES, ".json"))
            if len(files) > MOST_FILES:
                raise EvaluationError(
                    f"{path}: more than {MOST_FILES:,} tables and JSON files; name a folder below"
                )
            if not files:
                raise EvaluationError(f"{path}: no table and no JSON file of results in this folder")
            for file in files:
                if file.name not in _BESIDE:
                    self._file(file, inside=True)

    def board(self) -> Board:
        if self.runs:
            self.boards.append(
                (
                    "clip_benchmark",
                    board_clip.read_benchmark(self.runs, "CLIP_benchmark", self.options.metric),
                )
            )
        for reason, names in self.ignored.items():
            shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
            message = f"{len(names)} files are {reason}, and are left out: {shown}"
            self.boards.append(
                ("", Board(board_rows(_NOTHING, ""), (Caution("left-out", "files", message),)))
            )
        if not any(len(board.table) for _, board in self.boards):
            raise EvaluationError(
                "no results were found; give tables, JSON of CLIP_benchmark or lm-eval, or folders of newtest evaluate"
            )
        found = joined(with_shared_names(self.boards))
        table = found.table
        for metadata in self.metadata:
            table = board_timm.with_metadata(table, metadata)
        return Board(table, found.cautions, found.repeats)

    def _file(self, path: Path, *, inside: bool) -> None:
        """``inside`` a folder what is not a table of results is named and left out; a file that was named is
        refused."""
        try:
            if path.suffix.lower() == ".json":
                self._json(path)
            else:
                self._table(path)
        except EvaluationError as error:
            if not inside:
                raise
            self.ignored.setdefault("no results", []).append(f"{path.name} ({reason_of(error)[:80]})")

    def _json(self, path: Path) -> None:
        try:
            value = read_json(path)
        except (OSError, ValueError) as error:
            raise EvaluationError(f"{path}: not readable JSON ({reason_of(error)})") from error
        runs = value if isinstance(value, list) else [value]
        if runs and all(board_clip.is_benchmark(run) for run in runs):
            self.runs += runs
        elif board_lm.is_lm_eval(value):
            self.boards.append(("lm_eval", board_lm.read_lm_eval(value, path, self.options.metric)))
        else:
            raise EvaluationError(f"{path}: neither CLIP_benchmark's JSON nor lm-eval's results")

    def _table(self, path: Path) -> None:
        frame = read_frame(path)
        metric = self.options.metric
        if board_timm.is_timm(frame):
            self.boards.append(("timm", board_timm.read_timm(frame, path, metric)))
        elif board_timm.is_timm_metadata(frame):
            self.metadata.append(frame)
        elif board_timm.is_timm_speed(frame):
            self.ignored.setdefault("tables of speed", []).append(path.name)
        elif board_clip.is_benchmark_table(frame):
            runs = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
            self.boards.append(("clip_benchmark", board_clip.read_benchmark(runs, path.name, metric)))
        elif board_clip.is_open_clip(frame):
            self.boards.append(("open_clip", board_clip.read_open_clip(frame, path)))
        else:
            board = self._own([path])
            kind = "testbed" if (board.table["set"] == _TESTBED).any() else "table"
            self.boards.append((kind, board))

    def _own(self, paths: list[Path]) -> Board:
        options = self.options
        found: Results = load(paths, LoadConfig(options.groups, options.unit, options.metric)).results  # type: ignore[arg-type]
        table = found.table[found.table["accuracy"].notna()].reset_index(drop=True)
        return Board(board_rows(table, paths[0].name), found.cautions, found.left_out)


_NOTHING = pd.DataFrame({"model": [], "set": [], "accuracy": []})
