"""CPU time of a perceptual hash per photo, by the photo's size: ours, imagededup's pHash, and decoding alone.

    python benchmarks/hash_rate.py [--photos ../shared/data/images] [--repeat 3]

Every photo as it is and enlarged to 1,024 and 2,048 pixels on its longer side (JPEG, quality 90), each hasher in a
process of its own on one thread, in turns. "Decoding alone" is Pillow reading the grey levels at the reduced size that
our hash needs, without any hash: no hash that decodes with Pillow can take less. Times are CPU seconds from files on
disk; what the first five photos take is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.duplicates import peer_python  # noqa: E402

SIZES = (0, 1024, 2048)
"""Pixels of the longer side; 0 leaves a photo as it is."""

TIMED = """
import sys, time
from pathlib import Path
files = sorted(Path(sys.argv[1]).iterdir())
for path in files[:5]: once(path)
start = time.process_time()
for path in files[5:]: once(path)
print((time.process_time() - start) / (len(files) - 5) * 1000)
"""
HASHERS = {
    "newtest": "from newtest.hashes import hash_of as once\n",
    "decoding alone": """
from PIL import Image
def once(path):
    with Image.open(path) as image:
        image.draft("L", (128, 128))
        image.convert("L").resize((128, 128), Image.Resampling.BILINEAR, reducing_gap=2.0)
""",
    "imagededup pHash": """
import sys, types
# torchvision's wheel is built for CUDA: beside a CPU torch its import fails at operators that PHash never uses.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
from imagededup.methods import PHash
hasher = PHash(verbose=False)
def once(path): hasher.encode_image(image_file=path)
""",
}


def write_photos(photos: Path, folder: Path, side: int) -> None:
    folder.mkdir()
    for path in sorted(photos.glob("*.JPEG")):
        if not side:
            (folder / path.name).write_bytes(path.read_bytes())
            continue
        image = Image.open(path).convert("RGB")
        scale = side / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        image.resize(size, Image.Resampling.LANCZOS).save(folder / f"{path.stem}.jpg", quality=90)


def milliseconds(hasher: str, folder: Path) -> float:
    python = peer_python() if hasher == "imagededup pHash" else Path(sys.executable)
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    code = HASHERS[hasher] + TIMED
    done = subprocess.run(
        [str(python), "-c", code, str(folder)], capture_output=True, text=True, check=True, env=variables
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "images")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print("| longer side | newtest, ms | decoding alone | pHash | pHash over ours | pHash over decoding |")
    print("|---|---|---|---|---|---|")
    for side in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "photos"
            write_photos(options.photos, folder, side)
            runs = [{name: milliseconds(name, folder) for name in HASHERS} for _ in range(options.repeat)]
        ours, bare, peer = ([run[name] for run in runs] for name in HASHERS)
        cells = [f"{statistics.median(times):.2f}" for times in (ours, bare, peer)]
        for below in (ours, bare):
            ratios = [a / b for a, b in zip(peer, below, strict=True)]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {side or 'as they are'} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
