"""How many images to draw at each count, so that the drawn set's true frequencies are spread as the original's.

A candidate with given counts has a posterior distribution of its true frequency. Drawing y_b of the a_b candidates of a
group b, the drawn set's true frequencies follow the mixture sum_b y_b p_b(s) / m. The y minimise

    integral (F_drawn(s) - F_target(s))^2 ds + MEAN (mean_drawn - mean_target)^2 + EVEN chi^2(y, a)

subject to 0 <= y_b <= a_b and sum_b y_b = m: the Cramer distance, the mean (which decides most about accuracy) weighed
heavily, and a small pull towards drawing evenly, which makes the answer unique. It is a convex quadratic programme,
solved for all classes at once.

Why an interior point method of our own: SciPy solves one programme at a time. A thousand classes at once take a sixth
of SLSQP's CPU time, with minima that differ by 1e-12 (``benchmarks/results/own-code-2cores-2026-11.md``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.frequency.mixture import GRID

__all__ = [
    "EDGES",
    "GROUPS",
    "Solution",
    "group_of",
    "minimise",
    "round_systematically",
    "solve",
    "solve_together",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GROUPS = 24
EDGES: Floats = np.sin(np.linspace(0.0, np.pi / 2, GROUPS + 1)) ** 2
"""Images are drawn by groups of expected true frequency, finer towards 0 and 1."""
MEAN = 30.0
EVEN = 1e-3
SHIFTS = 6
CLOSE = 2e-4
MOST_SHIFT = 0.1
ITERATIONS = 30
CENTRING = 0.1
SMALLEST_GAP = 1e-13


@dataclass(frozen=True)
class Solution:
    """``images`` (C, B): how many to draw of each group, real numbers; ``mean`` (C,): the drawn mean frequency."""

    images: Floats
    mean: Floats


def group_of(expected: Floats) -> Ints:
    """The group, 0 .. GROUPS - 1, of each expected true frequency; half-open, the last one closed."""
    return np.searchsorted(EDGES[1:-1], expected, side="right").astype(np.int64)


def solve_together(target: Floats, posteriors: Floats, available: Floats, wanted: Floats) -> Solution:
    """As ``solve``, but what some classes cannot reach of their mean the others make up: the whole set's is right.

    Where votes are few, a class may have no candidate that is known to be as easy as its originals. Then the mean that
    is asked of every class is shifted, by ``MOST_SHIFT`` at most: a class that has the candidates comes out that much
    easier than its originals, the set as a whole as easy as the original.
    """
    means = target @ GRID
    solution, shift, gain = solve(target, posteriors, available, wanted), 0.0, 1.0
    size = solution.images.sum(axis=1)
    for _ in range(SHIFTS):
        missing = float(size @ (means - solution.mean) / max(size.sum(), 1.0))
        asked = float(np.clip(shift + missing / gain, -MOST_SHIFT, MOST_SHIFT)) - shift
        if abs(missing) < CLOSE or not asked:
            break
        before, shift = solution.mean, shift + asked
        solution = solve(target, posteriors, available, wanted, shift=shift)
        # Classes at their limit do not follow: the next step is as much larger.
        gain = max(float(size @ (solution.mean - before) / size.sum()) / asked, 0.1)
    return solution


def solve(
    target: Floats, posteriors: Floats, available: Floats, wanted: Floats, *, shift: float = 0.0
) -> Solution:
    """The y of the module's docstring for C classes at once.

    ``target`` (C, G) distributions on GRID; ``posteriors`` (C, B, G) the mean posterior of each group (anything where
    the group is empty); ``available`` (C, B) images; ``wanted`` (C,) images. Where less is available than wanted, all
    of it is taken. ``shift`` is added to the mean that is asked for.
    """
    supply = available.sum(axis=1)
    wanted = np.minimum(wanted, supply)
    # Where all or nothing is taken there is nothing to choose: such classes get a harmless problem to solve.
    choice = (wanted > 0) & (wanted < supply)
    share = np.where(choice[:, None], available, 1.0)
    share /= share.sum(axis=1, keepdims=True)
    root = np.sqrt(share)
    # In z = (y / m) / sqrt(share) the pull towards even drawing is a plain distance and the bounds are a box.
    most = np.divide(supply, wanted, out=np.full_like(supply, 2.0), where=choice)[:, None] * root
    most[root == 0] = 1.0  # empty groups have no say in the sum: z is idle there
    width = np.sqrt(np.gradient(GRID))
    features = (
        np.concatenate(
            [np.cumsum(posteriors, axis=2) * width, np.sqrt(MEAN) * (posteriors @ GRID)[:, :, None]], axis=2
        )
        * root[:, :, None]
    )
    goal = np.concatenate(
        [np.cumsum(target, axis=1) * width, np.sqrt(MEAN) * (target @ GRID + shift)[:, None]], axis=1
    )
    gram = features @ features.transpose(0, 2, 1) + EVEN * np.eye(features.shape[1])
    linear = (features @ goal[:, :, None])[:, :, 0] + EVEN * root
    z = minimise(gram, linear, root, most)
    images = np.where(choice[:, None], np.minimum(z * root * wanted[:, None], available), available)
    images[wanted == 0] = 0
    total = images.sum(axis=1)
    mean = np.einsum("cb,cb->c", images, posteriors @ GRID) / np.where(total > 0, total, 1.0)
    return Solution(images, mean)


def round_systematically(images: Floats, start: float) -> Ints:
    """Whole numbers whose expectation over ``start`` uniform in [0, 1) is ``images`` (B,); a whole sum stays the same.

    Madow's systematic sampling: neighbours in the given order make up for each other, so a set ordered by frequency
    keeps its mean to within one image's step.
    """
    cumulative = np.cumsum(images)
    # The sum is whole but for rounding errors: make it so, lest a last image is lost or won.
    nearest = np.round(cumulative[-1]) if images.size else 0.0
    if images.size and abs(cumulative[-1] - nearest) < 1e-6:
        cumulative[cumulative > nearest - 1e-9] = nearest
    ends = np.floor(np.concatenate([[0.0], cumulative]) + start).astype(np.int64)
    return np.diff(ends)


def minimise(gram: Floats, linear: Floats, root: Floats, most: Floats) -> Floats:
    """Minimise z'Az/2 - b'z over 0 <= z <= most, root'z = 1, for each class: a primal-dual interior point method.

    ``lower`` and ``upper`` are the multipliers of the two bounds, ``price`` that of the sum; every iteration is one
    Newton step towards a tenth of the present gap (Boyd and Vandenberghe 2004, section 11.7).
    """
    classes, groups = root.shape
    z = most / 2
    lower, upper, price = np.ones_like(z), np.ones_like(z), np.zeros((classes, 1))
    system = np.zeros((classes, groups + 1, groups + 1))
    system[:, :groups, groups] = system[:, groups, :groups] = root
    diagonal = np.arange(groups)
    for _ in range(ITERATIONS):
        slack = most - z
        gap = (lower * z + upper * slack).sum(axis=1, keepdims=True) / (2 * groups)
        centre = np.maximum(CENTRING * gap, SMALLEST_GAP)
        residual = (gram @ z[:, :, None])[:, :, 0] - linear + price * root - lower + upper
        system[:, :groups, :groups] = gram
        system[:, diagonal, diagonal] += lower / z + upper / slack
        right = -residual + (centre / z - lower) - (centre / slack - upper)
        short = 1 - (root * z).sum(axis=1, keepdims=True)
        step = np.linalg.solve(system, np.concatenate([right, short], axis=1)[:, :, None])[:, :, 0]
        dz, dprice = step[:, :groups], step[:, groups:]
        dlower = centre / z - lower - lower / z * dz
        dupper = centre / slack - upper + upper / slack * dz
        length = _step_length((z, dz), (slack, -dz), (lower, dlower), (upper, dupper))
        z, price = z + length * dz, price + length * dprice
        lower, upper = lower + length * dlower, upper + length * dupper
    return z


def _step_length(*pairs: tuple[Floats, Floats]) -> Floats:
    """The largest step up to 1, a class, that keeps every value positive."""
    most = np.ones((len(pairs[0][0]), 1))
    for value, change in pairs:
        ratio = np.divide(-value, change, out=np.full_like(value, np.inf), where=change < 0)
        most = np.minimum(most, 0.99 * ratio.min(axis=1, keepdims=True))
    return most
