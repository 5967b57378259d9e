"""An open_clip model so small that starting torch is the dearest part of using it."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["tiny_model"]

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


def tiny_model(folder: Path) -> str:
    """Written to a folder with random weights, the same each time; as ``--model`` names it."""
    import torch
    from safetensors.torch import save_file

    from newtest.clip.torch_runtime import library

    config = folder / "newtest-tiny-pool.json"
    config.write_text(json.dumps(CONFIG))
    open_clip = library("open_clip", "open_clip_torch", "clip")
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    state = open_clip.create_model("newtest-tiny-pool").state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "tiny.safetensors")
    return f"{config}@{folder / 'tiny.safetensors'}"
