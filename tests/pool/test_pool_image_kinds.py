"""One list of kinds of images: what fetch-pool stores as a success is an image for every other command."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from pool_cheap_encoder import Cheap
from servers.images import ImageServer, serving

from newtest.images import KINDS
from newtest.pool import embedding
from newtest.pool.dedup import target_sets

PICTURE = PIL.Image.fromarray(np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8)).resize((80, 60))


def encoded(form: str, image: PIL.Image.Image = PICTURE, **options: Any) -> bytes:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def odd() -> dict[str, bytes | None]:
    """One of every kind, odd ones, and what is not an image (the second part); all are called .jpg by the server."""
    grey = PIL.Image.fromarray(np.asarray(PICTURE.convert("L"), np.uint16) * 200)
    return {
        **{kind.name: encoded(kind.name) for kind in KINDS},
        "CMYK": encoded("JPEG", PICTURE.convert("CMYK")),
        "16 bit": encoded("PNG", grey),
        "palette": encoded("PNG", PICTURE.convert("P")),
        "animated": encoded("GIF", save_all=True, append_images=[PIL.Image.new("RGB", PICTURE.size, "red")]),
        "PGM": encoded("PPM", PICTURE.convert("L")),
    }


NOT = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n",
    "ICO": encoded("ICO"),
    "half": encoded("JPEG")[:300],
}


def told(*typed: str) -> dict[str, Any]:
    done = invoke([*typed, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, (typed, done.output)
    return dict(json.loads(done.stdout))


def test_what_is_fetched_as_an_image_is_one_for_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_encoder", lambda config: Cheap())
    monkeypatch.setattr(target_sets, "encoder", lambda name, **more: Cheap())
    served = {**odd(), **NOT}
    good, total = len(odd()), len(served)
    with serving(ImageServer(list(served.values()))) as server:
        urls = [server.url(f"{number}.jpg") for number in range(total)]
        pq.write_table(pa.table({"url": urls, "text": list(served)}), tmp_path / "urls.parquet")
        fetched = told(
            "fetch-pool", str(tmp_path / "urls.parquet"), "--out", str(tmp_path / "pool"), "--allow-private"
        )
    assert (fetched["success"], fetched["left_out"]) == (good, total - good), fetched
    pools = {"tars": tmp_path / "pool", "tables": tmp_path / "tables"}
    written = told(
        "reshard-pool", str(pools["tars"]), "--all", "--format", "parquet", "--out", str(pools["tables"])
    )
    assert (written["written"], written["missing"]) == (good, total - good)
    for form, pool in pools.items():
        rows = pq.read_table(next(pool.glob("*.parquet"))).to_pylist()
        assert [row["text"] for row in rows if row["status"] == "success"] == list(odd()), form
        embedded = told("embed-pool", str(pool))
        assert (embedded["rows"], embedded["failed"]) == (len(rows), len(rows) - good), (form, embedded)
        for method in ("hash", "bytes", "exact"):
            found = told(
                "dedup-pool", str(pool), "--method", method, "--out", str(tmp_path / f"{method}.npy")
            )
            assert found["rows_not_compared"] == len(rows) - good, (form, method)
        against = ("--against", str(pools["tars"]), "--against", str(pools["tables"]))
        for method in ("hash", "exact"):
            clean = told(
                "decontaminate-pool",
                str(pool),
                *against,
                "--method",
                method,
                "--out",
                str(tmp_path / "c.npy"),
            )
            assert clean["rows_removed"] == good, (form, method)
            assert {(counts["images"], counts["unreadable"]) for counts in clean["sets"].values()} == {
                (good, 0)
            }
        scored = told(
            "filter-pool", str(pool), "--clip-score", "--fraction", "1", "--out", str(tmp_path / "f.npy")
        )
        assert scored["rows_kept"] == good
    files = tmp_path / "files"
    files.mkdir()
    for number, data in enumerate(served.values()):
        (files / f"{number}.jpg").write_bytes(data)
    imported = told("import-pool", str(files), "--out", str(tmp_path / "imported"))
    assert (imported["rows"], imported["left_out"]) == (good, total - good), imported
