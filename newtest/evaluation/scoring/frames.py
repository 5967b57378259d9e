"""One reader of tables for everything that is evaluated: CSV, TSV and Parquet as they are, names as text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from newtest.errors import EvaluationError

__all__ = ["read_frame"]

_NAMES = dict.fromkeys(("model", "set", "image_id", "id", "file", "filename", "image"), "str")


def read_frame(path: Path) -> pd.DataFrame:
    """A CSV, TSV or Parquet file as it is, names as text ("0042" is not 42); raises EvaluationError with the file's
    name.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=_NAMES)
    except FileNotFoundError:
        raise EvaluationError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        raise EvaluationError(f"{path}: not a readable table ({str(error).splitlines()[0]})") from error
