"""BatchNorm after a merge: the mean of two networks' running statistics is not that of the mixed network.

They are estimated again over images, as ``torch.optim.swa_utils.update_bn`` does after weights were averaged
(Izmailov et al. 2018; Jordan et al. 2023 show what it is worth for interpolated networks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.torch_runtime import torch
from newtest.clip.weights.arithmetic import converted
from newtest.clip.weights.merging import Merged
from newtest.clip.weights.opening import open_tensors
from newtest.clip.weights.tensors import PIECE
from newtest.clip.weights.writing import write_tensors
from newtest.errors import UsageError, WeightsError

__all__ = ["Recalibration", "running_statistics", "write_merged"]


@dataclass(frozen=True)
class Recalibration:
    """``statistics`` gives a merged checkpoint's (.safetensors) running statistics by name, estimated again.

    ``source`` tells the images and the network from every other.
    """

    source: str
    statistics: Callable[[Path], Mapping[str, npt.NDArray[np.float64]]]


def write_merged(
    out: Path,
    merged: Merged,
    pieces: Callable[[str], Iterator[npt.NDArray[Any]]],
    recalibrate: Recalibration | None = None,
) -> None:
    """Write the result, with statistics of its own where ``recalibrate`` gives them.

    Raises UsageError where there are none to estimate, WeightsError where names or shapes are others.
    """
    if recalibrate is None:
        write_tensors(out, merged.tensors, pieces)
        return
    if not merged.batch_norms:
        raise UsageError("there is no BatchNorm in these checkpoints: leave `recalibrate` away")
    plain = out.with_name(f".{out.stem}.plain.safetensors")
    try:
        write_tensors(plain, merged.tensors, pieces)
        found = recalibrate.statistics(plain)
        _check(found, merged, out)
        file = open_tensors(plain)

        def mended(name: str) -> Iterator[npt.NDArray[Any]]:
            if name not in found:
                return file.pieces(name)
            info, flat = merged.tensors[name], np.asarray(found[name]).reshape(-1)
            parts = (flat[start : start + PIECE] for start in range(0, len(flat), PIECE))
            return converted(parts, "F64", info.dtype)

        write_tensors(out, merged.tensors, mended)
    finally:
        plain.unlink(missing_ok=True)


def running_statistics(
    module: Any, forward: Callable[[Any], Any], batches: Iterable[Any]
) -> dict[str, npt.NDArray[np.float64]]:
    """Mean and variance of every BatchNorm's input over batches of equal weight; ``forward`` takes a batch.

    The rest of the network stays as in evaluation, dropout among it. Changes ``module``.
    """
    lib = torch()
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, lib.nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None
    }
    module.eval()
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # every batch weighs the same
        layer.train()
    with lib.inference_mode():
        for batch in batches:
            forward(batch)
    module.eval()
    return {
        f"{name}.{what}": getattr(layer, what).double().cpu().numpy()
        for name, layer in layers.items()
        for what in ("running_mean", "running_var")
    }


def _check(found: Mapping[str, npt.NDArray[Any]], merged: Merged, out: Path) -> None:
    if not found:
        raise WeightsError(f"{out}: the network that was built for it has no BatchNorm")
    for name, values in found.items():
        if name not in merged.tensors or merged.tensors[name].shape != values.shape:
            raise WeightsError(
                f"{out}: the network has {name!r} {list(values.shape)}, the checkpoint has not"
            )
        if not np.isfinite(values).all():
            raise WeightsError(f"{out}: {name!r} came out as NaN or infinity")
