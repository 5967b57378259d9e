"""ImageNetV2's published files on near-duplicates, read as tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from newtest.errors import ConfigError
from newtest.reading.jsons import read_json

__all__ = ["near_duplicate_pairs", "neighbour_distances", "reviewed_pairs"]


def near_duplicate_pairs(path: Path) -> pd.DataFrame:
    """image_a, image_b (a < b, each pair once) of ``near_duplicates.json``: id -> ids. Raises ConfigError."""
    with _shaped(path):
        return _pairs([(a, b) for a, others in _mapping(path).items() for b in others])


def reviewed_pairs(path: Path) -> pd.DataFrame:
    """image_a, image_b of the pairs that a person looked at, of ``nearest_neighbor_reviews_v2.json``:
    id -> metric -> references. Raises ConfigError."""
    with _shaped(path):
        return _pairs(
            [
                (a, b)
                for a, metrics in _mapping(path).items()
                for review in metrics.values()
                for b in review["references"]
            ]
        )


def neighbour_distances(path: Path) -> pd.DataFrame:
    """image_id, metric, rank, neighbour, distance of ``nearest_neighbor_results_test.json``. Raises ConfigError.

    The file is id -> metric -> list of (neighbour, distance). l2 and fc7 are squared here, as the published thresholds
    are (1.2e8 and 1.32e4): the file holds their roots. Nobody is its own neighbour.
    """
    rows = []
    with _shaped(path):
        for image_id, metrics in _mapping(path).items():
            for metric, near in metrics.items():
                others = [(other, float(value)) for other, value in near if other != image_id]
                for rank, (other, value) in enumerate(others):
                    rows.append(
                        (image_id, metric, rank, other, value if metric == "dssim" else value * value)
                    )
    return pd.DataFrame(rows, columns=["image_id", "metric", "rank", "neighbour", "distance"])


@contextmanager
def _shaped(path: Path) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not one of ImageNetV2's files of near-duplicates ({error})") from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: a JSON object of image ids is required")
    return found


def _pairs(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    ordered = sorted({(min(a, b), max(a, b)) for a, b in pairs if a != b})
    return pd.DataFrame(ordered, columns=["image_a", "image_b"])
