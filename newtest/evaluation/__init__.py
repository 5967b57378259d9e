"""Predictions, intervals, lines, robustness, comparison, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.lazy import face

if TYPE_CHECKING:
    from newtest.evaluation.analysis.atlas import Atlas, AtlasConfig, build_atlas
    from newtest.evaluation.analysis.clusters import clustered, worst_of
    from newtest.evaluation.analysis.compare import pairs, power
    from newtest.evaluation.analysis.forecast import Forecast, forecast
    from newtest.evaluation.analysis.gap import decompose
    from newtest.evaluation.analysis.gap_parts import GapParts, MeasuredSet, gap_parts
    from newtest.evaluation.analysis.line import Line, LineConfig, fit_line
    from newtest.evaluation.analysis.measured import by_metric, split_gap
    from newtest.evaluation.analysis.ranks import rank_intervals
    from newtest.evaluation.analysis.similarity import Similarity, agreement, rankable
    from newtest.evaluation.report.build import build_report
    from newtest.evaluation.report.inputs import ReportChoice, gather
    from newtest.evaluation.scoring.board_files import BoardConfig, read_boards
    from newtest.evaluation.scoring.evaluate import EvaluateConfig, Evaluation, evaluate
    from newtest.evaluation.scoring.loading import Loaded, load
    from newtest.evaluation.scoring.probing import label_efficiency, labelled
    from newtest.evaluation.scoring.results import Results, as_results, read_results
    from newtest.evaluation.scoring.sets import EvaluationSet, read_set
    from newtest.evaluation.scoring.zeroshot import ZeroShotConfig, find_images, zero_shot

_HOMES = {
    "newtest.evaluation.analysis.atlas": ("Atlas", "AtlasConfig", "build_atlas"),
    "newtest.evaluation.analysis.clusters": ("clustered", "worst_of"),
    "newtest.evaluation.analysis.ranks": ("rank_intervals",),
    "newtest.evaluation.analysis.compare": (
        "pairs",
        "power",
    ),
    "newtest.evaluation.analysis.forecast": ("Forecast", "forecast"),
    "newtest.evaluation.analysis.gap": ("decompose",),
    "newtest.evaluation.analysis.gap_parts": ("GapParts", "MeasuredSet", "gap_parts"),
    "newtest.evaluation.analysis.measured": ("by_metric", "split_gap"),
    "newtest.evaluation.analysis.line": (
        "Line",
        "LineConfig",
        "fit_line",
    ),
    "newtest.evaluation.analysis.similarity": (
        "Similarity",
        "agreement",
        "rankable",
    ),
    "newtest.evaluation.report.build": ("build_report",),
    "newtest.evaluation.report.inputs": (
        "ReportChoice",
        "gather",
    ),
    "newtest.evaluation.scoring.board_files": ("BoardConfig", "read_boards"),
    "newtest.evaluation.scoring.evaluate": (
        "EvaluateConfig",
        "Evaluation",
        "evaluate",
    ),
    "newtest.evaluation.scoring.loading": (
        "Loaded",
        "load",
    ),
    "newtest.evaluation.scoring.probing": (
        "label_efficiency",
        "labelled",
    ),
    "newtest.evaluation.scoring.results": (
        "Results",
        "as_results",
        "read_results",
    ),
    "newtest.evaluation.scoring.sets": (
        "EvaluationSet",
        "read_set",
    ),
    "newtest.evaluation.scoring.zeroshot": (
        "ZeroShotConfig",
        "find_images",
        "zero_shot",
    ),
}

__all__ = [
    "Atlas",
    "AtlasConfig",
    "BoardConfig",
    "EvaluateConfig",
    "Evaluation",
    "EvaluationSet",
    "Forecast",
    "GapParts",
    "Line",
    "LineConfig",
    "Loaded",
    "MeasuredSet",
    "ReportChoice",
    "Results",
    "Similarity",
    "ZeroShotConfig",
    "agreement",
    "as_results",
    "build_atlas",
    "build_report",
    "by_metric",
    "clustered",
    "decompose",
    "evaluate",
    "find_images",
    "fit_line",
    "forecast",
    "gap_parts",
    "gather",
    "label_efficiency",
    "labelled",
    "load",
    "pairs",
    "power",
    "rank_intervals",
    "rankable",
    "read_boards",
    "read_results",
    "read_set",
    "split_gap",
    "worst_of",
    "zero_shot",
]

__getattr__, __dir__ = face(__name__, _HOMES)
