"""Copies of real photos, found or not: our hash next to imagededup's pHash, on the same files in one run.

    python benchmarks/duplicates.py [--photos ../shared/data/images] [--repeat 3] [--radius 28] [--parts join,studies]

Every photo gets one file of each kind of change. Recall of a kind: the share of its copies that come out as a pair with
their original. Precision: the share of all reported pairs that are of one photo. imagededup runs in a virtual
environment of its own (made once, in ~/.cache/newtest-bench), with its defaults: threshold 10, as many encoding
processes as there are cores. Times run from files on disk to the list of pairs, without imports.

Then the join of hashes alone, 10,000 pool images against references of growing size, both ways round and mirrored, as
``newtest dedup`` does it; and ``newtest dedup`` itself on studies whose catalogs hold as many references. There the
hashes are random bits, with near-duplicates planted at known distances; each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps  # noqa: E402

from newtest import hashes as perceptual  # noqa: E402
from newtest.hashes import Words  # noqa: E402

POOL, PLANTED, NOW = 10_000, 1_000, "2026-11-21T00:00:00Z"
NAMED = ("resized to 70 %", "JPEG quality 40", "cropped by 5 %", "mirrored", "10 % brighter")
UPLOADED = "uploaded again: half size, 5 % cut off anywhere, brighter, JPEG 60"

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


def anywhere(image: Image.Image, share: float, draw: random.Random) -> Image.Image:
    """``share`` of the width and of the height cut off, at a random place."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def one_side(image: Image.Image, share: float, draw: random.Random) -> Image.Image:
    cuts = [0.0, 0.0, 0.0, 0.0]
    cuts[draw.randrange(4)] = share
    return cut(image, *cuts)


def corner(image: Image.Image, share: float, draw: random.Random) -> Image.Image:
    left, top = draw.choice((0.0, share)), draw.choice((0.0, share))
    return cut(image, left, top, share - left, share - top)


def half(image: Image.Image) -> Image.Image:
    return image.resize((max(image.width // 2, 1), max(image.height // 2, 1)))


def boxed(image: Image.Image, across: float, down: float, colour: str) -> Image.Image:
    """Bars of these shares of the photo's width and height at two sides each."""
    beside, above = int(image.width * across), int(image.height * down)
    return ImageOps.expand(image, (beside, above), colour)


def credited(image: Image.Image, share: float, colour: str, ink: str) -> Image.Image:
    """A bar with a line of text below the photo."""
    bar = max(int(image.height * share), 14)
    page = Image.new("RGB", (image.width, image.height + bar), colour)
    page.paste(image)
    ImageDraw.Draw(page).text(
        (6, image.height + bar * 0.2), "(c) 2018 Some Photographer / Agency", fill=ink, font_size=bar * 0.6
    )
    return page


def screenshot(image: Image.Image, draw: random.Random, colour: str, ink: str) -> Image.Image:
    """A status bar, a line of text, the photo with or without margins, icons, and a line of text."""
    width, height = image.size
    across = draw.choice((width, int(width * 1.06)))
    above, below = int(height * draw.uniform(0.08, 0.25)), int(height * draw.uniform(0.08, 0.3))
    page = Image.new("RGB", (across, height + above + below), colour)
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, across, int(above * 0.35)), fill=(60, 60, 70))
    pen.text((8, 2), "12:41", fill="white", font_size=max(above * 0.22, 8))
    pen.text((10, int(above * 0.5)), "some_user posted a photo", fill=ink, font_size=max(above * 0.3, 9))
    for place in range(3):
        pen.ellipse((10 + place * 40, height + above + 6, 30 + place * 40, height + above + 26), outline=ink)
    line = (10, height + above + below * 0.5)
    pen.text(line, "Liked by 1,024 people. What a view", fill=ink, font_size=max(below * 0.15, 9))
    page.paste(image, ((across - width) // 2, above))
    return page


def stamped(image: Image.Image) -> Image.Image:
    """A white patch of a fifth by an eighth in a corner."""
    stamp = image.copy()
    ImageDraw.Draw(stamp).rectangle(
        (image.width * 0.02, image.height * 0.02, image.width * 0.2, image.height * 0.15), fill="white"
    )
    return stamp


Change = Callable[[Image.Image, random.Random], Image.Image]
CHANGES: dict[str, Change] = {
    NAMED[0]: lambda image, draw: image.resize((int(image.width * 0.7), int(image.height * 0.7))),
    NAMED[1]: lambda image, draw: image,
    NAMED[2]: lambda image, draw: cut(image, 0.05, 0.05, 0.05, 0.05),
    NAMED[3]: lambda image, draw: ImageOps.mirror(image),
    NAMED[4]: lambda image, draw: ImageEnhance.Brightness(image).enhance(1.1),
    "half the size": lambda image, draw: half(image),
    "stretched by 10 %": lambda image, draw: image.resize((int(image.width * 1.1), image.height)),
    "greyscale": lambda image, draw: image.convert("L"),
    "30 % darker": lambda image, draw: ImageEnhance.Brightness(image).enhance(0.7),
    "contrast + 30 %": lambda image, draw: ImageEnhance.Contrast(image).enhance(1.3),
    "blurred, 2 pixels": lambda image, draw: image.filter(ImageFilter.GaussianBlur(2)),
    "stamped in a corner": lambda image, draw: stamped(image),
    "5 % cut off anywhere": lambda image, draw: anywhere(image, 0.05, draw),
    "10 % cut off anywhere": lambda image, draw: anywhere(image, 0.10, draw),
    "15 % cut off anywhere": lambda image, draw: anywhere(image, 0.15, draw),
    "20 % cut off anywhere": lambda image, draw: anywhere(image, 0.20, draw),
    "30 % cut off anywhere": lambda image, draw: anywhere(image, 0.30, draw),
    UPLOADED: lambda image, draw: ImageEnhance.Brightness(half(anywhere(image, 0.05, draw))).enhance(1.15),
    "mirrored, 5 % cut off anywhere": lambda image, draw: ImageOps.mirror(anywhere(image, 0.05, draw)),
    "10 % cut off at each side": lambda image, draw: cut(image, 0.1, 0.1, 0.1, 0.1),
    "corner, 10 % cut off": lambda image, draw: corner(image, 0.1, draw),
    "one side, 5 % cut off": lambda image, draw: one_side(image, 0.05, draw),
    "one side, 10 % cut off": lambda image, draw: one_side(image, 0.10, draw),
    "one side, 15 % cut off": lambda image, draw: one_side(image, 0.15, draw),
    "one side, 20 % cut off": lambda image, draw: one_side(image, 0.20, draw),
    "one side, 30 % cut off": lambda image, draw: one_side(image, 0.30, draw),
    "rotated by 2 degrees": lambda image, draw: image.rotate(draw.choice((-2, 2))),
    "rotated by 3 degrees": lambda image, draw: image.rotate(draw.choice((-3, 3))),
    "rotated by 3 degrees, white": lambda image, draw: image.rotate(draw.choice((-3, 3)), fillcolor="white"),
    "rotated by 3 degrees, larger": lambda image, draw: image.rotate(draw.choice((-3, 3)), expand=True),
    "rotated by 5 degrees": lambda image, draw: image.rotate(draw.choice((-5, 5))),
    "letterbox, black": lambda image, draw: boxed(image, 0, 0.10, "black"),
    "letterbox, white": lambda image, draw: boxed(image, 0, 0.15, "white"),
    "pillars, black": lambda image, draw: boxed(image, 0.2, 0, "black"),
    "border of 5 %": lambda image, draw: ImageOps.expand(image, min(image.size) // 20, "black"),
    "border of 10 %, grey": lambda image, draw: ImageOps.expand(image, min(image.size) // 10, "grey"),
    "letterbox, 5 % cut off anywhere": lambda image, draw: boxed(
        anywhere(image, 0.05, draw), 0, 0.1, "black"
    ),
    "credit bar, black": lambda image, draw: credited(image, 0.08, "black", "white"),
    "credit bar, white": lambda image, draw: credited(image, 0.12, "white", "black"),
    "screenshot, light": lambda image, draw: screenshot(image, draw, "#fafafa", "black"),
    "screenshot, dark": lambda image, draw: screenshot(image, draw, "#121212", "white"),
}
"""What is done to a photo. Places, sides and directions are drawn for each photo, from its name and the kind's."""
QUALITY = {NAMED[1]: 40, UPLOADED: 60}
"""JPEG quality, where it is not 90."""


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
            changed = change(image, random.Random(f"{kind} {path.name}")).convert("RGB")
            changed.save(buffer, "JPEG", quality=QUALITY.get(kind, 90))
            (folder / name).write_bytes(buffer.getvalue())
            names[name] = (path.name, kind)
    return names


def ours(folder: Path, radius: int) -> tuple[float, set[tuple[str, str]]]:
    from concurrent.futures import ThreadPoolExecutor

    from newtest.neighbors import close_hashes

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


def random_hashes(images: int, seed: int) -> Words:
    """(images, framings, words): framings of one picture differ in about 18 bits of 144."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 2**64, (images, 1, perceptual.WORDS), dtype=np.uint64)
    words = np.repeat(whole, len(perceptual.FRAMINGS), axis=1)
    for framing in range(1, words.shape[1]):
        words[:, framing] ^= noise(images, rng)
    words[:, :, -1] &= np.uint64(0xFFFF)
    return words


def noise(rows: int, rng: np.random.Generator) -> Words:
    """About an eighth of the bits."""
    flips = np.full((rows, perceptual.WORDS), 2**64 - 1, np.uint64)
    for _ in range(3):
        flips &= rng.integers(0, 2**64, flips.shape, dtype=np.uint64)
    return flips


def plant(pool: Words, reference: Words, copies: int, radius: int) -> None:
    """Make the first reference images copies of pool images, every second one mirrored, at most ``radius`` bits off."""
    rng = np.random.default_rng(1)
    reference[:copies] = pool[:copies]
    reference[:copies:2] = perceptual.oriented(pool[:copies:2], perceptual.MIRROR[1])
    for copy in range(copies):
        for bit in rng.choice(perceptual.BITS, copy % (radius + 1), replace=False).tolist():
            reference[copy, :, bit // 64] ^= np.uint64(1 << bit % 64)


def measured(function: str, *arguments: object) -> dict[str, float]:
    """What a function of this file prints as JSON, from a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import duplicates; duplicates.{function}"
    text = ", ".join(map(repr, arguments))
    done = subprocess.run([sys.executable, "-c", f"{code}({text})"], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def join_once(size: int, radius: int) -> None:
    from newtest.neighbors import close_hashes

    pool, reference = random_hashes(POOL, 2), random_hashes(size, 3)
    plant(pool, reference, PLANTED, radius)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    i, j, near = close_hashes(pool, reference, radius)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    found = {(a, b) for a, b in zip(i.tolist(), j.tolist(), strict=True)}
    planted = sum((place, place) in found for place in range(PLANTED))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"wall": wall, "cpu": cpu, "planted": planted, "others": len(found) - planted,
                      "input": (pool.nbytes + reference.nbytes) / 2**20, "mib": peak / 1024,
                      "more": (peak - before) / 1024, "farthest": int(near.max(initial=0))}))  # fmt: skip


def join(sizes: list[int], radius: int, repeat: int) -> None:
    """The join of ``newtest dedup`` against every framing of references of growing size."""
    print(
        f"\n{POOL} pool images, {PLANTED} of them with a copy in the reference, within {radius} bits, mirrored too\n\n"
        "| reference images | hashes | wall s | CPU s | MiB of hashes | MiB beside them | planted found | other pairs |"
        "\n|---|---|---|---|---|---|---|---|"
    )
    for size in sizes:
        runs = [measured("join_once", size, radius) for _ in range(repeat)]
        wall, cpu, more = ([run[key] for run in runs] for key in ("wall", "cpu", "more"))
        print(
            f"| {size} | {size * len(perceptual.FRAMINGS)} | {spread(wall)} | {spread(cpu)} | {runs[0]['input']:.0f} | "
            f"{max(more):.0f} | {runs[0]['planted']:.0f} | {runs[0]['others']:.0f} |",
            flush=True,
        )


def make_study(folder: Path, size: int, radius: int) -> None:
    """A study of 10,000 candidates and a reference of ``size`` images, with hashes as if they had been looked at."""
    from newtest.catalog import duplicates as rows
    from newtest.catalog import transaction
    from newtest.catalog.classes import put_classes
    from newtest.catalog.files import FileRow, record
    from newtest.catalog.images import add_candidates, add_images
    from newtest.catalog.references import put_reference
    from newtest.duplicates.scan import HASH
    from newtest.records import Class, Image
    from newtest.study import Study

    pool, reference = random_hashes(POOL, 2), random_hashes(size, 3)
    plant(pool, reference, PLANTED, radius)
    candidates = [Image(f"c{place:07d}", "folder", f"c{place:07d}", None) for place in range(POOL)]
    members = [Image(f"r{place:07d}", "reference:train", f"r{place:07d}", None) for place in range(size)]
    with Study(folder, create=True) as study:
        put_classes(study.catalog, [Class("n01443537", ("goldfish",), origin="table")])
        put_reference(study.catalog, "train", "made", "f", NOW, [(image, "n01443537") for image in members])
        with transaction(study.catalog):
            add_images(study.catalog, candidates)
            add_candidates(study.catalog, "n01443537", [image.image_id for image in candidates])
        for images, words in ((candidates, pool), (members, reference)):
            sums = [hashlib.sha256(image.image_id.encode()).hexdigest() for image in images]
            record(study.catalog, [FileRow(image.image_id, "ok", NOW, sum_, 1, "JPEG", 500, 400)
                                   for image, sum_ in zip(images, sums, strict=True)])  # fmt: skip
            with transaction(study.catalog):
                values = (hashes.astype("<u8").tobytes() for hashes in words)
                rows.add_hashes(study.catalog, HASH, zip(sums, values, strict=True))


def dedup_once(folder: str) -> None:
    start = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from newtest.cli import main; main()",
        "dedup",
        "--study",
        folder,
        "--json",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = json.loads(done.stdout)
    print(json.dumps({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024,
                      "pairs": said["new_pairs"]["dct144-3"]}))  # fmt: skip


def studies(sizes: list[int], radius: int) -> None:
    """``newtest dedup`` from start to end, the first time and once more with nothing new."""
    print(
        "\n| reference images | catalog MiB | run | wall s | CPU s | peak MiB | new pairs |"
        "\n|---|---|---|---|---|---|---|"
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            make_study(Path(scratch), size, radius)
            for name in ("first", "again"):
                run = measured("dedup_once", scratch)
                catalog = sum(file.stat().st_size for file in Path(scratch).glob("study.sqlite*")) / 2**20
                print(
                    f"| {size} | {catalog:.0f} | {name} | {run['wall']:.1f} | {run['cpu']:.1f} | {run['mib']:.0f} | "
                    f"{run['pairs']:.0f} |",
                    flush=True,
                )


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def photos(folder: Path, radius: int, repeat: int) -> None:
    """Kinds of change found, and images a second, next to imagededup."""
    python = peer_python()
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "files"
        files.mkdir()
        names = write_files(folder, files)
        mine: set[tuple[str, str]] = set()
        theirs: set[tuple[str, str]] = set()
        rates = []
        for _ in range(repeat):
            seconds, mine = ours(files, radius)
            peer_seconds, theirs = peer(files, python)
            rates.append((len(names) / seconds, len(names) / peer_seconds))
    results = {
        "newtest": report("newtest", mine, names),
        "imagededup pHash": report("imagededup", theirs, names),
    }
    print(f"{len(names)} files of {len(names) // (len(CHANGES) + 1)} photos, radius {radius} of 144 bits\n")
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "images")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--radius", type=int, default=perceptual.RADIUS)
    parser.add_argument("--references", default="10000,100000,1000000")
    parser.add_argument("--parts", default="photos,join,studies", help="which of the three to run")
    options = parser.parse_args()
    sizes, parts = [int(size) for size in options.references.split(",") if size], options.parts.split(",")
    if "photos" in parts:
        photos(options.photos, options.radius, options.repeat)
    if "join" in parts:
        join(sizes, options.radius, options.repeat)
    if "studies" in parts:
        studies(sizes, options.radius)


if __name__ == "__main__":
    main()
