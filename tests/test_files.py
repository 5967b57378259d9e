"""Files that appear whole: with kills, two writers, and no room."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from newtest.files import (
    NotAFile,
    atomic_path,
    bytes_of,
    is_full_disk,
    open_bytes,
    own_descriptor,
    require_regular,
    sha256_of,
    text_at,
    write_atomic,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    write_atomic(target, "one")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        assert target.read_text() == "one"
        raise RuntimeError
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert target.read_text() == "one"


def test_what_a_killed_writer_left_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from newtest.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path: path.write_text('half and more'); time.sleep(60)"
    )
    target = tmp_path / "file"
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code, str(target)])
        deadline = time.monotonic() + 30
        while not any(path.stat().st_size for path in tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_path(target) as temporary:
        assert temporary.read_bytes() == b""
        temporary.write_text("whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "whole")]


def test_two_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with atomic_path(target) as first:
        first.write_text("first")
        with atomic_path(target) as second:
            assert first != second
            second.write_text("second")
        assert target.read_text() == "second"
        third = atomic_path(target)  # begun while the first is being written, ended after it
        with third as path:
            path.write_text("third")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_no_room_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError, match=os.fspath(tmp_path / "file")) as caught:
            write_atomic(tmp_path / "file", bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert is_full_disk(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_is_no_regular_file_is_refused_by_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path, kind in (
            (tmp_path / "pipe", "a pipe"),
            (tmp_path / "socket", "a socket"),
            (Path("/dev/zero"), "a device"),
        ):
            for read in (open_bytes, bytes_of, text_at, sha256_of, require_regular):
                with pytest.raises(NotAFile, match=f"{path}: {kind}, not a regular file"):
                    read(path)
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        open_bytes(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        open_bytes(tmp_path / "nothing")
    require_regular(tmp_path / "nothing")


def test_a_file_of_ours_is_never_another_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("a year of work")
    (tmp_path / "list").symlink_to("theirs")
    with pytest.raises(OSError, match="list"):
        own_descriptor(tmp_path / "list", os.O_WRONLY)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAFile, match="a pipe"):
        own_descriptor(tmp_path / "pipe", os.O_WRONLY)
    assert (tmp_path / "theirs").read_text() == "a year of work"
