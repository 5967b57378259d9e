"""Second labels to ask about: other classes that images may show, from predictions, near classes, or a table.

ReaL's further labels (15,389 beyond the given ones) were found like this, by ImageNet's 50,000 images: the best five
answers of 11 models, at most five classes per image, hold .79 of them; the five classes that ImageNetV2 lists as
most similar .20.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.classmap import ClassMap, class_map
from newtest.evaluation.scoring.compared import ScoreConfig, best_classes
from newtest.evaluation.scoring.labels import read_labels
from newtest.evaluation.scoring.mapped import mapped
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.reading import read_predictions
from newtest.evaluation.scoring.score import Aligned
from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["FromFiles", "ProposalConfig", "from_near", "from_predictions", "from_table"]

Ints = npt.NDArray[np.int64]
COLUMNS = ("image_id", "wnid", "source")


@dataclass(frozen=True)
class ProposalConfig:
    """Which answers of models become proposals."""

    top: int = 5
    """The best answers of a model that count."""
    least: int = 2
    """Models that must name a class (one, where there is one model)."""
    most: int = 5
    """Classes per image: those that most models name."""

    def __post_init__(self) -> None:
        if min(self.top, self.least, self.most) < 1:
            raise EvaluationError("the three numbers of `proposals_of` are at least 1")


@dataclass(frozen=True)
class FromFiles:
    """image_id, wnid, source; the files that fit the set, and whether their rows were taken by position; and what was
    left out, in words."""

    proposals: pd.DataFrame
    used: dict[Path, bool]
    said: list[str]


def from_predictions(
    evaluated: EvaluationSet,
    files: Sequence[Path],
    config: ProposalConfig | None = None,
    *,
    classes: Path | None = None,
) -> FromFiles:
    """Proposals with source "predictions". Each image's own classes are not proposed.

    ``classes``: the model's classes in the order of its outputs. Raises EvaluationError for classes that fit no set.
    """
    config = config or ProposalConfig()
    whole = mapped(evaluated, classes=classes, unreachable="wrong" if classes else "auto")
    models: dict[str, tuple[Ints, tuple[str, ...]]] = {}
    said: list[str] = []
    used: dict[Path, bool] = {}
    for path in files:
        try:
            read, cautions = read_predictions(path, whole.evaluated, mapping=whole.mapping)
        except EvaluationError as error:
            said.append(str(error))
            continue
        said += map(str, cautions)
        for one in read:
            if one.model in models:
                continue  # the same model's top-1 beside its top-5 in another file
            try:
                models[one.model] = _best(whole.evaluated, one, whole.mapping, config.top)
                used[path] = one.ids is None
            except Unscorable as error:
                said.append(f"{path}: {one.model}: {error}; it proposes nothing")
    pairs = _named(whole.evaluated, list(models.values()), config) if models else []
    return FromFiles(_frame(pairs, "predictions"), used, said)


def _named(
    evaluated: EvaluationSet, models: Sequence[tuple[Ints, tuple[str, ...]]], config: ProposalConfig
) -> list[tuple[str, str]]:
    """Image and class, the classes that most models name first."""
    names = sorted({name for _, outputs in models for name in outputs})
    code = {name: at for at, name in enumerate(names)}
    keys = []
    for best, outputs in models:
        codes = np.array([code[name] for name in outputs] + [-1], dtype=np.int64)[
            best
        ]  # -1 picks the last: none
        places = codes + len(names) * np.arange(len(best), dtype=np.int64)[:, None]
        keys.append(np.unique(places[codes >= 0]))
    found, count = np.unique(np.concatenate(keys), return_counts=True)
    found, count = (part[count >= min(config.least, len(models))] for part in (found, count))
    own, ids = _own(evaluated), evaluated.images["image_id"].astype(str).tolist()
    pairs, taken = [], Counter[int]()
    for key in found[np.lexsort((found, -count, found // len(names)))].tolist():
        row, name = key // len(names), names[key % len(names)]
        if name not in own[row] and taken[row] < config.most:
            taken[row] += 1
            pairs.append((ids[row], name))
    return pairs


def from_near(evaluated: EvaluationSet, similar: Callable[[str], Sequence[str]], count: int) -> pd.DataFrame:
    """The ``count`` nearest other classes of each image's class, nearest first by ``similar``; source "near"."""
    own = _own(evaluated)
    near = {name: list(similar(name)) for name in sorted({evaluated.classes[at] for at in evaluated.own})}
    pairs = []
    for row, (image, at) in enumerate(
        zip(evaluated.images["image_id"].astype(str), evaluated.own, strict=True)
    ):
        others = [name for name in near[evaluated.classes[at]] if name not in own[row]]
        pairs += [(image, name) for name in others[:count]]
    return _frame(pairs, "near")


def from_table(evaluated: EvaluationSet, path: Path) -> tuple[pd.DataFrame, set[str]]:
    """Proposals of a file: image -> classes (JSON), or a table of ids and classes; source "table". Also gives the
    images of the file that the set does not have. Raises EvaluationError where the file has no ids.
    """
    lists, keys = read_labels(path)
    if keys is None:
        raise EvaluationError(
            f"{path}: proposals need the id of their image; give image -> classes, or a table"
        )
    ids = evaluated.images["image_id"].astype(str).tolist()
    own = dict(zip(ids, _own(evaluated), strict=True))
    pairs = []
    for key, cell in zip(keys.tolist(), lists, strict=True):
        pairs += [
            (key, str(name)) for name in dict.fromkeys(cell) if key in own and str(name) not in own[key]
        ]
    return _frame(pairs, "table"), set(keys.tolist()) - own.keys()


def _best(
    evaluated: EvaluationSet, one: Predictions, mapping: ClassMap | None, top: int
) -> tuple[Ints, tuple[str, ...]]:
    """The best answers as positions in the model's classes, (N, up to ``top``), -1 for none; and these classes."""
    rows = Aligned(evaluated).rows(one)
    if one.outputs is not None:
        mapping = class_map(one.outputs, evaluated.classes, partial=True)
    names = evaluated.classes if mapping is None else mapping.outputs
    return best_classes(evaluated, one, one.values[rows.at], mapping, ScoreConfig(), top), names


def _own(evaluated: EvaluationSet) -> list[set[str]]:
    every = np.stack([evaluated.own, *evaluated.truths()], axis=1)
    return [{evaluated.classes[at] for at in row} for row in every.tolist()]


def _frame(pairs: Sequence[tuple[str, str]], source: str) -> pd.DataFrame:
    return pd.DataFrame([(*pair, source) for pair in pairs], columns=list(COLUMNS), dtype=object)
