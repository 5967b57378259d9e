"""Take every evaluation set's near-duplicates out of a training subset.

    python pipelines/decontaminate.py POOL --subset best.npy --against releases/v1 --out clean.npy

Method. The images of each evaluation set are embedded with the encoder that embedded the pool. A sample of the pool
is contaminated when its cosine with any of them is at least the threshold; all such pairs are found exactly and
written out, to be looked at. The clean samples are intersected with the training subset. Counts are given for each
set, because a set that loses nothing may mean a clean pool, or a descriptor that does not see copies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.pairs import write_pairs
from newtest.pool.storage import subset as subsets
from newtest.pool.storage.pool import open_pool


def main() -> None:
    """Compare with every set, intersect with the training subset, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool")
    parser.add_argument("--against", action="append", required=True, metavar="SET")
    parser.add_argument(
        "--subset", type=Path, help="the training subset; the whole pool where it is left out"
    )
    parser.add_argument("--method", choices=("exact", "hash"), default="exact")
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--out", type=Path, default=Path("clean.npy"))
    options = parser.parse_args()

    config = DecontaminateConfig(options.method, options.threshold)
    found = decontaminate(open_pool(options.pool), options.against, config)
    for name, counts in found.subset.manifest["sets"].items():
        print(
            f"{name}: {counts['images_found']:,} of {counts['images']:,} images are in "
            f"{counts['rows_removed']:,} samples"
        )
    clean = found.subset
    if options.subset:
        clean = subsets.intersection(subsets.read(options.subset), clean)
    write_pairs(found.pairs, options.out.with_suffix(".pairs.parquet"))
    subsets.write(clean, options.out)
    print(f"{len(clean):,} clean samples; wrote {options.out}")


if __name__ == "__main__":
    main()
