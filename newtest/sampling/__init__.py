"""Sampling: who is eligible, how many are required, which are drawn; strategies, bias correction, revisions."""

from __future__ import annotations

from newtest.sampling.config import SamplingConfig
from newtest.sampling.diff import Difference, diff_revisions
from newtest.sampling.revision import Origin, sample_study
from newtest.sampling.sample import Draft, Sample, prepare, sample

__all__ = [
    "Difference",
    "Draft",
    "Origin",
    "Sample",
    "SamplingConfig",
    "diff_revisions",
    "prepare",
    "sample",
    "sample_study",
]
