"""The atlas: every shift's line over many models, and which models are off it by more than chance.

For each set y and each choice of original sets (one of them, or several at once: Shi et al. 2023, who fit the
accuracy on y by those on several in-distribution sets), a line is fitted as ``newtest report line`` fits it. Each
model's distance from it is tested: is it more than the scatter of the fitted models and the luck of the images make?
Holm (1979) corrects for all models and all shifts that are looked at together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.analysis.atlas_line import AtlasLine, atlas_line
from newtest.evaluation.analysis.atlas_points import Mask, points_of
from newtest.evaluation.analysis.compare import holm
from newtest.evaluation.analysis.line_model import Floats
from newtest.evaluation.analysis.scales import Scale, from_percent
from newtest.evaluation.scoring.board import Board
from newtest.evaluation.scoring.board_names import ORIGINALS, own_original, resolve

__all__ = ["Atlas", "AtlasConfig", "AtlasLine", "build_atlas"]


@dataclass(frozen=True)
class AtlasConfig:
    """``x``: the original sets, each an axis and all of them together one more; empty: the one that is known to be an
    original. ``pairs``: shift -> its own original, beside those that are known (``board_names.own_original``).
    ``group`` and ``data`` (shell patterns) say which models are fitted; all are shown. ``family``: Holm over the
    whole "atlas" or over one "shift".
    """

    x: tuple[str, ...] = ()
    y: tuple[str, ...] = ()
    scale: Scale = "logit"
    group: str | None = None
    data: str | None = None
    exclude: tuple[str, ...] = ()
    pairs: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, str] = field(default_factory=dict)
    """New set -> a shell pattern of sets, whose mean it is, of the models that have all of them."""
    images: Mapping[str, int] = field(default_factory=dict)
    """Set -> how many images it has, where the source says only percentages."""
    family: str = "atlas"
    alpha: float = 0.05
    level: float = 0.95


@dataclass(frozen=True)
class Atlas:
    """``models``: a row per model and configuration (model, config, data, group, source), in the order of all arrays.
    ``accuracy``: models by sets, percent. ``lines``: per choice of axes, then per shift.
    """

    config: AtlasConfig
    choices: tuple[str, ...]
    models: pd.DataFrame = field(repr=False)
    accuracy: pd.DataFrame = field(repr=False)
    lines: tuple[AtlasLine, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()

    def line(self, y: str, choice: str | None = None) -> AtlasLine:
        """The line of a shift; raises EvaluationError that lists the shifts there are."""
        y, choice = resolve(y, self.accuracy.columns), choice or self.choices[0]
        for line in self.lines:
            if line.y == y and line.choice == choice:
                return line
        known = sorted({line.y for line in self.lines})
        more = f" and {len(known) - 12} more" if len(known) > 12 else ""
        raise EvaluationError(f"no shift {y!r} on {choice}; there are {', '.join(known[:12])}{more}")

    def shift(self, y: str, choice: str | None = None) -> pd.DataFrame:
        """Every model on one shift: model, config, data, group, x (or x:SET), y, predicted, rho, rho_lo, rho_hi, t, p,
        p_holm, off, fitted, outside, counted; the largest distance, in standard deviations, first.
        """
        line = self.line(y, choice)
        if line.refused:
            raise EvaluationError(f"{line.y} on {', '.join(line.axes)}: {line.refused}")
        names = ["x"] if len(line.axes) == 1 else [f"x:{name}" for name in line.axes]
        table = self.models[["model", "config", "data", "group"]].copy()
        for name, axis in zip(names, line.axes, strict=True):
            table[name] = self.accuracy[axis].to_numpy()
        table["y"] = self.accuracy[line.y].to_numpy()
        table["predicted"], table["rho"] = line.predicted, line.rho
        table["rho_lo"], table["rho_hi"] = line.rho - line.half, line.rho + line.half
        table["t"], table["p"], table["p_holm"] = line.t, line.p, line.p_holm
        table["off"], table["fitted"] = line.off(self.config.alpha), line.fitted
        table["outside"], table["counted"] = line.outside, line.counted
        kept = table[np.isfinite(table["rho"])]
        order = kept.assign(size=kept["t"].abs()).sort_values(
            ["size", "model", "config"], ascending=[False, True, True], kind="stable"
        )
        found: pd.DataFrame = order.drop(columns="size").reset_index(drop=True)
        return found

    def left_out(self, y: str, choice: str | None = None) -> list[tuple[str, str, str]]:
        """(model, config, reason) of every model that has no place beside a line."""
        line = self.line(y, choice)
        found: list[tuple[int, str]] = []
        for name in (*line.axes, line.y):
            values = self.accuracy[name].to_numpy(dtype=np.float64)
            for at in np.flatnonzero(~np.isfinite(from_percent(values, self.config.scale))):
                if np.isnan(values[at]):
                    found.append((int(at), f"no accuracy on {name}"))
                else:
                    found.append(
                        (int(at), f"{values[at]:g} % on {name} is infinite on the {self.config.scale} scale")
                    )
        first = dict(reversed(found))  # the first reason of each
        models, configs = self.models["model"], self.models["config"]
        return [(str(models[at]), str(configs[at]), reason) for at, reason in sorted(first.items())]

    def overview(self, choice: str | None = None) -> pd.DataFrame:
        """One row per shift: set, axes, models, fitted, slope (of the first axis), r2, curve, above and below (models
        off the line by more than chance), refused.
        """
        choice = choice or self.choices[0]
        rows = []
        for line in (one for one in self.lines if one.choice == choice):
            off = line.off(self.config.alpha) if not line.refused else np.zeros(0, dtype=bool)
            rows.append(
                {
                    "set": line.y,
                    "axes": ", ".join(line.axes),
                    "models": int(np.isfinite(line.rho).sum()),
                    "fitted": line.n,
                    "slope": line.slopes[0] if line.slopes else np.nan,
                    "r2": line.r2,
                    "curve": line.curve,
                    "above": int((off & (line.rho > 0)).sum()) if len(off) else 0,
                    "below": int((off & (line.rho < 0)).sum()) if len(off) else 0,
                    "refused": line.refused,
                }
            )
        return pd.DataFrame(rows)


def build_atlas(board: Board, config: AtlasConfig | None = None) -> Atlas:
    """Fit every shift of a board. Raises EvaluationError where no original is known or nothing can be fitted,
    UsageError for contradicting options.
    """
    config = config or AtlasConfig()
    if config.family not in ("atlas", "shift"):
        raise UsageError(f"`family` {config.family}: known are atlas, shift")
    points = points_of(board, config.means, config.images)
    sets = list(points.accuracy.columns)
    originals = _originals(config, sets)
    choices = tuple(originals) if len(originals) == 1 else (*originals, " + ".join(originals))
    # The original on a set's classes is that set's axis, and no shift to look at unless it is named.
    own = {axis for name in sets if (axis := config.pairs.get(name) or own_original(name, sets)) is not None}
    shifts = [resolve(name, sets) for name in config.y] or [n for n in sets if n not in {*originals, *own}]
    if unknown := [name for name in shifts if name not in sets]:
        raise EvaluationError(f"no set {unknown[0]!r}; there are {_some(sets)}")
    chosen = _fitted_models(points.models, config, board.repeats)
    lines: list[AtlasLine] = []
    for choice in choices:
        base = tuple(originals) if choice not in originals else (choice,)
        fits = [
            atlas_line(points, y, _axes(y, base, config, sets), choice, chosen, config.scale, config.level)
            for y in shifts
            if y not in base
        ]
        lines += _corrected(fits, config)
    if all(line.refused for line in lines):
        raise EvaluationError(
            f"no line for any of {len(shifts)} sets; first {lines[0].y}: {lines[0].refused}"
        )
    return Atlas(
        config,
        choices,
        points.models,
        points.accuracy,
        tuple(lines),
        tuple(str(caution) for caution in board.cautions),
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _originals(config: AtlasConfig, sets: list[str]) -> list[str]:
    found = list(dict.fromkeys(resolve(name, sets) for name in config.x))
    if unknown := [name for name in found if name not in sets]:
        raise EvaluationError(f"no set {unknown[0]!r} for `x`; there are {_some(sets)}")
    found = found or [name for name in ORIGINALS if name in sets][:1]
    if not found:
        raise EvaluationError(f"which set is the original? `x` names one; there are {_some(sets)}")
    return found


def _axes(y: str, base: tuple[str, ...], config: AtlasConfig, sets: list[str]) -> tuple[str, ...]:
    """The axes of a shift: its own original, where it has fewer classes, in the place of the first."""
    own = config.pairs.get(y) or own_original(y, sets)
    if own is not None and own not in sets:
        raise EvaluationError(f"no set {own!r} as the original of {y}; there are {_some(sets)}")
    return base if own is None or (base[0] not in ORIGINALS and y not in config.pairs) else (own, *base[1:])


def _fitted_models(models: pd.DataFrame, config: AtlasConfig, repeats: Sequence[str]) -> Mask:
    """Which models a line may be fitted on: of each model one configuration, the first."""
    named = models["model"].astype(str)
    chosen = ~models.duplicated("model").to_numpy() & ~named.isin(repeats).to_numpy()
    for pattern in config.exclude:
        chosen &= np.array([not fnmatchcase(name, pattern) for name in named], dtype=bool)
    for column, wanted in (("group", config.group), ("data", config.data)):
        if wanted is None:
            continue
        matches = np.array([fnmatchcase(value, wanted) for value in models[column]], dtype=bool)
        if not matches.any():
            known = sorted(set(models[column]) - {""})
            raise EvaluationError(f"no model has the {column} {wanted!r}; there are {_some(known) or 'none'}")
        chosen &= matches
    return np.asarray(chosen, dtype=bool)


def _corrected(lines: list[AtlasLine], config: AtlasConfig) -> list[AtlasLine]:
    """The lines of one choice of axes with ``p_holm``."""
    if config.family == "shift":
        return [replace(line, p_holm=_holm(line.p)) for line in lines]
    every = _holm(np.concatenate([line.p for line in lines])) if lines else np.zeros(0)
    found, at = [], 0
    for line in lines:
        found.append(replace(line, p_holm=every[at : at + len(line.p)]))
        at += len(line.p)
    return found


def _holm(p: Floats) -> Floats:
    corrected = np.full(len(p), np.nan)
    known = np.isfinite(p)
    corrected[known] = holm(p[known])
    return corrected
