"""kill -9 of every command that writes, at moments that a seed draws; started again it ends as if nothing had been.

``CASES`` has an entry for each command, found by looking at them all: what it is typed with, or the test that kills
it elsewhere, or that it writes nothing. ``NEWTEST_KILLS=20`` kills each command so often, ``NEWTEST_KILLS_SEED`` draws
other moments.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from newtest.cli.app import command

HOST = Path(__file__).with_name("host.py")
TESTS = Path(__file__).resolve().parents[1]
KILLS = int(os.environ.get("NEWTEST_KILLS", "1"))
SEED = os.environ.get("NEWTEST_KILLS_SEED", "0")


@dataclass(frozen=True)
class Typed:
    """``words``, behind commands that make ready for it.

    What is ``dear`` is killed where ``NEWTEST_KILLS`` is set; the commands on pools among it are killed in
    test_pool_killed.py too.
    """

    words: str
    before: tuple[str, ...] = ()
    dear: bool = False


@dataclass(frozen=True)
class Elsewhere:
    """Killed by another test, which has the server, the model or the market that it needs."""

    test: str


@dataclass(frozen=True)
class WritesNothing:
    """Prints, and leaves no file behind."""

    why: str = "prints"


PLAN = "annotate plan --study study --images 8 --positive 2 --negative 0"
PUBLISHED = (PLAN, "annotate publish --study study --to local")
CASES: dict[str, Typed | Elsewhere | WritesNothing] = {
    "demo": Typed("demo --out demonstration", dear=True),
    "doctor": WritesNothing(),
    "classes": WritesNothing(),
    "collect": Typed("collect --study new --classes classes.toml --source folder:candidates --no-fetch"),
    "fetch": Typed(
        "fetch --study new",
        ("collect --study new --classes classes.toml --source folder:candidates --no-fetch",),
    ),
    "reference add": Typed("reference add again --study study --images original"),
    "reference list": WritesNothing(),
    "annotate plan": Typed(PLAN),
    "annotate design": Typed(
        "annotate design --study study --simulations 10 --candidates 4,6 --votes 5 --per-class 2 --plot d.svg "
        "--min-reference-images 1"
    ),
    "annotate preview": Typed("annotate preview --study study --out page.html", (PLAN,)),
    "annotate serve": Elsewhere("test_every_answer_that_was_thanked_for_is_on_the_disk"),
    "annotate invite": Typed("annotate invite ann bea --study study"),
    "annotate publish": Typed(PUBLISHED[1], (PLAN,)),
    "annotate people": WritesNothing(),
    "annotate forget": Typed("annotate forget ann --study study", ("annotate invite ann bea --study study",)),
    "annotate collect": Typed("annotate collect --study study", PUBLISHED),
    "annotate pay": Typed("annotate pay --study study --out pay.csv", PUBLISHED),
    "annotate prolific create": WritesNothing("asks a recruiting site, keeps nothing here"),
    "annotate prolific places": WritesNothing("asks a recruiting site"),
    "annotate prolific pay": Elsewhere("test_killed_behind_each_request_it_decides_and_pays_once"),
    "votes import": Typed("votes import counts.csv --study study --add-counts"),
    "votes export": Typed("votes export out.csv --study study"),
    "votes quality": Typed("votes quality --study study --out quality.csv"),
    "votes simulate": Typed("votes simulate --study unvoted --seed 3"),
    "frequencies": Typed("frequencies --study study --out f.parquet"),
    "dedup": Typed("dedup --study study --auto-radius 3 --radius 12"),
    "sample": Typed("sample --study study --strategy top-images --per-class 2 --name second"),
    "diff": WritesNothing(),
    "diagnose": Typed("diagnose first --study study --plot plot.svg"),
    "review": Elsewhere("test_what_a_reviewer_said_outlives_kill_9"),
    "check": WritesNothing(),
    "corrupt": Typed("corrupt original --out harder --kind blur --severity 1 --size 0 --workers 1"),
    "release": Typed("release first --study study --out another"),
    "takedown": Typed("takedown MEMBER --reason asked --study study"),
    "status": WritesNothing(),
    "evaluate": Typed("evaluate release --predictions careful.csv --out results"),
    "zeroshot": Typed(
        "zeroshot labels.npy --image-embeddings a.npy --text-embeddings t.npy --model given --out results"
    ),
    "probe": Typed("probe --train train.npz --test test.npz --out probe"),
    "merge wise": Typed("merge wise --zeroshot a.npz --finetuned b.npz --out wise --alphas 0,0.5,1"),
    "merge uniform": Typed("merge uniform a.npz b.npz --out soup.npz"),
    "merge greedy": Typed(
        "merge greedy a.npz b.npz --scores scores.json --score-command 'python score.py {checkpoint}' --out s.npz"
    ),
    "report table": Typed("report table results.csv --original old --out table.csv"),
    "report line": Typed("report line results.csv --x old --y new --figure line.svg"),
    "report gap": Typed(
        "report gap kept --original release --new release2 --figure gap.svg",
        (
            "sample --study study --strategy top-images --per-class 2 --name second",
            "release second --study study --out release2",
            "evaluate release --predictions careful.csv --out kept",
            "evaluate release2 --predictions careful.csv --out kept",
        ),
    ),
    "report compare": WritesNothing(),
    "report similarity": Typed(
        "report similarity kept --set release --figure s.svg --matrix m.csv",
        tuple(f"evaluate release --predictions {name}.csv --out kept" for name in ("careful", "careless")),
    ),
    "report shift": WritesNothing(),
    "report forecast": WritesNothing(),
    "report atlas": Typed("report atlas results.csv --x old --out atlas.html"),
    "report html": Typed("report html results.csv --original old --out page"),
    "import-pool": Typed("import-pool captioned --out new --shard-rows 6"),
    "fetch-pool": Elsewhere("test_a_killed_download_goes_on_and_asks_for_no_image_twice"),
    "pool-status": WritesNothing(),
    "embed-pool": Elsewhere("test_killed_while_it_embeds_and_scores_a_pool_ends_with_the_same_bytes"),
    "score-pool": Typed("score-pool pool --scorer head.py:first --vectors pool.npy"),
    "filter-pool": Typed("filter-pool pool --min-words 3 --min-size 10 --out s.npy --report seen"),
    "audit-pool": Typed("audit-pool pool --by text --size 7 --out audited"),
    "dedup-pool": Typed("dedup-pool pool --method hash --out kept.npy", dear=True),
    "decontaminate-pool": Typed("decontaminate-pool pool --against original --method hash --out kept.npy", dear=True),
    "prune-pool": Typed("prune-pool pool --vectors pool.npy --clusters 2 --fraction 0.5 --out kept.npy --workers 1"),
    "balance-pool": Typed("balance-pool pool --queries q.txt --cap 2 --workers 1 --out kept.npy"),
    "search-pool": Elsewhere("test_killed_and_run_again_it_writes_the_same"),
    "caption-pool": Typed("caption-pool labels.csv photos.jsonl --out new"),
    "reshard-pool": Typed("reshard-pool pool --all --out new --shard-rows 5 --workers 1"),
}  # fmt: skip


def leaves(command: Any, name: str = "") -> Iterator[str]:
    if hasattr(command, "commands"):
        for each, below in command.commands.items():
            yield from leaves(below, f"{name} {each}".strip())
    else:
        yield name


def test_every_command_has_an_entry() -> None:
    assert set(leaves(command())) == set(CASES)


def test_the_tests_elsewhere_are_there() -> None:
    named = {case.test for case in CASES.values() if isinstance(case, Elsewhere)}
    sources = [path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")]
    assert [test for test in named if not any(f"def {test}(" in text for text in sources)] == []


class Host:
    """The process that forks commands."""

    def __init__(self) -> None:
        loaded = (
            "pandas",
            "pyarrow.parquet",
            "PIL.Image",
            "scipy.sparse",
            "matplotlib.figure",
            "newtest.study",
        )
        self._process = subprocess.Popen(
            [sys.executable, HOST, *loaded], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "NEWTEST_THREADS": "1"},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __call__(
        self, words: str, cwd: Path, at: int | None = None, room: int | None = None
    ) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        job = {"words": shlex.split(words), "cwd": str(cwd), "at": at, "room": room}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    started = Host()
    yield started
    started.close()


@pytest.fixture(scope="module")
def home(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a revision and a release, one without votes, a pool, predictions, checkpoints."""
    at = tmp_path_factory.mktemp("kills") / "home"
    _files(at)
    for words in (
        "collect --study study --classes classes.toml --source folder:candidates",
        "reference add old --study study --images original",
        "fetch --study study",
    ):
        _done(host(words, at), words)
    shutil.copytree(at / "study", at / "unvoted")
    (at / "demonstration" / "study").mkdir(parents=True)
    (at / "demonstration" / ".newtest-made").touch()
    for made in (at / "unvoted", at / "demonstration" / "study"):  # else each run makes another key
        (made / "study.key").write_bytes(bytes(range(32)))
    for words in (
        "votes simulate --study study",
        "dedup --study study --auto-radius 2",
        "sample --study study --strategy top-images --per-class 3 --name first",
        "release first --study study --out release",
        "import-pool captioned --out pool --shard-rows 6",
    ):
        _done(host(words, at), words)
    _predictions(at)
    return at


KILLED = [
    name
    for name, case in CASES.items()
    if isinstance(case, Typed) and (not case.dear or "NEWTEST_KILLS" in os.environ)
]


@pytest.mark.parametrize("name", KILLED)
def test_killed_and_run_again_it_ends_as_if_nothing_had_been(
    name: str, host: Host, home: Path, tmp_path: Path
) -> None:
    case = CASES[name]
    assert isinstance(case, Typed)
    here, saved = tmp_path / "here", tmp_path / "saved"  # the same place both times: catalogs keep addresses
    shutil.copytree(home, here)
    words = case.words.replace("MEMBER", _member(here))
    for ready in case.before:
        _done(host(ready, here), ready)
    shutil.copytree(here, saved)
    before = contents(here)
    moments = _done(host(words, here), words)["moments"]
    after = contents(here)
    assert moments and (after != before or name == "annotate collect"), (
        f"{name} writes nothing: say so in CASES"
    )
    shutil.move(here, tmp_path / "whole")
    shutil.move(saved, here)
    draw = Random(f"{SEED} {name}")
    for _ in range(KILLS):
        ended = host(words, here, draw.randrange(moments))
        assert ended["code"] in (-9, 0), ended["said"]
        moments = max(1, moments // 2)  # what is left to do is less
    _done(host(words, here), words)
    again = contents(here)
    assert sorted(one for one in again.keys() | after.keys() if again.get(one) != after.get(one)) == []
    assert list(here.rglob("*.part")) == []


ROOM = tuple(int(size) for size in os.environ.get("NEWTEST_ROOM", "4096").split(","))


@pytest.mark.parametrize("name", KILLED)
def test_a_full_disk_is_a_sentence(name: str, host: Host, home: Path, tmp_path: Path) -> None:
    """The system's limit on the size of a file stands for the disk: whatever is larger finds no room.

    ``NEWTEST_ROOM=4096,20000,60000`` tries several, one behind the other.
    """
    case = CASES[name]
    assert isinstance(case, Typed)
    here = tmp_path / "here"
    shutil.copytree(home, here)
    words = case.words.replace("MEMBER", _member(here))
    for ready in case.before:
        _done(host(ready, here), ready)
    for room in ROOM:
        ended = host(words, here, room=room)
        assert ended["code"] in (0, 1), ended["said"]
        if ended["code"]:
            last = ended["said"].strip().splitlines()[-1]
            assert re.search(r"disk is full|larger than this process may write", last), ended["said"]
        assert list(here.rglob("*.part")) == []


def _done(ended: dict[str, Any], words: str) -> dict[str, Any]:
    assert ended["code"] == 0, f"{words}: {ended['code']} {ended['said']}"
    return ended


# What is drawn afresh or told by the clock: the ids of links (24 hex digits) and of a market's HITs, and times.
_DRAWN = re.compile(
    rb"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])|(?<![0-9A-Z])3[0-9A-Z]{29}(?![0-9A-Z])|\b1[7-9]\d{8}\.\d+"
)
_TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?|\d{4}-\d\d-\d\d \d\d:\d\d")


def contents(folder: Path) -> dict[str, object]:
    """Every file below a folder by its name, of a database the rows; without times, drawn ids and what is hidden."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") or part == "locks" for part in name.parts):
            continue
        if path.suffix == ".sqlite":
            found |= {f"{name} {table}": rows for table, rows in _rows(path).items()}
        elif not path.name.endswith(("-wal", "-shm", ".key")):
            data = path.read_bytes()
            if path.name == "SHA256SUMS":  # these two say when the revision was drawn
                kept = (
                    line
                    for line in data.splitlines()
                    if not line.endswith((b"  README.md", b"  revision.json"))
                )
                data = b"\n".join(kept)
            found[str(name)] = _TIME.sub(b"TIME", data)
    return found


_SEEN = {"releases": "path, revision"}  # not the hash of hashes


def _rows(path: Path) -> dict[str, tuple[str, ...]]:
    connection = sqlite3.connect(path)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            table: tuple(sorted(
                _DRAWN.sub(b"DRAWN", _TIME.sub(b"TIME", repr(row).encode())).decode()
                for row in connection.execute(f'SELECT {_SEEN.get(table, "*")} FROM "{table}"')
            ))
            for table in tables
        }  # fmt: skip
    finally:
        connection.close()


def _member(at: Path) -> str:
    return sorted(path.stem for path in (at / "release" / "images").glob("*/*"))[0]


def _files(at: Path) -> None:
    draw = np.random.default_rng(7)
    for folder, count in (("candidates", 6), ("original", 3)):
        for wnid in ("spots", "stripes"):
            place = at / folder / wnid
            place.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (6, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
                Image.fromarray(pixels).save(place / f"{folder}-{wnid}-{number}.png")
    (at / "captioned").mkdir()
    for file in sorted((at / "candidates").rglob("*.png")):
        shutil.copy(file, at / "captioned")
        (at / "captioned" / f"{file.stem}.txt").write_text(f"a picture of {file.parent.name} on a ground")
    (at / "classes.toml").write_text(
        "".join(f'[{name}]\nlemmas = ["{name}"]\ngloss = "a drawn thing"\n' for name in ("spots", "stripes"))
    )
    (at / "q.txt").write_text("picture\nground\n")
    (at / "labels.csv").write_text("file,wnid,photo_id\nb.jpg,n2,2\na.jpg,n1,1\n")
    (at / "photos.jsonl").write_text(
        "".join(json.dumps({"photo_id": str(number), "title": f"photo {number}"}) + "\n" for number in (1, 2))
    )
    for number, name in enumerate("ab"):
        np.savez(at / f"{name}.npz", w=np.full((8, 8), number, np.float32), b=np.arange(8, dtype=np.float32))
    (at / "score.py").write_text("print(0.5)\n")
    (at / "scores.json").write_text('{"a": 0.5, "b": 0.25}')
    vectors = draw.normal(size=(40, 8)).astype(np.float32)
    labels = np.arange(40) % 2
    vectors[:, 0] += 4 * labels
    for name, some in (("train", slice(0, 20)), ("test", slice(20, 40))):
        np.savez(at / f"{name}.npz", embeddings=vectors[some], labels=labels[some])
    np.save(at / "labels.npy", labels)
    np.save(at / "a.npy", vectors)
    np.save(at / "t.npy", vectors[:2])
    np.save(at / "pool.npy", vectors[:12])
    (at / "head.py").write_text("def first(vectors):\n    return vectors[:, 0]\n")
    shares = [(f"m{number}", 0.5 + number / 40, 0.4 + number / 38) for number in range(10)]
    (at / "results.csv").write_text(
        "model,set,k,n\n"
        + "".join(f"{name},{which},{round(1000 * share)},1000\n" for name, old, new in shares
                  for which, share in (("old", old), ("new", new)))
    )  # fmt: skip


def _predictions(at: Path) -> None:
    images = sorted((at / "release" / "images").glob("*/*.png"))
    for model, wrong in (("careful", 0), ("careless", 2)):
        rows = [
            f"{file.stem},{'spots' if number < wrong else file.parent.name}"
            for number, file in enumerate(images)
        ]
        (at / f"{model}.csv").write_text("\n".join(["image,prediction", *rows]) + "\n")
    (at / "counts.csv").write_text(
        "image_id,wnid,num_selected,num_shown\n"
        + "".join(f"{file.stem},{file.parent.name},3,5\n" for file in images)
    )
