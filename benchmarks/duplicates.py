"""Copies of real photos, found or not: our hash next to imagededup's pHash, on the same files in one run.

    python benchmarks/duplicates.py [--photos ../shared/data/images] [--repeat 3] [--radius 22]

Every photo gets one file of each kind of change. Recall of a kind: the share of its copies that come out as a pair with
their original. Precision: the share of all reported pairs that are of one photo. imagededup runs in a virtual
environment of its own (made once, in ~/.cache/newtest-bench), with its defaults: threshold 10, as many encoding
processes as there are cores. Times run from files on disk to the list of pairs, without imports. Then the Hamming join
alone, against references of growing size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image, ImageEnhance, ImageFilter, ImageOps  # noqa: E402

NAMED = ("resized to 70 %", "JPEG quality 40", "cropped by 5 %", "mirrored", "10 % brighter")

PEER = """
import json, sys, time
if __name__ == "__main__":
    import types
    # torchvision's wheel is built for CUDA: beside a CPU torch its import fails at operators that PHash never uses.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
    from imagededup.methods import PHash
    hasher = PHash(verbose=False)
    start = time.perf_counter()
    found = hasher.find_duplicates(image_dir=sys.argv[1])
    print(json.dumps([time.perf_counter() - start, found]))
"""


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (int(width * left), int(height * top), width - int(width * right), height - int(height * bottom))
    )


CHANGES = {
    NAMED[0]: lambda image: image.resize((int(image.width * 0.7), int(image.height * 0.7))),
    NAMED[1]: lambda image: image,
    NAMED[2]: lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    NAMED[3]: ImageOps.mirror,
    NAMED[4]: lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "cropped by 10 %": lambda image: cut(image, 0.1, 0.1, 0.1, 0.1),
    "corner, 10 % cut off": lambda image: cut(image, 0.1, 0, 0, 0.1),
    "border of 5 %": lambda image: ImageOps.expand(image, min(image.size) // 20, "black"),
    "greyscale": lambda image: image.convert("L"),
    "blurred, 2 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "contrast + 30 %": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "rotated by 3 degrees": lambda image: image.rotate(3),
    "mirrored and cropped by 5 %": lambda image: ImageOps.mirror(cut(image, 0.05, 0.05, 0.05, 0.05)),
}


def write_files(photos: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """name -> (photo, kind) of every file written."""
    names: dict[str, tuple[str, str]] = {}
    for number, path in enumerate(sorted(photos.glob("*.JPEG"))):
        image = Image.open(path).convert("RGB")
        (folder / f"{number:04d}_00.jpg").write_bytes(path.read_bytes())
        names[f"{number:04d}_00.jpg"] = (path.name, "original")
        for kind_number, (kind, change) in enumerate(CHANGES.items(), start=1):
            name = f"{number:04d}_{kind_number:02d}.jpg"
            buffer = BytesIO()
            change(image).convert("RGB").save(buffer, "JPEG", quality=40 if kind == NAMED[1] else 95)
            (folder / name).write_bytes(buffer.getvalue())
            names[name] = (path.name, kind)
    return names


def ours(folder: Path, radius: int) -> tuple[float, set[tuple[str, str]]]:
    from concurrent.futures import ThreadPoolExecutor

    from newtest import hashes as perceptual
    from newtest.duplicates.join import close_hashes

    files = sorted(folder.iterdir())
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(perceptual.hash_of, files))
    words = np.stack([words for words in found if words is not None])
    names = [file.name for file, words in zip(files, found, strict=True) if words is not None]
    i, j, _ = close_hashes(words, words, radius)
    return time.perf_counter() - start, {(names[a], names[b]) for a, b in zip(i, j, strict=True) if a < b}


def peer(folder: Path, python: Path) -> tuple[float, set[tuple[str, str]]]:
    script = folder.parent / "peer.py"
    script.write_text(PEER)
    done = subprocess.run([str(python), str(script), str(folder)], capture_output=True, text=True, check=True)
    seconds, found = json.loads(done.stdout.splitlines()[-1])
    return seconds, {(min(a, b), max(a, b)) for a, others in found.items() for b in others}


def peer_python() -> Path:
    """A virtual environment with imagededup, made on first use."""
    place = Path.home() / ".cache" / "newtest-bench" / "imagededup"
    python = place / "bin" / "python"
    if not (place / ".ready").exists():
        venv.create(place, with_pip=True, clear=True)
        constraint = ROOT / "constraints.txt"
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "-c", str(constraint), "imagededup"], check=True
        )
        (place / ".ready").touch()
    return python


def report(name: str, pairs: set[tuple[str, str]], names: dict[str, tuple[str, str]]) -> dict[str, float]:
    originals = {photo: name for name, (photo, kind) in names.items() if kind == "original"}
    recall: dict[str, list[bool]] = {}
    for file, (photo, kind) in names.items():
        if kind != "original":
            a, b = sorted((originals[photo], file))
            recall.setdefault(kind, []).append((a, b) in pairs)
    result = {kind: statistics.mean(hits) for kind, hits in recall.items()}
    result["the five named kinds"] = statistics.mean(result[kind] for kind in NAMED)
    result["precision"] = statistics.mean(names[a][0] == names[b][0] for a, b in pairs) if pairs else 1.0
    return result


def scale(sizes: list[int], radius: int) -> None:
    """10,000 pool images (both orientations) against every framing of references of growing size."""
    from newtest import hashes as perceptual
    from newtest.neighbors import hamming_pairs

    rng = np.random.default_rng(0)
    framings = len(perceptual.FRAMINGS)
    queries = rng.integers(0, 2**63, (20_000, 3), dtype=np.uint64)
    queries[:, 2] &= np.uint64(0xFFFF)
    print(
        "\n| reference images | hashes | wall s | CPU s | pairs counted one by one would be |\n|---|---|---|---|---|"
    )
    for size in sizes:
        base = rng.integers(0, 2**63, (size * framings, 3), dtype=np.uint64)
        base[:, 2] &= np.uint64(0xFFFF)
        start, cpu = time.perf_counter(), time.process_time()
        hamming_pairs(queries, base, radius, bits=perceptual.BITS)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"| {size} | {len(base)} | {wall:.1f} | {cpu:.1f} | {len(queries) * len(base):.1e} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "images")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--radius", type=int, default=22)
    parser.add_argument("--references", default="10000,100000,1000000")
    options = parser.parse_args()
    python = peer_python()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        names = write_files(options.photos, folder)
        mine, theirs, rates = set(), set(), []
        for _ in range(options.repeat):
            seconds, mine = ours(folder, options.radius)
            peer_seconds, theirs = peer(folder, python)
            rates.append((len(names) / seconds, len(names) / peer_seconds))
    results = {
        "newtest": report("newtest", mine, names),
        "imagededup pHash": report("imagededup", theirs, names),
    }
    print(
        f"{len(names)} files of {len(names) // (len(CHANGES) + 1)} photos, radius {options.radius} of 144 bits\n"
    )
    print("| | newtest | imagededup pHash |\n|---|---|---|")
    for kind in results["newtest"]:
        print(f"| {kind} | {results['newtest'][kind]:.4f} | {results['imagededup pHash'][kind]:.4f} |")
    for label, place in (("newtest", 0), ("imagededup", 1)):
        values = [rate[place] for rate in rates]
        print(
            f"| images/s, {label} | {statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f}) | |"
        )
    ratios = [a / b for a, b in rates]
    print(
        f"| rate, ours over theirs | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | |"
    )
    scale([int(size) for size in options.references.split(",") if size], options.radius)


if __name__ == "__main__":
    main()
