"""A tiny open_clip model on the shared photos: trained for seconds, so that there is something to interpolate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from safetensors.torch import save_file

from newtest.clip.encoder import squeezed
from newtest.clip.loading import encoder
from newtest.clip.torch_runtime import library
from newtest.clip.weights.ensemble import Outputs
from newtest.clip.zeroshot import zero_shot_logits

__all__ = ["Half", "halves", "outputs_of", "train"]

SIDE = 32
CONFIG = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 128, "head_width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@dataclass(frozen=True)
class Half:
    """Photos (n, side, side, 3) and the name of the class of each; every photo is of a class of its own."""

    pixels: npt.NDArray[np.uint8]
    names: tuple[str, ...]


def halves(folder: Path, count: int) -> tuple[Half, Half]:
    """The even and the odd ones of the first ``count`` photos."""
    paths = sorted(folder.glob("*.JPEG"))[:count]
    pixels = np.stack([squeezed(PIL.Image.open(path).convert("RGB"), SIDE, SIDE) for path in paths])
    names = [path.stem.split("_", 1)[1].replace("_", " ") for path in paths]
    return Half(pixels[::2], tuple(names[::2])), Half(pixels[1::2], tuple(names[1::2]))


def train(folder: Path, out: Path, photos: Sequence[Half], steps: int, start: Path | None = None) -> Path:
    """Contrastive training, whole batch, mirrored at every second step; from ``start`` or from a fixed seed."""
    import torch

    config = folder / "newtest-tinier.json"
    config.write_text(json.dumps(CONFIG))
    open_clip = library("open_clip", "open_clip_torch", "clip")
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    model = open_clip.create_model("newtest-tinier", pretrained=str(start) if start else None)
    tokens = open_clip.get_tokenizer("newtest-tinier")(
        [f"a photo of a {name}" for half in photos for name in half.names]
    )
    batch = _standardised(np.concatenate([half.pixels for half in photos]), open_clip)
    labels = torch.arange(len(batch))
    model.token_embedding.requires_grad_(
        False
    )  # nine tenths of the weights; random ones tell names apart as well
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network only waits for a second one
    for step in range(steps):
        images, texts, scale = model(batch.flip(3) if step % 2 else batch, tokens)[:3]
        logits = scale * images @ texts.T
        loss = sum(torch.nn.functional.cross_entropy(one, labels) for one in (logits, logits.T))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out)
    return out


def outputs_of(config: Path, checkpoint: Path, sets: dict[str, Half]) -> dict[str, Outputs]:
    """Zero-shot logits of each set over the names in it, by newtest's own encoder."""
    model = encoder(f"{config}@{checkpoint}", device="cpu")
    found = {}
    for name, half in sets.items():
        classes = model.texts([f"a photo of a {one}" for one in half.names])
        logits = zero_shot_logits(model.images(half.pixels), classes)
        found[name] = Outputs(logits.astype(np.float64), np.arange(len(half.names)))
    return found


def _standardised(pixels: npt.NDArray[np.uint8], open_clip: Any) -> Any:
    import torch

    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255) - mean) / std
