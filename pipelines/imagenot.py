"""Candidates for an ImageNet-like test set out of a captioned pool, as LAIONet and ImageNot were made.

    python pipelines/imagenot.py POOL WNIDS --threshold 0.3 --per-class 200 --out found.csv
    newtest collect --study imagenot --wnids-file WNIDS --source table:found.csv

Method. As LAIONet (Shirali & Hardt 2023, arXiv 2306.15769, section 2); ImageNot (arXiv 2404.02112) follows it. A
caption is a candidate of a class if it holds one of the class's WordNet lemmas, and if the cosine of caption and class
is at least a threshold, where the class is told by its name and short definition. Captions with lemmas of several of
the classes are dropped. No image is looked at, so no model has chosen what it finds easy. LAIONet's encoder was
CLIP's text tower with a threshold of .82; a cosine depends on the encoder, so look at captions near yours before you
choose one. Different here: lemmas match as whole words, and a lemma inside a longer one ("tiger" in "tiger shark")
does not count. Of the candidates so many are drawn by the seed; LAIONet took all, without those marked unsafe.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from newtest.classes import classes_of
from newtest.engines import engine
from newtest.pool.search import SearchConfig, search, write_found
from newtest.pool.storage.pool import open_pool
from newtest.progress import PRINTED


def main() -> None:
    """Match lemmas, compare definitions, draw, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool")
    parser.add_argument("wnids", type=Path, help="a file with one wnid per line")
    parser.add_argument("--threshold", type=float, default=0.3, help="least cosine of caption and definition")
    parser.add_argument("--per-class", type=int, default=200)
    parser.add_argument("--encoder", default="conse", help="conse, or MODEL/TAG of open_clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=Path, help="where layers are kept, if not in the pool")
    parser.add_argument("--out", type=Path, default=Path("found.csv"))
    options = parser.parse_args()

    classes = classes_of(options.wnids.read_text(encoding="utf-8").split())
    pool = open_pool(options.pool, layers=options.layers)
    config = SearchConfig(
        options.per_class, options.threshold, exclude_others=True, encoder=options.encoder, seed=options.seed
    )
    found = search(pool, classes, config, engine=engine("local"), progress=PRINTED)
    written = write_found(found, pool, options.out)
    for row in written.by_class():
        print(f"{row['wnid']}: {row['candidates']} of {row['mentions']} captions that mention it")
    print(f"{len(written.hits)} candidates; left out: {written.left_out()}; wrote {options.out}")


if __name__ == "__main__":
    main()
