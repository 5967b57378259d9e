"""The demo's measurements: sixteen classifiers on sets of scans, from the files that were released."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.demo.digits import NAMES, SIDE
from newtest.images import read_image, shown

__all__ = ["read_scans", "score"]


def read_scans(files: list[Path]) -> npt.NDArray[np.float64]:
    """PNG files that ``Digits.png`` made, back as (N, 64) pixels in [0, 16]."""
    step = SIDE // 8
    pictures = [np.asarray(shown(read_image(file)).convert("L")) for file in files]
    images = np.stack([levels[step // 2 :: step, step // 2 :: step] for levels in pictures])
    return ((255 - images.astype(np.float64)) * 16 / 255).round().reshape(len(files), 64)


def score(classifiers: Mapping[str, tuple[str, Any]], sets: Mapping[str, Path]) -> pd.DataFrame:
    """Each classifier on each set, a folder that holds class folders: rows model, group, set, k of n right."""
    rows = []
    for name, folder in sets.items():
        files = sorted(folder.rglob("*.png"))
        pixels, truth = read_scans(files), np.array([NAMES.index(file.parent.name) for file in files])
        for model, (kind, classifier) in classifiers.items():
            right = int((classifier.predict(pixels) == truth).sum())
            rows.append({"model": model, "group": kind, "set": name, "k": right, "n": len(truth)})
    return pd.DataFrame(rows)
