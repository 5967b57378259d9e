"""ReaL accuracies of the shared models beside published ones.

    python benchmarks/real_labels.py real.json results-imagenet-real.csv [--data FOLDER]

``real.json`` is that of google-research/reassessed-imagenet, ``results-imagenet-real.csv`` timm's table; neither is
among the shared data. Prints all 67 models, and those whose weights are also a row of timm's table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import pandas as pd

import newtest as nt
from newtest.evaluation import EvaluateConfig

ROOT = Path(__file__).resolve().parent.parent
PAPER = {"resnet50": 82.96, "alexnet": 63.06}
"""As the issue quotes them."""
SAME_WEIGHTS = {
    **{name: f"{name}.tv_in1k" for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")},
    **{f"vgg{at}{bn}": f"vgg{at}{bn}.tv_in1k" for at in (11, 13, 16, 19) for bn in ("", "_bn")},
    **{f"se_resnet{at}": f"legacy_seresnet{at}.in1k" for at in (50, 101, 152)},
    **{f"se_resnext{at}_32x4d": f"legacy_seresnext{at}_32x4d.in1k" for at in (50, 101)},
    "senet154": "legacy_senet154.in1k",
}
"""Our names of models -> timm's names of the same published weights at the same resolution."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", type=Path)
    parser.add_argument("timm", type=Path)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("NEWTEST_DATA", ROOT.parent / "shared" / "data")
    )
    options = parser.parse_args()
    folder = Path(options.data) / "imagenetv2"
    name = "imagenet-validation-original"
    with tempfile.TemporaryDirectory() as out:
        found = nt.evaluate(
            folder / "datasets" / f"{name}.json",
            folder / "predictions" / f"{name}.top1.npz",
            out=out,
            config=EvaluateConfig(name="val", labels=options.real),
        ).table.set_index("model")
    found["given"] = 100 * found["given_k"] / found["n"]
    found["single"] = 100 * found["single_k"] / found["single_n"]
    table = pd.read_csv(options.timm)
    theirs = dict(zip(table["model"], table["top1"].to_numpy(dtype=float), strict=True))
    published = {model: theirs[name] for model, name in SAME_WEIGHTS.items()}
    print("model                     ReaL    given  one label  timm's table  difference")
    order = found.sort_values("accuracy", ascending=False)
    ours = dict(zip(map(str, order.index), order["accuracy"].to_numpy(dtype=float), strict=True))
    for model, given, single in zip(ours, order["given"], order["single"], strict=True):
        beside = ""
        if model in published:
            beside = f"{published[model]:12.3f}  {ours[model] - published[model]:+10.3f}"
        print(f"{model:24s} {ours[model]:6.3f}  {given:6.3f}  {single:9.3f}  {beside}")
    for model in PAPER:
        print(f"{model}: {ours[model]:.2f}, published {PAPER[model]}")
    worst = max(abs(ours[model] - value) for model, value in published.items())
    print(f"{len(published)} models with the same weights: largest difference {worst:.3f} points")


if __name__ == "__main__":
    main()
