"""Model soups (Wortsman et al. 2022): the mean of the weights of several fine-tuned models, all or greedily chosen."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from newtest.clip.weights.merging import MergeConfig, Merged, changed, opened
from newtest.clip.weights.recalibration import Recalibration, write_merged
from newtest.clip.weights.writing import check_writable
from newtest.config import fingerprint
from newtest.errors import UsageError, WeightsError
from newtest.files import open_text, sha256_of, text_at
from newtest.reading.jsons import parse_json, read_json

__all__ = ["GreedyStep", "Ingredient", "by_score", "finite", "greedy_soup", "read_scores", "uniform_soup"]

Score = Callable[[Path], float]
"""A checkpoint -> its score on held-out data; larger is better."""


@dataclass(frozen=True)
class Ingredient:
    """A fine-tuned model and its own score on held-out data (larger is better)."""

    name: str
    path: Path
    score: float


@dataclass(frozen=True)
class GreedyStep:
    """One decision: the model tried, the soup's held-out score before and with it, and whether it stays."""

    tried: str
    own_score: float
    before: float | None
    with_it: float
    added: bool


def uniform_soup(
    checkpoints: Sequence[Path],
    out: Path,
    config: MergeConfig | None = None,
    recalibrate: Recalibration | None = None,
) -> Merged:
    """Write the mean of the checkpoints; integers are copied from the first. Raises WeightsError and UsageError."""
    if not checkpoints:
        raise UsageError("a soup needs at least one checkpoint")
    check_writable(out)
    merged = opened(checkpoints, config)
    weights = [1 / len(checkpoints)] * len(checkpoints)
    write_merged(out, merged, lambda name: merged.mixed(name, weights, 0), recalibrate)
    return merged


def read_scores(path: Path) -> dict[str, float]:
    """Checkpoint file name -> held-out score, from a JSON object. Raises WeightsError."""
    try:
        rows = read_json(path)
        return finite({str(name): float(value) for name, value in rows.items()})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: must be a JSON object of file names and scores ({error})") from error


def finite(scores: dict[str, float]) -> dict[str, float]:
    """The scores as they are. Raises ValueError for NaN and infinity, by which nothing can be sorted or chosen."""
    for name, value in scores.items():
        if not math.isfinite(value):
            raise ValueError(f"the score of {name} is {value}")
    return scores


def by_score(ingredients: Sequence[Ingredient]) -> list[Ingredient]:
    """Best held-out score first; equal scores in the order given."""
    return sorted(ingredients, key=lambda ingredient: -ingredient.score)


def greedy_soup(
    ingredients: Sequence[Ingredient],
    score: Score,
    out: Path,
    *,
    log: Path,
    scored_by: str = "",
    config: MergeConfig | None = None,
    recalibrate: Recalibration | None = None,
) -> list[GreedyStep]:
    """The greedy soup: go through the models by falling held-out score, keep one if the soup's score does not fall.

    The first model is the first soup and scores what it scored alone. Every decision is a line of ``log`` (JSON),
    written once it is made; run again with the same ingredients, decisions that stand there are not computed again.
    A log of other ingredients, of another ``config``, or of scores by another ``scored_by`` (the command), raises
    WeightsError. Returns the decisions; ``out`` is the soup.
    """
    if not ingredients:
        raise UsageError("a soup needs at least one checkpoint")
    check_writable(out)
    ordered = by_score(ingredients)
    known = [(i.name, i.score, sha256_of(i.path)) for i in ordered]
    identity = fingerprint(known, scored_by, *changed(config, recalibrate.source if recalibrate else ""))
    steps = _decided(log, identity)
    trial = out.with_name(f".{out.stem}.trial{out.suffix}")
    for ingredient in ordered[len(steps) :]:
        members = [*_members(steps, ordered), ingredient]
        before = next((step.with_it for step in reversed(steps) if step.added), None)
        try:
            if len(members) > 1:
                uniform_soup([member.path for member in members], trial, config, recalibrate)
                reached = score(trial)
            else:
                reached = ingredient.score
        finally:
            trial.unlink(missing_ok=True)
        step = GreedyStep(
            ingredient.name, ingredient.score, before, reached, before is None or reached >= before
        )
        _append(log, {"ingredients": identity, **asdict(step)})
        steps.append(step)
    uniform_soup([member.path for member in _members(steps, ordered)], out, config, recalibrate)
    return steps


def _members(steps: Sequence[GreedyStep], ordered: Sequence[Ingredient]) -> list[Ingredient]:
    return [ingredient for step, ingredient in zip(steps, ordered, strict=False) if step.added]


def _decided(log: Path, identity: str) -> list[GreedyStep]:
    """The decisions that a run before this one wrote; a last line cut short by a kill is dropped."""
    if not log.exists():
        return []
    check_log(log)
    lines = text_at(log, "utf-8", errors="surrogateescape").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    steps = []
    for line in whole:
        try:
            row = parse_json(line)
            if row.pop("ingredients") != identity:
                raise WeightsError(
                    f"{log}: is the log of other ingredients or scores; give this soup its own `log`"
                )
            steps.append(GreedyStep(**row))
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{log}: is not a log of ours ({error}); give this soup its own `log`"
            ) from error
    if len(whole) < len(lines):
        with open(log, "r+b") as handle:
            handle.truncate(sum(len(line.encode("utf-8", "surrogateescape")) for line in whole))
    return steps


def check_log(log: Path) -> None:
    """Raises WeightsError for a file that is there and holds something else than decisions."""
    with open_text(log, errors="surrogateescape") as handle:
        start = handle.read(4096)
    if (
        start
        and not (start.startswith("{") and '"ingredients"' in start)
        and not '{"ingredients"'.startswith(start)
    ):
        raise WeightsError(
            f"{log}: is not a log of ours; give this soup its own `log`, and it stays as it is"
        )


def _append(log: Path, row: dict[str, Any]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
