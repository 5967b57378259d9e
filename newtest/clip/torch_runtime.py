"""The one door to torch, torchvision and open_clip for encoders: imported when first needed, and mended where
they need it.

PyPI's torchvision wheel is a CUDA build. Beside a CPU build of torch its import fails with ``operator
torchvision::nms does not exist``, and takes open_clip, timm and sentence-transformers down with it. The mend:
forget the half-imported modules, put an empty module in the place of ``torchvision._meta_registrations``,
import again. Transforms work then; operators don't, and nothing here uses them.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

from newtest.errors import MissingExtra

__all__ = ["PRECISIONS", "best_device", "gpus", "library", "torch"]

PRECISIONS = ("float32", "bfloat16", "float16")
"""The types that models run in, by torch's names."""


@cache
def torch() -> Any:
    """The torch module. Raises MissingExtra."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingExtra("torch", "clip") from error


@cache
def library(name: str, package: str, extra: str) -> Any:
    """A module that stands on torch and torchvision, imported after torchvision is mended. Raises MissingExtra."""
    torch()
    _mend_torchvision()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(package, extra) from error


def gpus() -> int:
    """How many CUDA devices torch sees; 0 without torch. Where there is no driver torch is not imported to say so: that
    takes a second, in each worker.
    """
    if not _has_driver():
        return 0
    try:
        return int(torch().cuda.device_count())
    except MissingExtra:
        return 0


def _has_driver() -> bool:
    """Whether a GPU's driver is here: NVIDIA's library, which torch loads by this name, or AMD's device."""
    if not sys.platform.startswith("linux") or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def best_device() -> str:
    """The name of the device that models run on: cuda where there is one, else cpu."""
    return "cuda" if gpus() else "cpu"


def _mend_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return  # what needs it will say so
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
        importlib.import_module("torchvision")
