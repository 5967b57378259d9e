"""The tree of fastText's hierarchical softmax, and the probability of each label in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtest.pool.filtering.lid.model_file import Floats

__all__ = ["LabelTree", "label_tree", "probabilities"]

_FLOOR = np.float32(1e-5)
"""What fastText adds to a probability before it takes the logarithm (``std_log``)."""

_EMPTY = 10**15
"""The count of a node that has not been made yet."""


@dataclass(frozen=True)
class LabelTree:
    """Nodes 0 to labels - 1 are the labels, the others inner ones, the last the root."""

    labels: int
    children: tuple[tuple[int, int], ...]
    """The left and the right child of each inner node; both have smaller numbers than the node."""
    depth: int
    """The most inner nodes on the way to a label."""


def label_tree(counts: Sequence[int]) -> LabelTree:
    """Huffman's tree of two or more labels, as ``HierarchicalSoftmaxLoss::buildTree`` makes it: ties count."""
    labels = len(counts)
    weights = [*counts, *[_EMPTY] * (labels - 1)]
    leaf, node = labels - 1, labels
    children: list[tuple[int, int]] = []
    depths = [0] * labels
    for made in range(labels, 2 * labels - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        left, right = pair
        children.append((left, right))
        weights[made] = weights[left] + weights[right]
        depths.append(1 + max(depths[left], depths[right]))
    return LabelTree(labels, tuple(children), depths[-1])


def probabilities(tree: LabelTree, logits: Floats) -> Floats:
    """Each label's probability, shape (labels, n), from the inner nodes' logits, shape (labels - 1, n), which are
    overwritten.

    fastText sums logarithms, of which log(p + 1e-5) is one; here the p + 1e-5 are multiplied.
    """
    np.negative(logits, out=logits)
    with np.errstate(over="ignore"):  # exp becomes infinite, and its probability 0
        np.exp(logits, out=logits)
    logits += 1
    to_right = np.reciprocal(logits, out=logits)
    to_right += _FLOOR
    nodes = np.empty((2 * tree.labels - 1, logits.shape[1]), np.float32)
    nodes[-1] = 1
    for number in range(tree.labels - 2, -1, -1):
        left, right = tree.children[number]
        here, go = nodes[number + tree.labels], to_right[number]
        np.multiply(here, go, out=nodes[right])
        np.subtract(1 + 2 * _FLOOR, go, out=go)
        np.multiply(here, go, out=nodes[left])
    return nodes[: tree.labels]
