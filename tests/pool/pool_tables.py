"""Pools made on the spot: DataComp's columns, real captions, scores with NaN, nulls and many ties."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def pool_table(captions: list[str], start: int, rows: int, *, seed: int = 0) -> pa.Table:
    """``rows`` samples with DataComp's columns; scores are rounded to 3 digits, so ties are many."""
    draw = np.random.default_rng([seed, start])
    uids = [bytes(draw.integers(0, 256, 16, np.uint8)).hex() for _ in range(rows)]
    scores = np.round(draw.normal(0.25, 0.06, rows), 3).astype(np.float32)
    scores[draw.random(rows) < 0.02] = np.nan
    large = pa.array(scores + np.float32(0.01), mask=draw.random(rows) < 0.01)
    return pa.table(
        {
            "uid": uids,
            "url": [f"https://example.org/{start + i}.jpg" for i in range(rows)],
            "text": [captions[(start + i) % len(captions)] if i % 97 else None for i in range(rows)],
            "original_width": draw.integers(50, 1200, rows),
            "original_height": draw.integers(50, 1200, rows),
            "clip_b32_similarity_score": scores,
            "clip_l14_similarity_score": large,
        }
    )
