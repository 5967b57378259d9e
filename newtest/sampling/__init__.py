"""Sampling: who is eligible, how many are wanted, which are drawn; strategies, bias correction, revisions."""

from __future__ import annotations

from newtest.sampling.config import SamplingConfig
from newtest.sampling.sample import Draft, Sample, prepare, sample

__all__ = ["Draft", "Sample", "SamplingConfig", "prepare", "sample"]
