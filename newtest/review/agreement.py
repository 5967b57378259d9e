"""How many models agree with an image's class: a table from outside, to sort a class by."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from newtest.errors import ConfigError
from newtest.spreadsheets import read_sheet

__all__ = ["read_agreement"]


def read_agreement(path: Path) -> dict[str, float]:
    """image_id -> share of models in [0, 1], from a CSV with these two columns. Raises ConfigError."""
    try:
        table = read_sheet(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as CSV ({error})") from error
    if not {"image_id", "agreement"} <= set(table.columns):
        raise ConfigError(
            f"{path}: the columns image_id and agreement are required; it has "
            f"{', '.join(map(str, table.columns))[:300]}"
        )
    shares = pd.to_numeric(table["agreement"], errors="coerce")
    if not shares.between(0, 1).all():
        raise ConfigError(
            f"{path}: line {int((~shares.between(0, 1)).argmax()) + 2}: an agreement lies in 0..1"
        )
    return dict(zip(table["image_id"], shares.astype(float), strict=True))
