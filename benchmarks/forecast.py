"""Forecasts without labels against what the labels say: our rule beside the plain line of Baek et al. 2022, in one run.

    python benchmarks/forecast.py [--data FOLDER]

On the shared predictions of 64 models (ImageNet -> ImageNetV2 b-33) and of 30 models (CIFAR-10 -> CIFAR-10.1), and on
parts of ImageNet's validation set that are harder or easier than the rest. Each row: mean error over models in points
by both rules, the share of accuracies inside the 95 % intervals, their mean width, and Spearman's rank correlation.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.evaluation import forecast

Ints = npt.NDArray[np.int64]
ROOT = Path(__file__).resolve().parent.parent


def row(name: str, old: Ints, old_labels: Ints, new: Ints, new_labels: Ints) -> None:
    """Forecast, and compare with the labels, which the forecast never sees."""
    models = [str(number) for number in range(len(old))]
    found = forecast(models, old, (old == old_labels).mean(axis=1), new)
    table = found.models.set_index("model").loc[models]
    actual = 100 * (new == new_labels).mean(axis=1)
    error = float((table["forecast"] - actual).abs().mean())
    plain = abs(found.plain - float(actual.mean()))
    inside = float(table["lo"].le(actual).mul(table["hi"].ge(actual)).mean())
    width = float((table["hi"] - table["lo"]).mean())
    ranks = float(table["forecast"].corr(pd.Series(actual, models), method="spearman"))
    print(
        f"{name:28s} {len(old):3d} models  accuracy {actual.mean():5.1f}  error {error:4.2f} (plain line, of the mean: "
        f"{plain:4.2f})  inside {inside:.2f}  width {width:5.2f}  ranks {ranks:.4f}  R2 {found.r2:.3f}"
    )


def imagenet(data: Path) -> tuple[Ints, Ints, Ints, Ints]:
    """64 models on val and b-33 (no fv_*: their rankings are stored in reverse)."""
    known = json.loads((data / "metadata" / "class_info.json").read_text())
    cid = {row["wnid"]: row["cid"] for row in known}
    parts: list[Ints] = []
    for name in ("imagenet-validation-original", "imagenetv2-b-33"):
        members = json.loads((data / "datasets" / f"{name}.json").read_text())["image_filenames"]
        file = np.load(data / "predictions" / f"{name}.top1.npz")
        order = np.argsort(file["models"])
        chosen = [at for at in order if not str(file["models"][at]).startswith("fv_")]
        parts += [file["top1"][chosen].astype(np.int64), np.array([cid[wnid] for _, wnid in members])]
    return parts[0], parts[1], parts[2], parts[3]


def cifar(data: Path) -> tuple[Ints, Ints, Ints, Ints]:
    """30 models on both sets."""
    parts: list[Ints] = []
    names: list[str] = []
    for name in ("cifar10_test", "cifar10.1_v4"):
        answers = json.loads(gzip.decompress((data / f"{name}.predictions.json.gz").read_bytes()))
        names = names or sorted(answers)
        parts += [np.array([answers[model] for model in names]), np.load(data / f"{name}_labels.npy")]
    return parts[0], parts[1], parts[2], parts[3]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("NEWTEST_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    data = parser.parse_args().data
    old, labels, new, new_labels = imagenet(data / "imagenetv2")
    row("ImageNetV2 b-33", old, labels, new, new_labels)
    draws = np.random.default_rng(0)
    for number in range(3):
        some = draws.choice(len(old), 20, replace=False)
        row(f"ImageNetV2 b-33, 20 models #{number}", old[some], labels, new[some], new_labels)
    row("CIFAR-10.1 v4", *cifar(data / "cifar10"))
    right = (old == labels).mean(axis=0)
    by_class = np.array([right[labels == cls].mean() for cls in range(1000)])
    order = np.argsort(by_class)
    parts = {
        "val, 300 hardest classes": np.isin(labels, order[:300]),
        "val, 300 easiest classes": np.isin(labels, order[700:]),
        "val, a random fifth": draws.random(len(labels)) < 0.2,
        "val, harder images": draws.random(len(labels)) < 0.3 * (1 - 0.7 * right),
    }
    for name, part in parts.items():
        row(name, old[:, ~part], labels[~part], old[:, part], labels[part])


if __name__ == "__main__":
    main()
