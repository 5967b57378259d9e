"""What all of ``newtest merge`` have in common: how checkpoints that differ are brought together, and what is
printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newtest.cli.options import note, progress

if TYPE_CHECKING:
    from newtest.clip.weights import MergeConfig, Merged
    from newtest.clip.weights.recalibration import Recalibration

__all__ = [
    "AllowNonfinite", "Copy", "Joined", "MixedPrecision", "Network", "Recalibrate", "Skip", "State", "StripPrefix",
    "joined",
]  # fmt: skip

State = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Take this one of several state dicts in a file, such as state_dict_ema.",
        show_default="state_dict, model, ...",
    ),
]
StripPrefix = Annotated[
    list[str] | None,
    typer.Option(metavar="PREFIX", help="Take module. or _orig_mod. off the names; may be repeated."),
]
Copy = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Copy these tensors instead of mixing them, such as 'head.*': from the fine-tuned checkpoint, or a "
        "soup's first; may be repeated.",
    ),
]
Skip = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN", help="Leave these tensors out, such as '*.position_ids'; may be repeated."
    ),
]
MixedPrecision = Annotated[
    bool, typer.Option("--mixed-precision", help="Mix different floating-point types; write the widest.")
]
AllowNonfinite = Annotated[bool, typer.Option("--allow-nonfinite", help="Merge NaN and infinity too.")]
Recalibrate = Annotated[
    Path | None,
    typer.Option(
        metavar="IMAGES",
        help="Estimate BatchNorm's statistics again over this folder of training images; needs --network.",
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="The checkpoints' network, for --recalibrate: timm:NAME, torchvision:NAME, or MODEL of open_clip.",
    ),
]


@dataclass(frozen=True)
class Joined:
    """The options of a call and what they come to for its checkpoints."""

    config: MergeConfig
    merged: Merged
    recalibration: Recalibration | None
    images: Path | None

    def to_json(self) -> dict[str, Any]:
        """What was read, and what became of it."""
        return {
            "sources": [
                {
                    "path": str(one.path),
                    "state": one.state,
                    "other_states": list(one.other_states),
                    "skipped": list(one.skipped),
                }
                for one in self.merged.sources
            ],
            "copied": {name: str(file.path) for name, file in sorted(self.merged.copied.items())},
            "whole_numbers": self.merged.whole_numbers,
            "batch_norms": self.merged.batch_norms,
            "recalibrated": self.recalibration is not None,
        }

    def tell(self) -> None:
        """Say which parts of the checkpoints were used, and how."""
        merged = self.merged
        for one in merged.sources:
            if one.other_states:
                others = ", ".join(repr(name) for name in one.other_states)
                note(f"{one.path}: {one.state!r} of it is used; it also holds {others} (`state` chooses)")
            if one.skipped:
                note(f"{one.path}: {len(one.skipped)} tensors are left out, first {one.skipped[0]!r}")
        if merged.copied:
            name, file = min(merged.copied.items())
            note(f"{len(merged.copied)} tensors are copied, not mixed: first {name!r}, from {file.path}")
        if whole := merged.whole_numbers:
            note(f"{len(whole)} tensors of whole numbers are taken from one checkpoint: first {whole[0]!r}")
        if merged.batch_norms and self.recalibration is None:
            note(
                f"warning: {merged.batch_norms} BatchNorm layers: the mean of their running statistics is not that of "
                "the merged network; `recalibrate` estimates them again over images"
            )
        elif merged.batch_norms:
            note(
                f"{merged.batch_norms} BatchNorm layers: their statistics are estimated again over {self.images}"
            )


def joined(
    paths: Sequence[Path],
    config: MergeConfig,
    *,
    recalibrate: Path | None,
    network: str | None,
    prefer: int = 0,
) -> Joined:
    """Open the checkpoints, see that they fit, and say what was found. Raises UsageError and WeightsError."""
    from newtest.clip.weights import opened
    from newtest.errors import UsageError

    if (recalibrate is None) != (network is None):
        raise UsageError("`recalibrate` IMAGES and `network` MODEL belong together")
    merged = opened(paths, config, prefer)
    for field, patterns, found in (
        ("copy", config.copy, list(merged.copied)),
        ("skip", config.skip, [name for one in merged.sources for name in one.skipped]),
    ):
        if patterns and not found:
            raise UsageError(f"`{field}` {', '.join(patterns)}: no tensor is called so")
    recalibration = None
    if recalibrate is not None and network is not None:
        from newtest.evaluation.scoring.recalibrate import RecalibrateConfig
        from newtest.evaluation.scoring.recalibrate import recalibration as estimated

        with progress() as bars:
            recalibration = estimated(RecalibrateConfig(network, recalibrate), bars)
    one = Joined(config, merged, recalibration, recalibrate)
    one.tell()
    return one
