"""Frames for the tests of sampling."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["frame", "random_frame", "spread"]


def frame(wnid: str, counts: Sequence[tuple[int, int]], *, prefix: str = "") -> pd.DataFrame:
    """One image a (num_selected, num_shown), ids ``<prefix>0000``, ..."""
    return pd.DataFrame(
        {
            "image_id": [f"{prefix}{index:04d}" for index in range(len(counts))],
            "wnid": wnid,
            "num_selected": [selected for selected, _ in counts],
            "num_shown": [shown for _, shown in counts],
        }
    )


def spread(wnid: str, per_count: int, *, prefix: str = "") -> pd.DataFrame:
    """``per_count`` images for every k of 10."""
    return frame(wnid, [(k, 10) for k in range(11) for _ in range(per_count)], prefix=prefix)


def random_frame(prefix: str, classes: int, images: int, shape: tuple[float, float]) -> pd.DataFrame:
    """``classes`` x ``images`` with 10 votes each; the frequencies are Beta(shape)."""
    rng = np.random.default_rng(int.from_bytes(prefix.encode(), "big"))
    total = classes * images
    return pd.DataFrame(
        {
            "image_id": [hashlib.sha1(f"{prefix}{i}".encode()).hexdigest() for i in range(total)],
            "wnid": np.repeat([f"n{index:08d}" for index in range(classes)], images),
            "num_selected": rng.binomial(10, rng.beta(*shape, size=total)),
            "num_shown": 10,
        }
    )
