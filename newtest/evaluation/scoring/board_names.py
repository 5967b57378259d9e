"""One set under several names: what timm, open_clip, CLIP_benchmark and the testbed call it, and its own original.

Names are changed only where two of these sources are read together, and that is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from newtest.evaluation.scoring.board import Board
from newtest.evaluation.scoring.cautions import Caution

__all__ = ["ORIGINALS", "is_synthetic", "own_original", "resolve", "with_shared_names"]

_NAMES: Mapping[str, Mapping[str, str]] = {
    "timm": {
        "imagenetv2-matched-frequency": "imagenetv2",
        "sketch": "imagenet-sketch",
    },
    "open_clip": {
        "ImageNet 1k": "imagenet",
        "ImageNet v2": "imagenetv2",
        "ImageNet Sketch": "imagenet-sketch",
        "ImageNet-A": "imagenet-a",
        "ImageNet-R": "imagenet-r",
        "ObjectNet": "objectnet",
    },
    "clip_benchmark": {"imagenet1k": "imagenet", "imagenet_sketch": "imagenet-sketch"},
    "testbed": {
        "val": "imagenet",
        "imagenetv2-matched-frequency-format-val": "imagenetv2",
        "objectnet-1.0-beta": "objectnet",
    },
}
ORIGINALS = ("imagenet", "val", "ImageNet 1k", "imagenet1k")
"""Names of the set that is the original where nobody says which."""

_SYNTHETIC = ("imagenet-c.", "pgd.", "stylized", "greyscale", "corruption.")
_KINDS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise",
    "gaussian_blur", "spatter", "saturate",
)  # fmt: skip


def with_shared_names(boards: Sequence[tuple[str, Board]]) -> list[Board]:
    """Boards by the kind of their source; where several kinds are there, sets that are one have one name."""
    kinds = {kind for kind, _ in boards if kind in _NAMES}
    if len(kinds) < 2:
        return [board for _, board in boards]
    found = []
    for kind, board in boards:
        names = {old: new for old, new in _NAMES.get(kind, {}).items() if (board.table["set"] == old).any()}
        if not names:
            found.append(board)
            continue
        said = ", ".join(f"{old} is {new}" for old, new in names.items())
        caution = Caution("renamed", str(board.table["source"].iloc[0]), f"sets under shared names: {said}")
        table = board.table.assign(set=board.table["set"].replace(names))
        found.append(Board(table, (*board.cautions, caution), board.repeats))
    return found


def resolve(name: str, sets: Iterable[str]) -> str:
    """The set that a name means: itself, or its shared name where the sets have that one."""
    known = set(sets)
    if name in known:
        return name
    shared = {new for names in _NAMES.values() for old, new in names.items() if old == name}
    return next((new for new in sorted(shared) if new in known), name)


def own_original(name: str, sets: Iterable[str]) -> str | None:
    """The original on the classes of a set that has fewer: timm's ``imagenet-a-clean``, the testbed's
    ``val-on-imagenet-a-classes``; None where there is none.
    """
    known = set(sets)
    bare = name.removeprefix("imagenet-").partition("_pm")[0]
    part = name.partition("_subsampled_")[2]
    for found in (
        f"{name}-clean",
        f"val-on-{name}-classes",
        f"val-on-{bare}-classes",
        f"val-on-{bare.partition('-1.0')[0]}-classes",
        f"val_subsampled_{part}" if part else "",
    ):
        if found in known and found != name:
            return found
    return None


def is_synthetic(name: str) -> bool:
    """Whether a set is made from another one's images, as far as its name tells: corruptions, attacks, styles."""
    low = name.lower()
    return low.startswith(_SYNTHETIC) or any(f".{kind}" in low or f"-{kind}." in low for kind in _KINDS)
