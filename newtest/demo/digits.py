"""The demo's data: scikit-learn's 1,797 real scans of handwritten digits, dealt into three heaps.

* the *training* scans, for the classifiers;
* the *original test set*, drawn at random;
* the *candidate pool*: the other scans, as a search by keyword would return them: filed under their digit, a few under
  a digit that they are not. Hard scans are more frequent here than in the original (the deal prefers easy scans
  for training and the test set), so whoever draws from the pool at random gets a harder test set.

A scan's *ambiguity* is how near the scans of other digits are, next to those of its own: d_own / (d_own + d_other),
the mean distances in pixels to the five nearest of each. It decides the deal and how often the simulated annotators
err. Nothing here is drawn by hand or made up: all pictures are the scans themselves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from newtest.draws import generator
from newtest.errors import MissingExtra
from newtest.files import write_atomic
from newtest.records import image_id_of

__all__ = [
    "Deal",
    "Digits",
    "deal",
    "difficulty",
    "load",
    "tendencies",
    "write_class_folders",
    "write_classes",
]

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NEIGHBOURS = 5
SIDE = 96  # pixels of a written PNG: the 8 x 8 scan, each pixel a 12 x 12 block
PREFERENCE = 8.0  # how much the deal prefers clear scans for training and the original
STEEPNESS = 20.0
MISFILED = 0.08  # share of a class's search results that show something else


@dataclass(frozen=True)
class Digits:
    """All scans: ``pixels`` (1797, 64) in [0, 16], ``digit`` (1797,) in 0..9, ``ambiguity`` (1797,) in [0, 1]."""

    pixels: npt.NDArray[np.float64]
    digit: npt.NDArray[np.int64]
    ambiguity: npt.NDArray[np.float64]

    def png(self, index: int) -> bytes:
        """The scan as a PNG file, dark ink on white."""
        levels = (255 - self.pixels[index].reshape(8, 8) * (255 / 16)).round().astype(np.uint8)
        buffer = BytesIO()
        Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(buffer, format="PNG")
        return buffer.getvalue()


@dataclass(frozen=True)
class Deal:
    """Three heaps: ``train`` are scan indices; ``original`` and ``pool`` are tables with the columns index and digit,
    the digit under which the scan is filed."""

    train: npt.NDArray[np.int64]
    original: pd.DataFrame
    pool: pd.DataFrame


def load() -> Digits:
    """The scans, with their ambiguity. Raises MissingExtra without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("scikit-learn", "demo") from error
    bunch = load_digits()
    pixels, digit = bunch.data.astype(np.float64), bunch.target.astype(np.int64)
    squares = (pixels**2).sum(axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * pixels @ pixels.T
    np.fill_diagonal(distance, np.inf)
    same = digit[:, None] == digit[None, :]
    own = _mean_of_nearest(np.where(same, distance, np.inf))
    other = _mean_of_nearest(np.where(same, np.inf, distance))
    return Digits(pixels, digit, own / (own + other))


def _mean_of_nearest(squared: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    nearest = np.partition(squared, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    mean: npt.NDArray[np.float64] = np.sqrt(nearest.clip(0)).mean(axis=1)
    return mean


def deal(digits: Digits, *, seed: int, num_train: int = 60, num_original: int = 45) -> Deal:
    """Deal the scans of each digit: ``num_train`` and ``num_original`` a class, the rest is the pool."""
    train, original, found = [], [], []
    for value, name in enumerate(NAMES):
        mine = np.flatnonzero(digits.digit == value)
        draw = generator(seed, "demo", "deal", name)
        # Gumbel keys: a draw without replacement in which an ambiguous scan is taken later, so that more of them
        # are left for the pool.
        keys = draw.gumbel(size=mine.size) - PREFERENCE * digits.ambiguity[mine]
        order = mine[np.argsort(-keys, kind="stable")]
        taken = draw.permutation(order[: num_train + num_original])
        train.append(taken[:num_train])
        original.append(taken[num_train:])
        found += [(int(index), value) for index in order[num_train + num_original :]]
    pool = pd.DataFrame(found, columns=["index", "digit"])
    draw = generator(seed, "demo", "misfiled")
    wrong = pool.iloc[np.sort(draw.choice(len(pool), size=round(MISFILED * len(pool)), replace=False))]
    shift = draw.integers(1, 10, size=len(wrong))
    misfiled = pd.DataFrame(
        {"index": wrong["index"].to_numpy(), "digit": (wrong["digit"].to_numpy() + shift) % 10}
    )
    pool = pd.concat([pool, misfiled], ignore_index=True).sort_values(["digit", "index"], ignore_index=True)
    originals = np.sort(np.concatenate(original))
    filed = pd.DataFrame({"index": originals, "digit": digits.digit[originals]})
    return Deal(np.sort(np.concatenate(train)), filed, pool)


def tendencies(digits: Digits, pairs: pd.DataFrame) -> npt.NDArray[np.float64]:
    """How likely a simulated annotator is to see the digit in each pair (columns index, digit): in [0, 1].

    A logistic curve of the ambiguity: a clear scan of the digit is ticked nearly always, one that is as near to
    other digits as to its own (ambiguity 1/2) half the time, a clear scan of another digit hardly ever.
    """
    index = pairs["index"].to_numpy()
    right = digits.digit[index] == pairs["digit"].to_numpy()
    doubt: npt.NDArray[np.float64] = 1 / (1 + np.exp(STEEPNESS * (0.5 - digits.ambiguity[index])))
    return np.where(right, 1 - doubt, 0.5 * doubt)


def difficulty(digits: Digits, dealt: Deal) -> pd.DataFrame:
    """The tendencies as ``simulate_votes`` takes them: image_id (as the study names them), wnid, probability."""
    frames = []
    for pairs, is_pool in ((dealt.original, False), (dealt.pool, True)):
        names = [
            image_id_of("folder", hashlib.sha256(digits.png(index)).hexdigest())
            if is_pool
            else file_name(index)
            for index in pairs["index"]
        ]
        wnids = [NAMES[digit] for digit in pairs["digit"]]
        frames.append(
            pd.DataFrame({"image_id": names, "wnid": wnids, "probability": tendencies(digits, pairs)})
        )
    return pd.concat(frames, ignore_index=True)


def file_name(index: int) -> str:
    """What a scan's PNG is called."""
    return f"scan-{index:04d}.png"


def write_class_folders(digits: Digits, pairs: pd.DataFrame, root: Path) -> None:
    """Write pairs (columns index, digit) as ``root/<class>/<image id>.png``: what an image folder looks like."""
    for index, digit in pairs[["index", "digit"]].itertuples(index=False):
        folder = root / NAMES[digit]
        write_atomic(folder / file_name(index), digits.png(index))


def write_classes(path: Path) -> None:
    """The ten classes as a TOML file: digits as *images* have no synsets worth searching for."""
    write_atomic(
        path,
        "".join(
            f'[{name}]\nlemmas = ["{name}"]\ngloss = "a handwritten digit {value}"\n\n'
            for value, name in enumerate(NAMES)
        ),
    )
