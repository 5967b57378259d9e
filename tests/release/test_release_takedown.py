from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import here
from PIL import Image
from release_study import drawn_study

from newtest.catalog.files import file_of, wanted
from newtest.catalog.revisions import blocked_pairs
from newtest.errors import ReleaseError, UsageError
from newtest.fetching import fetch_missing
from newtest.releasing import build_release
from newtest.withdrawal import takedown


def test_an_image_leaves_the_study_for_good_and_the_reason_stays(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out")
        file = file_of(study.catalog, "i004")
        assert file is not None and file.sha256 is not None
        study.catalog.execute(  # the same photo under another id
            "INSERT INTO images (image_id, source, source_id) VALUES ('twin', 'flickr', '9')"
        )
        study.catalog.execute(
            "INSERT INTO files SELECT 'twin', state, sha256, num_bytes, format, width, height, kind, reason, attempts,"
            " fetched_at FROM files WHERE image_id = 'i004'"
        )
        done = takedown(study, file.sha256, reason="the owner asked", by="me")
        assert done.image_ids == ("i004", "twin")
        assert (done.revisions, done.releases) == (("a-0",), (str(tmp_path / "out"),))
        assert not study.image_path(file.sha256).exists() and not study.thumbnail_path(file.sha256).exists()
        assert {("i004", None), ("twin", None)} <= blocked_pairs(study.catalog)
        row = study.catalog.execute("SELECT url, page_url, title, owner FROM images WHERE image_id = 'i004'")
        assert tuple(row.fetchone()) == (None, None, None, None)
        reason = study.catalog.execute("SELECT reason FROM blocks WHERE image_id = 'i004'").fetchone()[0]
        assert reason == "taken down: the owner asked"
        assert wanted(study.catalog, 99) == [] and fetch_missing(study).fetched == 0, (
            "it is never fetched again"
        )
        assert takedown(study, "i004", reason="again", by="me").files_removed == 0
        with pytest.raises(ReleaseError, match="i004"):
            build_release(study, "a-0", tmp_path / "second")
        with pytest.raises(UsageError, match="no image 'nobody'"):
            takedown(study, "nobody", reason="", by="me")


def test_the_same_bytes_under_another_id_do_not_come_in_again(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        file = file_of(study.catalog, "i004")
        assert file is not None and file.sha256 is not None
        copy, other = tmp_path / "copy.png", tmp_path / "other.png"
        copy.write_bytes(study.image_path(file.sha256).read_bytes())
        Image.new("RGB", (40, 30), "teal").save(other)
        takedown(study, "i004", reason="the owner asked", by="me")
        study.catalog.executemany(
            "INSERT INTO images (image_id, source, source_id, url) VALUES (?, 'folder', ?, ?)",
            [("later", "copy", copy.as_uri()), ("other", "other", other.as_uri())],
        )
        assert fetch_missing(study).kinds == {"taken-down": 1}
        found = file_of(study.catalog, "later")
        assert found is not None and (found.state, found.reason) == ("gone", "the owner asked")
        assert not study.image_path(file.sha256).exists()
        assert getattr(file_of(study.catalog, "other"), "state", None) == "ok"


def test_the_command_names_the_releases_to_withdraw(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out")
    command = ["takedown", "i001", "--reason", "asked", "--json", "--study", str(tmp_path / "study")]
    done = here(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["releases"] == [str(tmp_path / "out")]


def test_killed_between_files_and_catalog_the_next_try_deletes_the_rest(tmp_path: Path) -> None:
    """What a killed takedown left: the thumbnail is gone, the bytes are there. Nothing may keep them for ever."""
    with drawn_study(tmp_path) as study:
        file = file_of(study.catalog, "i004")
        assert file is not None and file.sha256 is not None
        blocker = study.image_path(file.sha256)
        blocker.unlink()
        blocker.mkdir()  # stands for the moment of the kill: the bytes cannot be deleted yet
        with pytest.raises(OSError):
            takedown(study, "i004", reason="asked", by="me")
        blocker.rmdir()
        blocker.write_bytes(b"bytes")
        assert takedown(study, "i004", reason="asked", by="me").files_removed == 1
        assert not blocker.exists()
        assert study.catalog.execute("SELECT count(*) FROM blocks").fetchone()[0] == 1
