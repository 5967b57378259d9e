"""Tables of strangers as DataFrames: CSV, TSV and Parquet, where a name is text whatever it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.names import group_of, is_answer, is_id, is_truth, plain
from newtest.evaluation.scoring.opening import check
from newtest.files import open_bytes
from newtest.reading.parquet import read_parquet
from newtest.reading.separated import read_separated

__all__ = ["is_count", "read_frame"]

_NO_TABLES = (
    ".json",
    ".jsonl",
    ".xlsx",
    ".xls",
    ".ods",
    ".md",
    ".html",
    ".tex",
    ".npy",
    ".npz",
    ".pkl",
    ".zip",
    ".gz",
)
_NAMES = {"model", "set", "from", "to", "name", "group", "base", "type", "metric"}
# pandas reads these as missing. In a column of names "NA", "None" and "nan" are names: only an empty cell is missing.
_MISSING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip


def read_frame(path: Path, *, text: bool = False) -> pd.DataFrame:
    """A table as it is. Columns of names are text ("0042" is not 42, "NA" is not missing); with ``text`` all columns of
    a CSV are but those of scores. A named index of Parquet is a column, an unnamed one stays the index.

    Raises EvaluationError with the file's name.
    """
    check(path)
    if (suffix := path.suffix.lower()) in _NO_TABLES:
        raise EvaluationError(f"{path}: a table is CSV, TSV or Parquet, not {suffix}")
    try:
        parquet = path.suffix.lower() == ".parquet"
        frame = read_parquet(path) if parquet else _read_csv(path, text=text)
    except (
        ValueError,
        OSError,
        OverflowError,
    ) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EvaluationError(f"{path}: not a readable table ({reason})") from error
    if text:
        return frame
    if isinstance(frame.index, pd.MultiIndex):
        return _with_levels(frame)
    if frame.index.name is not None and frame.index.name not in frame.columns:
        frame = frame.reset_index()
    return frame


def _with_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """The levels of an index as columns. Where none has a name for ids, the one that tells the rows apart is the index,
    or all of them as a path.
    """
    levels = {
        f"index level {at}" if name is None else str(name): frame.index.get_level_values(at)
        for at, name in enumerate(frame.index.names)
    }
    unique = [name for name, cells in levels.items() if cells.is_unique]
    keys = levels[unique[0]] if unique else ["/".join(map(str, cells)) for cells in frame.index]
    flat = frame.reset_index(drop=True)
    for name, cells in reversed(levels.items()):
        if name not in flat.columns:
            flat.insert(0, name, cells.to_numpy())
    if not any(map(is_id, flat.columns)):
        flat.index = pd.Index(keys)
    return flat


def is_count(cells: Sequence[object] | pd.Index | pd.Series) -> bool:
    """Whether cells are 0, 1, 2, ...: pandas' own index, which names nothing."""
    return [str(cell) for cell in cells] == [str(at) for at in range(len(cells))]


def _read_csv(path: Path, *, text: bool) -> pd.DataFrame:
    encoding, separator = _form(path)
    header = read_separated(path, sep=separator, encoding=encoding, nrows=0)
    _refuse_repeated(path, separator, encoding)
    columns = [str(name) for name in header.columns]
    named = {name for name in columns if (_is_text(name) if not text else not _is_score(name))}
    missing: dict[str, list[str]] = {name: [""] if name in named else _MISSING for name in columns}
    return read_separated(
        path,
        sep=separator,
        encoding=encoding,
        dtype=dict.fromkeys(named, "str"),
        keep_default_na=False,
        na_values=missing,
        index_col=False,
    )


def _refuse_repeated(path: Path, separator: str, encoding: str) -> None:
    """Raises EvaluationError where two columns have one name: pandas would call the second "name.1"."""
    first = read_separated(
        path, sep=separator, encoding=encoding, nrows=1, header=None, dtype=str, keep_default_na=False
    )
    names = first.iloc[0] if len(first) else pd.Series(dtype=str)
    twice = names[names.duplicated() & (names != "")]
    if len(twice):
        raise EvaluationError(f"{path}: two columns are called {twice.iloc[0]!r}; rename one")


def _form(path: Path) -> tuple[str, str]:
    """The encoding and the separator: UTF-16 by its mark; semicolons where a header has them and no comma."""
    with open_bytes(path) as handle:
        start = handle.read(1 << 16)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    header = start.decode(encoding, errors="replace").splitlines()[:1]
    first = header[0] if header else ""
    if path.suffix.lower() == ".tsv" or ("\t" in first and "," not in first):
        return encoding, "\t"
    return encoding, ";" if ";" in first and "," not in first else ","


def _is_text(name: str) -> bool:
    return (
        plain(name) in _NAMES
        or is_id(name)
        or is_truth(name)
        or is_answer(name)
        or name.startswith("Unnamed: ")
    )


def _is_score(name: str) -> bool:
    found = group_of(name)
    return found is not None and found[0] == "scores"
