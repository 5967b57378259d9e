"""Arithmetic on checkpoints: WiSE-FT's interpolation and model soups, streamed tensor by tensor.

No network is built and no code from a checkpoint is run; peak memory is a few pieces of a tensor, whatever the
checkpoint's size.
"""

from newtest.clip.weights.interpolate import interpolate, parse_alphas
from newtest.clip.weights.merging import MergeConfig, Merged, MergedFile, opened
from newtest.clip.weights.opening import open_tensors
from newtest.clip.weights.soups import GreedyStep, Ingredient, greedy_soup, uniform_soup
from newtest.clip.weights.tensors import TensorFile, TensorInfo

__all__ = [
    "GreedyStep",
    "Ingredient",
    "MergeConfig",
    "Merged",
    "MergedFile",
    "TensorFile",
    "TensorInfo",
    "greedy_soup",
    "interpolate",
    "open_tensors",
    "opened",
    "parse_alphas",
    "uniform_soup",
]
