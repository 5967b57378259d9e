"""A table for training CLIP, read by open_clip's own reader (open_clip_train.data.CsvDataset, 3.3.0) and by newtest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from servers.images import made_photo

from newtest.clip.torch_runtime import library
from newtest.pool.importing import import_folder
from newtest.pool.storage.pool import open_pool


@pytest.mark.filterwarnings("ignore")
def test_the_same_pairs_of_image_and_caption(tmp_path: Path) -> None:
    """Tab-separated ``filepath`` and ``title``: what open_clip trains on is what import-pool makes a pool of."""
    photos = tmp_path / "photos"
    photos.mkdir()
    names = [f"{number}.jpg" for number in range(4)]
    for number, name in enumerate(names):
        (photos / name).write_bytes(made_photo(number))
    titles = ["an owl", 'a "quoted" cat, sitting', "ein Bär", "NA"]
    table = pd.DataFrame({"filepath": names, "title": titles})
    table.to_csv(photos / "captions.csv", sep="\t", index=False)

    data = library("open_clip_train.data", "open_clip_torch", "clip")
    theirs = data.CsvDataset(
        str(photos / "captions.csv"),
        lambda image: image,
        "filepath",
        "title",
        sep="\t",
        tokenizer=lambda texts: texts,
    )
    said = dict(zip(theirs.images, theirs.captions, strict=True))

    list(import_folder(photos, tmp_path / "pool", shard_rows=10))
    pool = open_pool(tmp_path / "pool")
    [batch] = pool.batches(pool.shards[0], ["key", "text"])
    ours = dict(zip(batch["key"].to_pylist(), batch["text"].to_pylist(), strict=True))
    assert len(ours) == 4
    by_name = {str(key).split("/")[-1].split(".")[0]: text for key, text in ours.items()}
    for name, title in said.items():
        if isinstance(title, str):  # pandas made a number of "NA" there; newtest keeps the caption
            assert title in by_name.values(), name
    assert set(by_name.values()) == set(titles)
