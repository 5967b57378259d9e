"""DataComp's best published baseline for a pool: image-based and CLIP score together (Gadre et al. 2023, table 3).

    python pipelines/datacomp_filter.py POOL --near imagenet-train --out best.npy

Method. Every sample has a CLIP score s, the cosine of its image and its caption under L/14. Keep a sample when

1. s is among the best 30 % of the pool (exactly floor(0.3 n) rows; equal scores by uid), and
2. the k-means centroid nearest to its image is also the nearest one of some image of the target set, and its
   caption is English, of more than one word and more than five characters.

The two subsets are found apart and intersected, so that each can be looked at, published and used again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from newtest.engines import LocalEngine
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.storage import subset as subsets
from newtest.pool.storage.pool import open_pool
from newtest.progress import PRINTED


def main() -> None:
    """Filter by score, filter by image, intersect, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool")
    parser.add_argument(
        "--near", help="the target set: a folder of images, or an .npy of the encoder's vectors"
    )
    parser.add_argument("--fraction", type=float, default=0.3)
    parser.add_argument("--arch", help="b32, l14 or an encoder; what the pool has where it is left out")
    parser.add_argument("--out", type=Path, default=Path("best.npy"))
    options = parser.parse_args()

    pool, engine = open_pool(options.pool), LocalEngine()
    by_score = run(
        pool, Recipe(clip_score=True, fraction=options.fraction, arch=options.arch), engine, 0, PRINTED
    )
    print(f"CLIP score keeps {len(by_score):,} samples")
    best = by_score
    if options.near:
        by_image = run(pool, Recipe(image_near=options.near), engine, 0, PRINTED)
        best = subsets.intersection(by_score, by_image)
        print(f"image-based keeps {len(by_image):,} samples, both {len(best):,}")
    subsets.write(best, options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
