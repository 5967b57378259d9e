"""Semantic deduplication (Abbas et al. 2023), by connected components, with its recall stated.

    python pipelines/semdedup.py POOL --threshold 0.95 --out dedup.npy

Method. Images are unit vectors. A spherical k-means parts them into clusters of about a thousand; within each
cluster all pairs with a cosine of at least the threshold are found exactly. Pairs are the edges of a graph; of each
connected component one sample stays: the highest score, then the most pixels, then the lowest uid. The paper's own
rule depends on the order of a cluster's members; this one does not. Pairs that straddle two clusters are lost: the
recall says how many, counted against the exact join of 20,000 rows. Where the whole join is affordable, ``--exact``
makes it instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
from newtest.pool.dedup.pairs import write_pairs
from newtest.pool.storage import subset as subsets
from newtest.pool.storage.pool import open_pool


def main() -> None:
    """Join, group, keep one of each group, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool")
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--clusters", type=int, default=0, help="0 is one for a thousand samples")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("dedup.npy"))
    options = parser.parse_args()

    method = "exact" if options.exact else "semantic"
    config = DedupConfig(method, options.threshold, clusters=options.clusters, seed=options.seed)
    found = dedup(open_pool(options.pool), config)
    told = found.subset.manifest
    print(
        f"{told['pairs']:,} pairs in {told['groups']:,} groups; {told['rows_removed']:,} of "
        f"{told['rows_read']:,} samples go"
    )
    if (recall := told["dedup"].get("recall")) is not None:
        print(f"recall {recall:.3f} against the exact join of {told['dedup']['recall_rows']:,} samples")
    write_pairs(found.pairs, options.out.with_suffix(".pairs.parquet"))
    subsets.write(found.subset, options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
