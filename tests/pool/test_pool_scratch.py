from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from newtest.pool.storage import scratch
from newtest.pool.storage.location import place_of
from newtest.pool.storage.scratch import scratch_folder

UPLOADING = """
import sys, time
from newtest.pool.storage.location import place_of
with place_of("memory://pool").writing("a.bin") as path:
    path.write_bytes(b"half")
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test's own, in which this process has not looked around yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch._sweep.cache_clear()
    return tmp_path


def _uploading(below: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process in the middle of an upload, and the file that it writes."""
    environment = {**os.environ, "TMPDIR": str(below)}
    process = subprocess.Popen(
        [sys.executable, "-c", UPLOADING], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_upload_left_is_removed_and_a_living_ones_stays(below: Path) -> None:
    dead, lost = _uploading(below)
    living, kept = _uploading(below)
    try:
        dead.kill()
        dead.communicate()
        assert lost.read_bytes() == kept.read_bytes() == b"half"
        with place_of("memory://pool").writing("b.bin") as path:
            path.write_bytes(b"whole")
            assert not lost.parent.exists()
            assert kept.read_bytes() == b"half"
        assert not path.parent.exists()
        assert living.poll() is None
    finally:
        living.kill()
        living.communicate()


def test_what_is_not_ours_is_left_alone(below: Path) -> None:
    elsewhere = below / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (below / "newtest-upload-link").symlink_to(elsewhere)
    (below / "newtest-upload-file").write_bytes(b"?")
    bare = below / "newtest-upload-bare"
    bare.mkdir()
    (bare / "file").write_bytes(b"?")
    before = sorted(below.rglob("*"))
    with scratch_folder() as folder:
        assert folder.parent == below
    assert sorted(below.rglob("*")) == before


def test_the_folder_is_gone_when_the_block_fails(below: Path) -> None:
    with pytest.raises(RuntimeError), scratch_folder() as folder:
        (folder / "file").write_bytes(b"half")
        raise RuntimeError
    assert list(below.iterdir()) == []
