"""Near-duplicates: which images are close, which are judged duplicates, and which of them may be sampled."""

from newtest.duplicates.dedup import DedupReport, DedupRequest, dedup
from newtest.duplicates.flags import flags, unreviewed_pairs
from newtest.duplicates.judge import judge, judge_automatically
from newtest.duplicates.measure import measure_dssim, measure_l2
from newtest.duplicates.scan import ScanConfig, ScanReport, scan

__all__ = [
    "DedupReport",
    "DedupRequest",
    "ScanConfig",
    "ScanReport",
    "dedup",
    "flags",
    "judge",
    "judge_automatically",
    "measure_dssim",
    "measure_l2",
    "scan",
    "unreviewed_pairs",
]
