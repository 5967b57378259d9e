"""Sampling as a pure function: DataFrames and a configuration in, a sample out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import SamplingError
from newtest.sampling.bias.diagnostics import Diagnostics
from newtest.sampling.bias.strategy import matched_mixture
from newtest.sampling.config import NEEDS_REFERENCE, SamplingConfig
from newtest.sampling.draw import draw
from newtest.sampling.eligibility import exclusions, reasons
from newtest.sampling.pairs import REQUIRED, Pairs, pairs_of, share_classes
from newtest.sampling.plan import DrawPlan
from newtest.sampling.strategies import STRATEGIES, Strategy

__all__ = ["Draft", "Sample", "prepare", "sample", "strategy_of"]


@dataclass(frozen=True)
class Sample:
    """A drawn set.

    ``members``: image_id, wnid, num_selected, num_shown, bin. ``exclusions``: image_id, wnid, reason,
    all_reasons. ``histogram``: wnid, bin, reference, eligible, target, drawn. All are sorted by wnid.
    ``problems``: wnid -> why the class is incomplete (only with ``allow_incomplete``). ``name`` is the
    revision's, "" for a sample that is not stored. ``diagnostics`` come with a revision, where its votes and the
    original's can be compared.
    """

    config: SamplingConfig
    members: pd.DataFrame
    exclusions: pd.DataFrame
    histogram: pd.DataFrame
    problems: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    diagnostics: Diagnostics | None = None

    @property
    def target(self) -> pd.DataFrame:
        """Images wanted: one row per class, one column per bin."""
        return _wide(self.histogram, "target")

    @property
    def drawn(self) -> pd.DataFrame:
        """Images drawn: one row per class, one column per bin."""
        return _wide(self.histogram, "drawn")


@dataclass(frozen=True)
class Draft:
    """Everything that is known before the draw: the plan, the exclusions, and what keeps classes from being
    filled.
    """

    config: SamplingConfig
    plan: DrawPlan
    reference: Pairs
    exclusions: pd.DataFrame
    problems: Mapping[str, str]

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """The drawn, as positions in ``plan.eligible``, rising."""
        return draw(self.plan, self.config)

    def draw(self) -> Sample:
        """Draw. Raises SamplingError for classes that cannot be filled, unless ``allow_incomplete``."""
        if self.problems and not self.config.allow_incomplete:
            raise SamplingError(_complaint(self.problems, self.config))
        eligible, rows = self.plan.eligible, self.rows
        labels = np.array(self.plan.cells.label, dtype=object)
        members = pd.DataFrame(
            {
                "image_id": eligible.image_id[rows],
                "wnid": eligible.wnid[rows],
                "num_selected": eligible.num_selected[rows],
                "num_shown": eligible.num_shown[rows],
                "bin": labels[self.plan.cell_of[rows]] if len(rows) else np.empty(0, dtype=object),
            }
        )
        return Sample(self.config, members, self.exclusions, self.plan.histogram, self.problems)


def sample(candidates: pd.DataFrame, reference: pd.DataFrame | None, config: SamplingConfig) -> Sample:
    """Draw a test set from candidates so that it relates to the reference as ``config.strategy`` says.

    Both frames have image_id, wnid, num_selected, num_shown; optional columns are named in
    ``newtest.sampling.pairs.pairs_of``. The classes are those of either frame. Equal inputs give equal
    samples, in any process and whatever the order of the rows. Raises SamplingError: an unusable frame, no
    reference where one is needed, a class that cannot be filled (unless ``allow_incomplete``).
    """
    return prepare(candidates, reference, config).draw()


def prepare(candidates: pd.DataFrame, reference: pd.DataFrame | None, config: SamplingConfig) -> Draft:
    """All of ``sample`` but the draw: what is feasible can be looked at first."""
    if reference is None:
        if config.strategy in NEEDS_REFERENCE:
            raise SamplingError(
                f"{config.strategy} imitates an original set: a reference with its votes is needed"
            )
        reference = pd.DataFrame({column: [] for column in REQUIRED})
    pool, originals = share_classes(pairs_of(candidates, "candidates"), pairs_of(reference, "reference"))
    against = reasons(pool, config)
    eligible: npt.NDArray[np.bool_] = ~np.any(against, axis=1)
    plan = strategy_of(config)(pool.where(eligible), originals, config)
    excluded = exclusions(pool, against)
    return Draft(config, plan, originals, excluded, _explained(plan.problems, excluded))


def strategy_of(config: SamplingConfig) -> Strategy:
    """The rule that a configuration names."""
    if config.bias_correction == "mixture":
        return matched_mixture
    return STRATEGIES[config.strategy]


def _explained(problems: Mapping[str, str], excluded: pd.DataFrame) -> dict[str, str]:
    """Add to each class's problem how many of its candidates are excluded, and why."""
    if not problems:
        return {}
    counts = Counter(zip(excluded["wnid"], excluded["reason"], strict=True))
    why: dict[str, list[str]] = {}
    for (wnid, reason), count in sorted(counts.items()):
        why.setdefault(wnid, []).append(f"{reason} {count}")
    return {
        wnid: f"{problem} (excluded: {', '.join(why[wnid])})" if wnid in why else problem
        for wnid, problem in problems.items()
    }


def _complaint(problems: Mapping[str, str], config: SamplingConfig) -> str:
    first = "; ".join(f"{wnid}: {problem}" for wnid, problem in list(problems.items())[:3])
    more = f"; and {len(problems) - 3} more classes" if len(problems) > 3 else ""
    binned = config.strategy == "matched-frequency" and config.bias_correction == "none"
    lacking = any("no_bytes" in problem for problem in problems.values())
    bytes_ = "Get the bytes with newtest fetch, or draw ids alone with `without_bytes`. " if lacking else ""
    fill = "use `fill_upward`, " if binned and not config.fill_upward else ""
    return (
        f"{len(problems)} {'class' if len(problems) == 1 else 'classes'} cannot be filled: {first}{more}. "
        f"{bytes_}Collect or annotate more, lower `per_class`, {fill}or draw what there is with `allow_incomplete`"
    )


def _wide(histogram: pd.DataFrame, column: str) -> pd.DataFrame:
    labels = list(dict.fromkeys(histogram["bin"]))
    wide = histogram.pivot(index="wnid", columns="bin", values=column)
    return wide[labels].fillna(0).astype("int64").rename_axis(columns=None)
