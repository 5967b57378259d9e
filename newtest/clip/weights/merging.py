"""Several checkpoints as one set of names to be merged: which tensors are mixed, which copied, which left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy.typing as npt

from newtest.clip.weights.arithmetic import check_alike, checked, converted, weighted_sum, widest
from newtest.clip.weights.opening import open_tensors
from newtest.clip.weights.tensors import TensorFile, TensorInfo
from newtest.errors import WeightsError

__all__ = ["MergeConfig", "Merged", "MergedFile", "changed", "opened"]

INNER = "_orig_mod."
"""What torch.compile puts before the names of a part that was compiled, wherever the part stands."""


@dataclass(frozen=True)
class MergeConfig:
    """How checkpoints that differ are brought together. ``copy`` and ``skip`` are patterns of names (``head.*``)."""

    state: str | None = None
    """Of several state dicts in one file, the one that is meant."""
    strip_prefix: tuple[str, ...] = ()
    """Taken off the beginning of names, as often as they stand there: ``module.``, ``_orig_mod.``."""
    copy: tuple[str, ...] = ()
    """Taken as they are from one checkpoint (the fine-tuned one, a soup's first that has them): a new head."""
    skip: tuple[str, ...] = ()
    """Left out of the result: extra buffers."""
    mixed_precision: bool = False
    """Mix tensors of different floating-point types, and write the widest."""
    allow_nonfinite: bool = False
    """Merge NaN and infinity too."""


@dataclass(frozen=True)
class MergedFile:
    """What was read of a checkpoint: the state dict's key in it (empty: the file is one), and those that were not."""

    path: Path
    state: str = ""
    other_states: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Merged:
    """Checkpoints that fit each other. ``tensors`` are those of the result."""

    config: MergeConfig
    sources: tuple[MergedFile, ...]
    tensors: Mapping[str, TensorInfo]
    files: tuple[TensorFile, ...] = field(repr=False)
    copied: Mapping[str, TensorFile] = field(repr=False)

    @property
    def batch_norms(self) -> int:
        """Layers whose running statistics are mixed. The mean of two networks' is not that of the mixed network."""
        return sum(name.endswith("running_var") for name in self.tensors if name not in self.copied)

    @property
    def whole_numbers(self) -> list[str]:
        """Tensors of whole numbers, which have no mean: counters, positions. They are one checkpoint's own."""
        return [name for name, info in self.tensors.items() if not info.is_float and name not in self.copied]

    def mixed(self, name: str, weights: Sequence[float], nearer: int) -> Iterator[npt.NDArray[Any]]:
        """Pieces of the mean with these ``weights``; of what cannot be mixed, those of the file ``nearer``.

        Raises WeightsError that names the tensor where a number is NaN or infinite and that is not allowed.
        """
        info = self.tensors[name]
        one = self.copied.get(name)
        if one is None and (not info.is_float or max(weights) == 1):
            one = self.files[nearer]
        if one is not None:
            return converted(self._read(one, name), one.tensors[name].dtype, info.dtype)
        dtypes = [file.tensors[name].dtype for file in self.files]
        return weighted_sum([self._read(file, name) for file in self.files], dtypes, weights, info.dtype)

    def _read(self, file: TensorFile, name: str) -> Iterator[npt.NDArray[Any]]:
        pieces = file.pieces(name)
        info = file.tensors[name]
        if self.config.allow_nonfinite or not info.is_float:
            return pieces
        return checked(pieces, info.dtype, f"{file.path}: tensor {name!r}")


def changed(config: MergeConfig | None, recalibrated: str) -> tuple[Any, ...]:
    """What tells results of these options from those of none, for fingerprints; nothing for none."""
    own = () if config in (None, MergeConfig()) else (asdict(config or MergeConfig()),)
    return (*own, recalibrated) if recalibrated else own


def opened(paths: Sequence[Path], config: MergeConfig | None = None, prefer: int = 0) -> Merged:
    """Open checkpoints and see that they fit; copied tensors come from the file ``prefer``, else from the first.

    Raises WeightsError that lists in what they differ, and names the field that allows it.
    """
    config = config or MergeConfig()
    views = [_view(path, config) for path in paths]
    files = [view for view, _ in views]
    order = [files[prefer], *files]
    copied: dict[str, TensorFile] = {}
    for file in order:
        for name in file.tensors:
            if name not in copied and _matches(name, config.copy):
                copied[name] = file
    kept = [{n: i for n, i in file.tensors.items() if n not in copied} for file in files]
    check_alike([file.path for file in files], kept, mixed_precision=config.mixed_precision)
    tensors = {name: widest([one[name] for one in kept]) for name in kept[0]}
    tensors |= {name: file.tensors[name] for name, file in copied.items()}
    if not tensors:
        raise WeightsError(f"{paths[0]}: no tensor is left to be merged; `skip` leaves out all of them")
    return Merged(config, tuple(about for _, about in views), tensors, tuple(files), copied)


class _View:
    """A checkpoint with other names for its tensors, and without some of them."""

    def __init__(self, file: TensorFile, names: Mapping[str, str]) -> None:
        self.path, self._file, self._names = file.path, file, names
        self.tensors: Mapping[str, TensorInfo] = {new: file.tensors[old] for new, old in names.items()}

    def pieces(self, name: str) -> Iterator[npt.NDArray[Any]]:
        return self._file.pieces(self._names[name])


def _view(path: Path, config: MergeConfig) -> tuple[_View, MergedFile]:
    file = open_tensors(path, config.state)
    names: dict[str, str] = {}
    for old in file.tensors:
        new = _stripped(old, config.strip_prefix)
        if new in names:
            raise WeightsError(
                f"{path}: {names[new]!r} and {old!r} would both be {new!r} without the prefixes of `strip_prefix`"
            )
        names[new] = old
    skipped = tuple(name for name in names if _matches(name, config.skip))
    view = _View(file, {new: old for new, old in names.items() if new not in skipped})
    state, others = getattr(file, "state", ""), getattr(file, "other_states", ())
    return view, MergedFile(path, state, others, skipped)


def _stripped(name: str, prefixes: Sequence[str]) -> str:
    if INNER in prefixes:
        name = name.replace(f".{INNER}", ".")
    while found := next((one for one in prefixes if one and name.startswith(one)), None):
        name = name[len(found) :]
    return name


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
