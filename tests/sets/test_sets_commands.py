"""What commands make of folders as people have them: the same images under the same ids, and what is left out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from servers.images import made_photo
from test_sets_walking import put

from newtest.cli import main

W1, W2, W3 = "n01443537", "n01498041", "n01531178"


Command = Callable[..., tuple[Any, str]]


@pytest.fixture
def newtest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command in this process, in ``tmp_path``: (what --json printed, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object, code: int = 0) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", ["newtest", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert (ended.value.code or 0) == code, said.err + said.out
        return (json.loads(said.out) if "--json" in args else said.out), said.err

    return run


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """Three classes, and what an editor and a Mac left behind."""
    for number, wnid in enumerate((W1, W2, W3)):
        put(tmp_path / "val" / wnid / f"{number}.jpg", made_photo(number))
    put(tmp_path / "val/.ipynb_checkpoints/0-checkpoint.jpg")
    put(tmp_path / f"val/{W1}/._0.jpg", b"\0\5\x16\7")
    return tmp_path / "val"


def test_hidden_folders_are_no_classes_for_any_command(
    newtest: Command, hidden: Path, tmp_path: Path
) -> None:
    said = "4 files, 3 images, 1 left out: 1 hidden or made by the system; 1 folder left out: "
    registered, _ = newtest(
        "reference", "add", "val", "--images", hidden, "--study", tmp_path / "s", "--json"
    )
    assert (registered["images"], registered["classes"], registered["files"]["left_out"]) == (3, 3, 1)
    checked, _ = newtest("check", hidden, "--json")
    assert (checked["images"], checked["classes"]) == (3, 3)
    assert checked["files"] == registered["files"] and checked["files"]["folders_left_out"] == 1
    assert checked["files"]["reasons"] == {"hidden or made by the system": 2}
    assert f"val: {said}" in newtest("check", hidden)[1].replace(f"{tmp_path}/", "")
    pd.DataFrame({"image_id": ["0.jpg", "1.jpg", "2.jpg"], "resnet": [W1, W2, W1]}).to_csv(tmp_path / "p.csv")
    scored, errors = newtest(
        "evaluate", hidden, "--predictions", tmp_path / "p.csv", "--out", tmp_path / "r", "--json"
    )
    (row,) = scored["results"]
    assert (row["k"], row["n"]) == (2, 3) and said in errors and scored["files"] == checked["files"]


@pytest.mark.parametrize("form", ["id", "path", "stem"])
def test_predictions_by_the_ids_of_a_reference_are_taken_for_its_folder(
    newtest: Command, form: str, tmp_path: Path
) -> None:
    """Names that are the same in several classes too: both commands call them alike."""
    for number, file in enumerate((f"{W1}/0.png", f"{W2}/0.png", f"{W2}/val_7.JPEG", f"{W3}/sub/9.png")):
        put(tmp_path / "val" / file, made_photo(number))
    newtest("reference", "add", "val", "--images", tmp_path / "val", "--study", tmp_path)
    from newtest.catalog.evaluation import members
    from newtest.study import Study

    with Study(tmp_path) as study:
        ids = members(study.catalog, "val")
    assert sorted(ids["image_id"]) == ["9.png", f"{W1}_0.png", f"{W2}_0.png", "val_7.JPEG"]
    files = {f"{W1}_0.png": f"{W1}/0.png", f"{W2}_0.png": f"{W2}/0.png", "val_7.JPEG": f"{W2}/val_7.JPEG"}
    files["9.png"] = f"{W3}/sub/9.png"
    name = {
        "id": lambda one: one,
        "path": lambda one: f"./{files[one]}",
        "stem": lambda one: files[one].rpartition(".")[0],
    }[form]
    pd.DataFrame({"image_id": map(name, ids["image_id"]), "resnet": ids["wnid"]}).to_csv(
        tmp_path / "p.csv", index=False
    )
    # ``val`` is the folder here and the reference of the study: they hold the same images, so nothing is in doubt.
    scored, _ = newtest("evaluate", "val", "--predictions", "p.csv", "--json")
    assert (scored["results"][0]["k"], scored["results"][0]["n"]) == (4, 4)


def test_a_folder_does_not_hide_a_reference_of_its_name(
    newtest: Command, hidden: Path, tmp_path: Path
) -> None:
    newtest("reference", "add", "val", "--images", hidden, "--study", tmp_path)
    put(hidden / W3 / "another.jpg", made_photo(9))
    pd.DataFrame({"image_id": ["0.jpg", "1.jpg", "2.jpg"], "resnet": [W1, W2, W3]}).to_csv(
        tmp_path / "p.csv", index=False
    )
    _, errors = newtest("evaluate", "val", "--predictions", "p.csv", code=1)
    assert "hold different images; write ./val for the path, or study:val for the study's" in errors
    scored, _ = newtest("evaluate", "study:val", "--predictions", "p.csv", "--json")
    assert (scored["results"][0]["k"], scored["results"][0]["n"]) == (3, 3)
    _, errors = newtest("evaluate", "./val", "--predictions", "p.csv", code=1)
    assert "1 of the 4 images have no prediction" in errors


def test_every_kind_is_collected_or_counted(newtest: Command, tmp_path: Path) -> None:
    import io

    import PIL.Image

    def made(kind: str, number: int) -> bytes:
        with PIL.Image.open(io.BytesIO(made_photo(number))) as photo:
            buffer = io.BytesIO()
            photo.save(buffer, kind)
            return buffer.getvalue()

    for number, (name, kind) in enumerate(
        (
            ("a.jpg", "JPEG"),
            ("b.jfif", "JPEG"),
            ("c.avif", "AVIF"),
            ("d", "JPEG"),
            ("e.ppm", "PPM"),
            ("sub/f.jpg", "JPEG"),
        )
    ):
        put(tmp_path / "all" / W1 / name, made(kind, number))
    put(tmp_path / "all" / W1 / "notes.txt", b"words")
    frames = [PIL.Image.new("L", (40, 30), level) for level in (0, 99, 200)]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    put(tmp_path / "all" / W1 / "g.gif", moving.getvalue())
    _, errors = newtest(
        "collect", "--study", tmp_path / "s", "--source", f"folder:{tmp_path / 'all'}", "--wnid", W1, "--json"
    )
    assert "8 files, 7 images, 1 left out: 1 .txt" in errors, errors
    from newtest.catalog.files import stored_files
    from newtest.study import Study

    with Study(tmp_path / "s") as study:
        assert len(stored_files(study.catalog)) == 7
    added, _ = newtest(
        "reference", "add", "r", "--images", tmp_path / "all", "--study", tmp_path / "t", "--json"
    )
    assert (added["images"], added["fetched"], added["files"]["nested"], added["animated"]) == (7, 7, 1, 1)
    checked, errors = newtest("check", tmp_path / "all", "--json", code=0)
    assert checked["images"] == 7


def test_an_eps_file_that_is_called_jpg_starts_nothing(
    newtest: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Ghostscript that would betray itself stands first on the path."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n"
    put(tmp_path / f"set/{W1}/x.jpg", eps)
    put(tmp_path / f"set/{W1}/y.jpg")
    put(tmp_path / "bin/gs", f"#!/bin/sh\ntouch {tmp_path}/started\n".encode())
    (tmp_path / "bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    said, _ = newtest("check", tmp_path / "set", code=1)
    assert "cannot be decoded" in " ".join(said.split()) and not (tmp_path / "started").exists()
