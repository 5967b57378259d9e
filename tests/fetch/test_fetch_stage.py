from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from aiohttp import web
from commands import newtest, start
from servers.images import ImageServer, made_photo, serving
from watchers import Watcher

from newtest.catalog import transaction
from newtest.catalog.files import failures, file_of, wanted
from newtest.cli import main
from newtest.download import DownloadConfig
from newtest.errors import StudyError
from newtest.fetching import FetchConfig, fetch_missing
from newtest.fetching.thumbnails import thumbnail_of
from newtest.study import Study

CONFIG = FetchConfig(
    DownloadConfig(allow_private=True, backoff=0.01, read_timeout=1.0, deadline=5.0), threads=2
)


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(n) for n in range(40)])) as running:
        yield running


def study_of(root: Path, urls: Mapping[str, str | None], source: str = "flickr") -> Study:
    study = Study(root, create=True)
    with transaction(study.catalog):
        study.catalog.executemany(
            "INSERT INTO images (image_id, source, source_id, url) VALUES (?, ?, ?, ?)",
            [(key, source, key, url) for key, url in urls.items()],
        )
    return study


def stored(study: Study) -> dict[str, tuple[str, str | None]]:
    rows = study.catalog.execute("SELECT image_id, state, sha256 FROM files ORDER BY image_id")
    return {row[0]: (row[1], row[2]) for row in rows}


def test_bytes_are_stored_as_they_came_under_their_hash(tmp_path: Path, server: ImageServer) -> None:
    seen = Watcher()
    with study_of(tmp_path, {f"i{n}": server.url(f"photo/{n}.jpg") for n in range(10)}) as study:
        summary = fetch_missing(study, CONFIG, progress=seen)
        assert (summary.fetched, summary.failed, summary.gone) == (10, 0, 0)
        assert sum(done for what, done, _ in seen.shown if what == "downloading") == 10
        for n in range(10):
            row = file_of(study.catalog, f"i{n}")
            assert row is not None and row.sha256 == hashlib.sha256(server.photos[n]).hexdigest()
            assert study.image_path(row.sha256).read_bytes() == server.photos[n]
            assert (row.format, row.width, row.height, row.num_bytes) == (
                "JPEG",
                160,
                120,
                len(server.photos[n]),
            )
            with PIL.Image.open(study.thumbnail_path(row.sha256)) as small:
                assert small.size == (160, 120)
        asked = sum(server.asked.values())
        assert fetch_missing(study, CONFIG).fetched == 0
        assert sum(server.asked.values()) == asked, "a second run downloads nothing twice"


def test_every_failure_is_a_row_and_is_tried_again_up_to_a_limit(tmp_path: Path, server: ImageServer) -> None:
    paths = {
        "bomb": ("bomb.png", "too-many-pixels"),
        "empty": ("empty.jpg", "empty"),
        "forbidden": ("status-403/1.jpg", "http-403"),
        "gone": ("status-404/1.jpg", "http-404"),
        "half": ("half/1.jpg", "truncated"),
        "noai": ("noai/1.jpg", "opted-out"),
        "svg": ("script.svg", "not-an-image"),
        "text": ("page.html", "not-an-image"),
    }
    urls = {key: server.url(path) for key, (path, _) in paths.items()} | {"none": None}
    with study_of(tmp_path, urls) as study:
        config = replace(CONFIG, max_attempts=2)
        first = fetch_missing(study, config)
        assert (first.fetched, first.failed, first.gone) == (0, 6, 3)
        for key, (_, kind) in paths.items():
            row = file_of(study.catalog, key)
            assert row is not None and row.kind == kind and row.reason
        assert file_of(study.catalog, "none").kind == "no-url"  # type: ignore[union-attr]
        assert [row[0] for row in failures(study.catalog) if row[2] == "not-an-image"] == ["svg", "text"]
        again = [row.image_id for row in wanted(study.catalog, 2)]
        assert again == ["bomb", "empty", "forbidden", "half", "svg", "text"]
        assert fetch_missing(study, config).failed == 6
        assert fetch_missing(study, config).failed == 0, "given up after two runs"
        assert server.asked["/status-404/1.jpg"] == 1, "what is gone is not asked for again"
        assert not any((tmp_path / "images").rglob("*"))


def test_a_failure_that_passes_is_mended_by_the_next_run(tmp_path: Path, server: ImageServer) -> None:
    with study_of(tmp_path, {"i": server.url("flaky-4/1.jpg")}) as study:
        config = replace(CONFIG, download=replace(CONFIG.download, retries=1))
        assert fetch_missing(study, config).kinds == {"http-503": 1}
        assert fetch_missing(study, config).kinds == {"http-503": 1}
        assert fetch_missing(study, config).fetched == 1
        row = file_of(study.catalog, "i")
        assert row is not None and (row.state, row.kind, row.reason) == ("ok", None, None)


def test_files_are_read_for_local_sources_only(tmp_path: Path) -> None:
    photo = tmp_path / "a photo.jpg"
    photo.write_bytes(made_photo(1))
    os.mkfifo(tmp_path / "pipe.jpg")
    urls = {
        "ok": photo.as_uri(),
        "pipe": (tmp_path / "pipe.jpg").as_uri(),
        "absent": (tmp_path / "x.jpg").as_uri(),
    }
    with study_of(tmp_path / "local", urls, "folder") as study:
        assert fetch_missing(study, CONFIG).kinds == {"not-a-file": 1, "unreadable": 1}
        assert stored(study)["ok"][0] == "ok"
    with study_of(tmp_path / "web", {"i": photo.as_uri()}, "openverse") as study:
        assert fetch_missing(study, CONFIG).kinds == {"local-file": 1}


def test_bytes_that_vanish_and_pictures_that_do_not_decode_are_noticed(
    tmp_path: Path, server: ImageServer
) -> None:
    whole = server.photos[0]
    scan = bytearray(whole)
    scan[whole.index(b"\xff\xda") + 6] = 0x33  # a Huffman table that the file does not have
    server.photos[0] = bytes(scan)
    urls = {f"i{n}": server.url(f"photo/{n}.jpg") for n in range(3)}
    with study_of(tmp_path, urls) as study:
        first = fetch_missing(study, CONFIG)
        assert (first.fetched, first.failed, first.kinds) == (2, 1, {"undecodable": 1})
        (sha256,) = [sha for key, (_, sha) in stored(study).items() if key == "i1"]
        assert sha256 is not None
        study.image_path(sha256).write_bytes(b"")
        server.photos[0] = whole
        assert fetch_missing(study, CONFIG).fetched == 2
        assert study.image_path(sha256).read_bytes() == server.photos[1]
        assert {state for state, _ in stored(study).values()} == {"ok"}


def test_a_thumbnail_is_made_when_it_is_first_wanted(tmp_path: Path, server: ImageServer) -> None:
    with study_of(tmp_path, {"i": server.url("photo/0.jpg")}) as study:
        fetch_missing(study, replace(CONFIG, thumbnails=False))
        sha256 = stored(study)["i"][1]
        assert sha256 is not None and not study.thumbnail_path(sha256).exists()
        with PIL.Image.open(thumbnail_of(study, sha256)) as small:
            assert small.size == (160, 120)
        assert thumbnail_of(study, sha256) == study.thumbnail_path(sha256)


def test_only_one_process_fetches_for_a_study(tmp_path: Path) -> None:
    study = study_of(tmp_path, {})
    with study, study.exclusive("fetch"), pytest.raises(StudyError, match="already running"):
        fetch_missing(study, CONFIG)


FETCH = ["fetch", "--allow-private", "--json", "--study"]


def test_killed_at_many_moments_it_ends_like_an_undisturbed_run(tmp_path: Path, server: ImageServer) -> None:
    server.latency = 0.02
    urls = {f"i{n:02}": server.url(f"photo/{n}.jpg") for n in range(25)}
    with study_of(tmp_path / "calm", urls) as calm:
        fetch_missing(calm, CONFIG)
        expected = stored(calm)
    study_of(tmp_path / "killed", urls).close()
    command = [*FETCH, str(tmp_path / "killed"), "--per-host", "1"]
    dice = random.Random(0)
    for _ in range(8):  # killed after a few more requests, at any moment of what follows them
        enough = sum(server.asked.values()) + dice.randint(1, 6)
        with start(*command) as running:
            while running.poll() is None and sum(server.asked.values()) < enough:
                time.sleep(0.005)
            time.sleep(dice.uniform(0, 0.3))
            running.kill()
    assert newtest(*command).returncode == 0
    with Study(tmp_path / "killed") as study:
        assert stored(study) == expected
        assert {p.name for p in (tmp_path / "killed" / "images").rglob("*") if p.is_file()} == {
            sha for _, sha in expected.values()
        }
        assert not any((tmp_path / "killed" / "incoming" / "fetch").iterdir())


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path, server: ImageServer) -> None:
    """The process may write no file beyond 200 KiB (RLIMIT_FSIZE, as a quota would): the photo of 300 KiB fails."""
    noise = PIL.Image.effect_noise((700, 700), 90)
    noise.save(tmp_path / "big.png")
    server.photos[1] = (tmp_path / "big.png").read_bytes()
    assert len(server.photos[1]) > 300 * 1024
    study_of(tmp_path / "s", {"small": server.url("photo/0.jpg")}).close()
    assert newtest(*FETCH, tmp_path / "s").returncode == 0
    study_of(tmp_path / "s", {"big": server.url("photo/1.jpg")}).close()

    full = newtest(*FETCH, tmp_path / "s", room=250 * 1024)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1 and "larger than this process may write" in full.stderr, full.stderr
    with Study(tmp_path / "s") as study:
        assert stored(study)["small"][0] == "ok" and "big" not in stored(study)
        assert not any((tmp_path / "s" / "incoming" / "fetch").iterdir())
    after = newtest(*FETCH, tmp_path / "s")
    assert (after.returncode, json.loads(after.stdout)["fetched"]) == (0, 1)


def test_fetching_takes_the_time_of_the_work_not_of_the_slowest_first(
    tmp_path: Path, server: ImageServer
) -> None:
    """While one URL hangs, the others are stored and their rows are written."""
    urls = {"a-hangs": server.url("hang/0.jpg")} | {f"i{n}": server.url(f"photo/{n}.jpg") for n in range(20)}
    study_of(tmp_path, urls).close()
    with start(*FETCH, tmp_path, "--timeout", "30") as running:
        try:
            for _ in range(200):
                with Study(tmp_path) as study:
                    if (done := len(stored(study))) == 20:
                        break
                time.sleep(0.1)
            assert done == 20
            assert running.poll() is None, "the hanging one is still waited for"
        finally:
            running.kill()


class ThrottlingServer(ImageServer):
    """Answers ``allowed`` requests in any ``seconds``, and 429 to all others."""

    def __init__(self, photos: Sequence[bytes], allowed: int, seconds: float) -> None:
        super().__init__(photos)
        self.allowed, self.seconds, self.refused = allowed, seconds, 0
        self.times: deque[float] = deque()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        present = time.monotonic()
        while self.times and self.times[0] <= present - self.seconds:
            self.times.popleft()
        if len(self.times) >= self.allowed:
            self.refused += 1
            return web.Response(status=429)
        self.times.append(present)
        return await super().answer(request)


def test_a_host_that_throttles_loses_nothing_and_holds_up_nobody(tmp_path: Path, server: ImageServer) -> None:
    """Ten in half a second, 40 images; beside it a host without a limit, whose images are there first."""
    photos = [made_photo(n) for n in range(40)]
    order: list[str] = []
    told: list[int] = []
    with serving(ThrottlingServer(photos, 10, 0.5), "127.0.0.2") as slow:
        urls = {f"a{n:02}": slow.url(f"photo/{n}.jpg") for n in range(40)}
        urls |= {f"b{n:02}": server.url(f"photo/{n}.jpg") for n in range(40)}
        config = replace(CONFIG, download=replace(CONFIG.download, first_rest=0.05, per_host=8))
        with study_of(tmp_path, urls) as study:
            summary = fetch_missing(study, config, watch=lambda traffic: told.append(traffic.waiting))
            assert (summary.fetched, summary.failed, summary.left_out) == (80, 0, {})
            rows = study.catalog.execute("SELECT image_id FROM files ORDER BY fetched_at, image_id DESC")
            order = [row[0] for row in rows]
    assert slow.refused < 40, slow.refused
    assert order.index("a39") > order.index("b39") and max(told, default=0) > 0


def test_being_refused_is_no_attempt_and_what_is_left_is_always_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ThrottlingServer([made_photo(0)], 0, 60.0)) as shut, serving(ImageServer()) as other:
        urls = {f"a{n}": shut.url(f"photo/{n}.jpg") for n in range(3)}
        urls |= {"b": other.url("status-403/1.jpg"), "c": other.url("status-404/1.jpg")}
        download = replace(CONFIG.download, first_rest=0.02, longest_rest=0.1)
        config = replace(CONFIG, download=download, max_attempts=1)
        with study_of(tmp_path, urls) as study:
            for run in range(3):
                summary = fetch_missing(study, config)
                assert summary.left_out == {
                    "next_run": {"throttled": 3},
                    "given_up": {"http-403": 1},
                    "gone": {"http-404": 1},
                }, run
                assert summary.given_up == 1
            row = file_of(study.catalog, "a0")
            assert row is not None and "asks for fewer requests" in (row.reason or "")
        asked = shut.refused
        shut.allowed = 100
        with Study(tmp_path) as study:
            monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "another machine"))
            assert fetch_missing(study, config).fetched == 3
        assert asked <= 12, "after the first run it is left alone for as long as it was not answered"


def test_the_command_says_what_was_given_up_in_earlier_runs(
    tmp_path: Path, server: ImageServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study_of(tmp_path, {"a": server.url("status-403/1.jpg"), "b": server.url("status-404/1.jpg")}).close()
    command = ["newtest", "fetch", "--allow-private", "--study", str(tmp_path), "--max-attempts", "1"]

    def run(*more: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", [*command, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        return capsys.readouterr()

    run()
    result = json.loads(run("--json")[0])
    assert (result["failed"], result["given_up"]) == (0, 1)
    assert result["left_out"] == {"given_up": {"http-403": 1}, "gone": {"http-404": 1}}
    words = run()[1]
    assert "1 given up after 1 runs: a larger --max-attempts" in words and "(http-403 1)" in words
    assert "1 gone for good (http-404 1)" in words


def test_the_bar_says_rate_what_waits_and_when_it_ends() -> None:
    from newtest.cli.downloading import Pacer
    from newtest.download import HostTraffic, Traffic

    clock = [0.0]
    shown: list[tuple[int, str]] = []
    pacer = Pacer(400, lambda done, sentence: shown.append((done, sentence)), clock=lambda: clock[0])
    for second in range(1, 11):
        clock[0] = float(second)
        pacer.advance("downloading", 10)
    assert shown[-1] == (100, "10.0 per second · ends in 30 s")
    pacer.watch(Traffic(3, (HostTraffic("live.staticflickr.com", 270, 0.5, 12.0),)))
    assert shown[-1][1] == (
        "10.0 per second · 270 wait for live.staticflickr.com (30 per minute, rests 12 s) · ends in 9 min"
    )
    pacer.watch(Traffic(3, (HostTraffic("live.staticflickr.com", 270, None, 0.0),)))
    assert shown[-1][1].endswith("(its pace is being learned)"), "and no end is promised"
