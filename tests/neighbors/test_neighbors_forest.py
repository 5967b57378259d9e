"""The spanning set of pairs: Kruskal's forest of all pairs in their order, whatever the tile and the engine."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from newtest.neighbors import Forest, linked_above, pairs_above, spanning


def rows(seed: int, groups: list[int], width: int = 24, noise: float = 0.12) -> np.ndarray:
    """Unit rows in groups of so many that are close to each other, shuffled."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(len(groups), width))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    values = np.repeat(centres, groups, axis=0)
    values = values + noise * draw.normal(size=values.shape) / np.sqrt(width)
    values = values[draw.permutation(len(values))]
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def kruskal(i: np.ndarray, j: np.ndarray) -> list[tuple[int, int]]:
    """By the book, over pairs sorted by (i, j)."""
    parent: dict[int, int] = {}

    def root(vertex: int) -> int:
        while parent.setdefault(vertex, vertex) != vertex:
            vertex = parent[vertex]
        return vertex

    kept = []
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        if root(a) != root(b):
            parent[root(a)] = root(b)
            kept.append((a, b))
    return kept


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("tile", [None, (7, 5), (64, 64), (300, 100)])
@pytest.mark.parametrize("threshold", [0.9, 0.985])
def test_it_is_kruskals_forest(backend: str, tile: tuple[int, int] | None, threshold: float) -> None:
    values = rows(0, [1] * 60 + [2] * 20 + [150, 90])
    i, j, near = pairs_above(values, threshold=threshold)
    left, right, closeness = linked_above(values, threshold=threshold, backend=backend, tile=tile)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == kruskal(i, j)
    of = {(a, b): c for a, b, c in zip(i.tolist(), j.tolist(), near.tolist(), strict=True)}
    assert [of[pair] for pair in zip(left.tolist(), right.tolist(), strict=True)] == closeness.tolist()
    assert 200 < len(left) < len(i) / 20


@pytest.mark.parametrize("tile", [None, (11, 400), (130, 17)])
def test_between_two_sets_every_row_that_is_close_to_one_is_in_it(tile: tuple[int, int] | None) -> None:
    values = rows(1, [1] * 40 + [3] * 10 + [200])
    a, b = values[:150], values[150:]
    i, j, _ = pairs_above(a, b, threshold=0.95)
    left, right, _ = linked_above(a, b, threshold=0.95, tile=tile)
    found = list(zip(left.tolist(), (right + 1000).tolist(), strict=True))
    assert found == kruskal(i, j + 1000)
    assert (set(left.tolist()), set(right.tolist())) == (set(i.tolist()), set(j.tolist()))


def test_the_forest_of_forests_is_the_forest() -> None:
    draw = np.random.default_rng(2)
    codes = np.unique(draw.integers(0, 200 * 200, 900))
    i, j = np.divmod(codes, 200)
    i, j = i[i < j], j[i < j]
    whole = spanning(i, j)
    assert list(zip(i[whole].tolist(), j[whole].tolist(), strict=True)) == kruskal(i, j)
    forest = Forest()
    for part in np.array_split(draw.permutation(len(i)), 7):
        forest.add(i[part], j[part], np.zeros(len(part)))
        forest.add(i[part[:3]], j[part[:3]], np.zeros(len(part[:3])))  # one may come twice
    left, right, _ = forest.found()
    assert np.array_equal(left, i[whole]) and np.array_equal(right, j[whole])


def test_thousands_of_close_rows_cost_memory_in_proportion() -> None:
    values = rows(3, [3000] + [1] * 500, width=32, noise=0.05)
    left, right, _ = linked_above(values, threshold=0.95)
    assert len(left) == 2999
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(3500, 3500))
    assert connected_components(graph, directed=False)[0] == 501
