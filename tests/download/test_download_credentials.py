"""User names and passwords in URLs are never stored, shown or published, whatever command they come through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from servers.images import ImageServer, made_photo, serving

from newtest.study import Study

SECRET = "hunter2"


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(n) for n in range(3)])) as running:
        yield running


def run(*arguments: str) -> str:
    done = invoke(list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


def holders(folder: Path) -> list[str]:
    """The files below a folder that hold the password; Parquet's are read."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data += json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
            if SECRET.encode() in data:
                found.append(str(path.relative_to(folder)))
    return found


def test_fetch_pool_and_import_pool_leave_them_out(tmp_path: Path, server: ImageServer) -> None:
    url = server.url("photo/1.jpg").replace("http://", f"http://ann:{SECRET}@")
    (tmp_path / "tables").mkdir()
    table = {"url": [url, url.replace("photo/1", "status-403/2")], "caption": ["a", "b"], "mirror": [url, ""]}
    pq.write_table(pa.table(table), tmp_path / "tables" / "0.parquet")
    out = tmp_path / "pool"
    said = run("fetch-pool", str(tmp_path / "tables"), "--out", str(out), "--allow-private", "--json")
    assert json.loads(said)["success"] == 1 and SECRET not in said
    assert holders(out) == [] and server.authorized == 0
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "0.jpg").write_bytes(made_photo(0))
    (photos / "0.json").write_text(json.dumps({"url": url, "text": "a photo"}))
    (photos / "metadata.jsonl").write_text(json.dumps({"file_name": "0.jpg", "text": "x", "url": url}) + "\n")
    run("import-pool", str(photos), "--out", str(tmp_path / "imported"))
    assert (tmp_path / "imported").is_dir() and holders(tmp_path / "imported") == []


def test_a_study_and_its_reference_leave_them_out(tmp_path: Path, server: ImageServer) -> None:
    url = server.url("photo/1.jpg").replace("http://", f"http://ann:{SECRET}@")
    other = server.url("status-403/2.jpg").replace("http://", f"http://ann:{SECRET}@")
    rows = f"image_id,wnid,url,page_url\na,n01443537,{url},{url}\nb,n01443537,{other},{other}\n"
    (tmp_path / "t.csv").write_text(rows)
    study = tmp_path / "study"
    said = run(
        *("collect", "--study", str(study), "--wnid", "n01443537", "--allow-private"),
        *("--source", f"table:{tmp_path / 't.csv'}"),
    )
    said += run("fetch", "--study", str(study), "--failures")
    (tmp_path / "r.csv").write_text(rows.replace("\na,", "\nr,").replace("\nb,", "\ns,"))
    said += run("reference", "add", "val", "--study", str(study), "--table", str(tmp_path / "r.csv"))
    with Study(study) as opened:
        opened.catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert opened.catalog.execute("SELECT count(*) FROM images").fetchone()[0] == 4
    assert holders(study) == [] and SECRET not in said
