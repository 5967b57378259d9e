"""Images per second of ``evaluate --model``, beside timm's own loader and the bare forward pass, on the same weights.

    python benchmarks/evaluate_model.py [--photos ../shared/data/images] [--copies 3] [--repeat 3]

Weights are random and written once to a file; all three read it. "timm's loader" is timm.data.create_loader with two
worker processes over the same files. "Forward pass" is the model on tensors that are in memory already. Each run is a
process of its own, in turns; times run from the weights' file to the predictions, without imports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MODELS = ("test_vit", "resnet18", "vit_base_patch16_224")
BATCH = 32

RUNS = {
    "newtest": """
from newtest.evaluation.scoring.models import ModelConfig, run_model
from newtest.evaluation.scoring.sets import find_set
import tempfile
evaluated = find_set(str(photos), Path("."), None)
start = time.perf_counter()
with tempfile.TemporaryDirectory() as out:
    found, broken = run_model(f"timm:{model}", evaluated, ModelConfig(batch_size=BATCH, weights=weights), Path(out))
assert not broken
answers = dict(zip(map(str, evaluated.images["path"]), found.values[:, 0].tolist()))
""",
    "timm's loader": """
start = time.perf_counter()
module = timm.create_model(model, checkpoint_path=str(weights)).eval()
config = timm.data.resolve_model_data_config(module)
files = timm.data.create_dataset("", root=str(photos), split="")
loader = timm.data.create_loader(
    files, config["input_size"], BATCH, interpolation=config["interpolation"], mean=config["mean"], std=config["std"],
    crop_pct=config["crop_pct"], num_workers=2, use_prefetcher=False, device=torch.device("cpu"),
)
answers = []
with torch.inference_mode():
    for batch, _ in loader:
        answers += module(batch).topk(5).indices[:, 0].tolist()
answers = dict(zip(files.filenames(absolute=True), answers))
""",
    "forward pass": """
module = timm.create_model(model, checkpoint_path=str(weights)).eval()
batch = torch.zeros(BATCH, *timm.data.resolve_model_data_config(module)["input_size"])
answers, count = {}, len(list(photos.rglob("*.JPEG")))
start = time.perf_counter()
with torch.inference_mode():
    for first in range(0, count, BATCH):
        module(batch[: count - first]).topk(5)
""",
}
BEFORE = f"""
import sys, time
from pathlib import Path
import torch
from newtest.clip.torch_runtime import library
timm = library("timm", "timm", "clip")  # with a torchvision beside a CPU torch mended
model, weights, photos, BATCH = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), {BATCH}
"""
AFTER = "\nimport json; print(json.dumps([time.perf_counter() - start, answers]))"


def once(what: str, model: str, weights: Path, photos: Path) -> tuple[float, dict[str, int]]:
    """Seconds, and the best class of each file."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + RUNS[what] + AFTER, model, str(weights), str(photos)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    seconds, answers = json.loads(done.stdout.splitlines()[-1])
    return seconds, answers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "images")
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    from safetensors.torch import save_file

    from newtest.clip.torch_runtime import library

    timm = library("timm", "timm", "clip")

    print(
        "| model | newtest, images/s | timm's loader | forward pass | over timm's | over forward | answers as timm's |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch) / "photos"
        count = 0
        for path in sorted(options.photos.glob("*.JPEG")):
            folder = photos / path.name.partition("_")[0]
            folder.mkdir(parents=True, exist_ok=True)
            for copy in range(options.copies):
                (folder / f"{copy}_{path.name}").write_bytes(path.read_bytes())
                count += 1
        for model in options.models.split(","):
            weights = Path(scratch) / f"{model}.safetensors"
            save_file(timm.create_model(model).state_dict(), str(weights))
            runs = [
                {what: once(what, model, weights, photos) for what in RUNS} for _ in range(options.repeat)
            ]
            rates = {what: [count / run[what][0] for run in runs] for what in RUNS}
            cells = [f"{statistics.median(rate):.0f}" for rate in rates.values()]
            for peer in ("timm's loader", "forward pass"):
                ratios = [a / b for a, b in zip(rates["newtest"], rates[peer], strict=True)]
                cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
            mine, theirs = (runs[0][what][1] for what in list(RUNS)[:2])
            cells.append(f"{sum(mine[file] == theirs[file] for file in theirs)} of {count}")
            print(f"| {model} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
