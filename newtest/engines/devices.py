"""The GPUs of this machine, by the names with which a process is told which of them it may see."""

from __future__ import annotations

import os

__all__ = ["VISIBLE", "visible_gpus"]

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that torch sees here, as ``CUDA_VISIBLE_DEVICES`` names them: ``("2", "GPU-8f6a")`` where it is set to
    ``2,GPU-8f6a``, otherwise ``("0", "1", ...)``.

    Within a process CUDA counts the GPUs that are visible from 0. So a number alone would be another GPU's name to a
    child: a scheduler's or a user's choice is handed on by its own names.
    """
    from newtest.clip.torch_runtime import gpus

    count = gpus()
    chosen = os.environ.get(VISIBLE)
    names = [str(number) for number in range(count)] if chosen is None else chosen.split(",")
    return tuple(name.strip() for name in names[:count])
