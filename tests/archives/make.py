"""Write the archive of this version: small homes of every format, made by the commands, of pictures made here.

    python tests/archives/make.py tests/archives/0.2

Archives of released versions are never written again: they are what users have on their disks. ``test_archives.py``
opens each with the newtest of today.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pool"))
from pool_tiny_model import tiny_model

SIDE = 48
CLASSES = """[stripes]
lemmas = ["stripes"]
gloss = "lines that run side by side"

[spots]
lemmas = ["spots"]
gloss = "round marks on a ground"
"""


def picture(kind: str, number: int) -> Image.Image:
    """48 x 48 pixels; no two alike."""
    draw = np.random.default_rng([len(kind), number])
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    if kind == "stripes":
        angle, width = draw.uniform(0, np.pi), draw.uniform(3, 9)
        light = np.sin((x * np.cos(angle) + y * np.sin(angle)) / width)
    else:
        light = np.full((SIDE, SIDE), -1.0)
        for _ in range(6):
            cx, cy, radius = draw.uniform(5, 43), draw.uniform(5, 43), draw.uniform(3, 10)
            light = np.maximum(light, np.clip(radius - np.hypot(x - cx, y - cy), -1, 1))
    colour = draw.integers(40, 216, 3)
    grey = (light[:, :, None] + 1) / 2 * colour
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def folders(root: Path) -> None:
    """Candidates and an original of two classes, and the same pictures with captions."""
    for name, first, count in (("candidates", 0, 8), ("original", 100, 4)):
        for kind in ("stripes", "spots"):
            place = root / name / kind
            place.mkdir(parents=True)
            for number in range(first, first + count):
                picture(kind, number).save(place / f"{kind}-{number}.png")
    captioned = root / "captioned"
    captioned.mkdir()
    for file in sorted((root / "candidates").rglob("*.png")):
        shutil.copy(file, captioned / file.name)
        (captioned / file.name).with_suffix(".txt").write_text(
            f"a picture of {file.parent.name} on a plain ground"
        )
    (root / "classes.toml").write_text(CLASSES)


def newtest(*words: object, at: Path) -> None:
    """One command, as a user types it."""
    command = [sys.executable, "-c", "from newtest.cli import main; main()", *map(str, words)]
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"newtest {' '.join(map(str, words))}: {done.stderr}")


def study(at: Path) -> None:
    """From candidates to a release, with planned HITs, votes, verdicts and a revision."""
    newtest(
        "collect", "--study", "study", "--classes", "classes.toml", "--source", "folder:candidates", at=at
    )
    newtest("reference", "add", "old", "--study", "study", "--images", "original", at=at)
    newtest("fetch", "--study", "study", at=at)
    newtest("annotate", "plan", "--study", "study", "--images", 8, "--positive", 2, "--negative", 0, at=at)
    newtest("votes", "simulate", "--study", "study", at=at)
    newtest("dedup", "--study", "study", "--auto-radius", 2, at=at)
    newtest(
        "sample", "--study", "study", "--strategy", "top-images", "--per-class", 3, "--name", "first", at=at
    )
    newtest("release", "first", "--study", "study", "--out", "release", at=at)


def results(at: Path) -> None:
    """Predictions of two models on the release, one wrong once."""
    images = sorted((at / "release" / "images").glob("*/*.png"))
    rows = [(file.stem, file.parent.name) for file in images]
    for model, wrong in (("careful", 0), ("careless", 2)):
        with (at / f"{model}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(("image", "prediction"))
            for number, (name, wnid) in enumerate(rows):
                other = "spots" if wnid == "stripes" else "stripes"
                writer.writerow((name, other if number < wrong else wnid))
        newtest("evaluate", "release", "--predictions", f"{model}.csv", "--out", "results", at=at)


def pool(at: Path) -> None:
    """Shards with layers of languages hashes and embeddings, subsets, and new shards of one of them."""
    newtest("import-pool", "captioned", "--out", "pool", "--shard-rows", 6, at=at)
    newtest("filter-pool", "pool", "--english", "--min-words", 2, "--out", "english.npy", at=at)
    newtest("dedup-pool", "pool", "--method", "hash", "--out", "kept.npy", at=at)
    newtest("embed-pool", "pool", "--model", tiny_model(at), at=at)
    newtest("reshard-pool", "pool", "--subset", "kept.npy", "--out", "resharded", at=at)


def pack(folder: Path, target: Path) -> None:
    """A tar that is the same for the same files, whoever packs it."""
    with tarfile.open(target, "w:xz") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "locks" not in path.parts and path.name != ".lock":
                entry = tar.gettarinfo(path, path.relative_to(folder.parent).as_posix())
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                with path.open("rb") as handle:
                    tar.addfile(entry, handle)


def main(target: Path) -> None:
    """Make everything in a folder of its own, and pack what a user would keep."""
    if target.exists():
        raise SystemExit(f"{target}: is there already; an archive is never written again")
    with tempfile.TemporaryDirectory() as name:
        at = Path(name)
        folders(at)
        study(at)
        results(at)
        pool(at)
        target.mkdir(parents=True)
        for folder in ("study", "release", "results", "pool", "resharded"):
            pack(at / folder, target / f"{folder}.tar.xz")
        for subset in ("english", "kept"):
            for file in sorted(at.glob(f"{subset}.*")):
                shutil.copy(file, target / file.name)
    size = sum(file.stat().st_size for file in target.iterdir())
    print(f"{target}: {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
