"""reshard-pool and embed-pool, each against a bare baseline in the same run.

    python benchmarks/pool_images.py --images ../shared/data/images [--embedded 100 200 400] [--repeat 3]

*reshard*: 30 % of a pool's samples are written anew. The baseline does what DataComp's resharder does, written
here with ``tarfile``: read every sample, parse its json for the uid, write the wanted ones. *embed*: images a
second through ``embed-pool`` (reading, decoding, captions, writing) against the same forward passes alone, of
images and of captions, on prepared pixels, in batches of the same size with the same threads; once with newtest's
network and once with the network as its package gives it. Contenders take turns. CPU seconds stand beside the
wall clock, because the machine may be shared.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.clip import efficientnet
from newtest.clip.conse import Conse
from newtest.engines import LocalEngine, Resources
from newtest.images import shown
from newtest.pool import embedding
from newtest.pool.embedding import EmbedConfig, embed
from newtest.pool.reshard import plan_reshard, reshard
from newtest.pool.storage import uids as ids
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.subset import Subset
from newtest.pool.storage.tar_writing import END, add

BATCH = 32
DATA = Path(os.environ.get("NEWTEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def make_pool(folder: Path, images: list[bytes], samples: int, shard_rows: int) -> Pool:
    """Photos again and again, each under a uid of its own."""
    for first in range(0, samples, shard_rows):
        rows = []
        with open(folder / f"{first:08d}.tar", "wb") as archive:
            for number in range(first, min(first + shard_rows, samples)):
                row = {
                    "uid": f"{number * 2654435761 % 2**32:032x}",
                    "key": f"{number:09d}",
                    "text": f"a photo of number {number}",
                }
                add(archive, f"{row['key']}.jpg", images[number % len(images)])
                add(archive, f"{row['key']}.txt", row["text"].encode())
                add(archive, f"{row['key']}.json", json.dumps(row).encode())
                rows.append(row)
            archive.write(END)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{first:08d}.parquet")
    return open_pool(folder)


def baseline_reshard(pool: Pool, wanted: frozenset[str], out: Path) -> int:
    """Every sample read, its json parsed, the wanted ones written, one shard after another."""
    written = 0
    with tarfile.open(out / "0.tar", "w") as target:
        for shard in pool.shards:
            with tarfile.open(Path(pool.address) / f"{shard.name}.tar") as source:
                sample: list[tuple[str, bytes]] = []
                for member in source:
                    content = source.extractfile(member)
                    assert content is not None
                    sample.append((member.name, content.read()))
                    if member.name.endswith(".json"):
                        if json.loads(sample[-1][1])["uid"] in wanted:
                            written += 1
                            for name, data in sample:
                                info = tarfile.TarInfo(name)
                                info.size = len(data)
                                target.addfile(info, io.BytesIO(data))
                        sample = []
    return written


def timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds, what it returned."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu, result


def table(title: str, contenders: dict[str, Callable[[], int]], repeat: int) -> None:
    """Contenders take turns; the first is the baseline."""
    runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in contenders}
    for _ in range(repeat):
        for name, work in contenders.items():
            runs[name].append(timed(work))
    print(
        f"\n{title}, median of {repeat} (range)\n\n| contender | images/s | range | ratio | ratio by CPU "
        "|\n|---|---|---|---|---|"
    )
    base, base_cpu = None, None
    for name, results in runs.items():
        rates = sorted(count / wall for wall, _, count in results)
        cpu = median(count / seconds for _, seconds, count in results)
        base, base_cpu = base or median(rates), base_cpu or cpu
        print(
            f"| {name} | {_rate(median(rates))} | {_rate(rates[0])} to {_rate(rates[-1])} | "
            f"{median(rates) / base:.2f} | {cpu / base_cpu:.2f} |",
            flush=True,
        )


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, default=DATA / "images")
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--embedded", type=int, nargs="*", default=[100, 200, 400])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    photos = [
        path.read_bytes()
        for path in sorted(options.images.iterdir())
        if path.suffix.lower() in (".jpg", ".jpeg")
    ]
    one = Resources(workers=1)
    with tempfile.TemporaryDirectory() as scratch:
        for size in (options.samples // 4, options.samples):
            folder = Path(scratch, f"pool{size}")
            folder.mkdir()
            pool = make_pool(folder, photos, size, 1000)
            uids = [
                row
                for shard in pool.shards
                for row in pq.read_table(folder / f"{shard.name}.parquet")["uid"].to_pylist()
            ]
            wanted = sorted(np.random.default_rng(0).choice(uids, int(0.3 * size), replace=False).tolist())
            chosen_uids = frozenset(wanted)
            chosen = Subset.of(ids.from_arrow(pa.array(wanted)))

            def ours(pool: Pool = pool, chosen: Subset = chosen, size: int = size) -> int:
                with tempfile.TemporaryDirectory() as out:
                    list(reshard(pool, plan_reshard(pool, chosen), out, LocalEngine(), one))
                return size

            def theirs(pool: Pool = pool, wanted: frozenset[str] = chosen_uids, size: int = size) -> int:
                with tempfile.TemporaryDirectory() as out:
                    baseline_reshard(pool, wanted, Path(out))
                return size

            table(
                f"reshard {size:,} samples, 30 % kept, one worker",
                {"tarfile and json": theirs, "newtest": ours},
                options.repeat,
            )
        for count in options.embedded:
            embed_table(Path(scratch), photos, count, options.repeat)


def embed_table(scratch: Path, photos: list[bytes], count: int, repeat: int) -> None:
    """The whole of embed-pool, decoding and captions included, against the forward passes alone."""
    ours, packaged = Conse(device="cpu"), as_packaged()
    embedding._encoder = lambda config: ours
    folder = scratch / f"embed{count}"
    folder.mkdir()
    pool = make_pool(folder, photos, count, count)
    pixels = np.stack([ours.prepare(shown(photos[number % len(photos)])) for number in range(count)])
    texts = [f"a photo of number {number}" for number in range(count)]
    for encoder in (ours, packaged):
        encoder.look(pixels[:BATCH])
        encoder.texts(texts[:BATCH])

    def bare(encoder: Conse) -> int:
        for first in range(0, count, BATCH):
            encoder.look(pixels[first : first + BATCH])
            encoder.texts(texts[first : first + BATCH])
        return count

    def whole() -> int:
        with tempfile.TemporaryDirectory() as layers:
            config = EmbedConfig(batch=BATCH)
            opened = open_pool(pool.address, layers=layers)
            complete(embed(opened, config, LocalEngine(), Resources(1)), 1)
        return count

    table(
        f"embed {count} images and captions with conse on the CPU, batches of {BATCH}",
        {
            "forward passes alone": lambda: bare(ours),
            "the same, network as its package gives it": lambda: bare(packaged),
            "newtest embed-pool": whole,
        },
        repeat,
    )


def as_packaged() -> Conse:
    """The encoder without the folding that newtest does."""
    fold, efficientnet._folded = efficientnet._folded, lambda model: model
    try:
        encoder = Conse(device="cpu")
        encoder.look(np.zeros((1, 224, 224, 3), np.uint8))
        return encoder
    finally:
        efficientnet._folded = fold


if __name__ == "__main__":
    main()
