"""The process that reads changed files. The kernel bounds its memory, a timer its time; its writes are watched.

- **Memory**: before each input the limit on address space is set to 512 MiB above what is taken, so more cannot be had;
  an allocation that fails for it is found, also where a reader made an error of ours of it. The peak of what is
  resident is read as well.
- **Time**: a timer ends an input after ten seconds; what hangs in C is ended with the process after thirty.
- **Writes**: an audit hook sees every path that Python opens to write, makes, renames or removes. What C code does is
  seen by looking at the folders around (their names, sizes and times) after every input. Both outside ``one`` only,
  and the homes of newtest's own notes.

    python worker.py FOLDER [--probe] [KEEP]     # then lines of JSON on stdin: {"reader", "from", "to", "seed"}
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutations import mutated
from fuzz.targets import TARGETS, Target, prepared, seeds

from newtest.errors import NewtestError

MOST_SECONDS = 10
MOST_MEMORY = 512 << 20


class TooLong(BaseException):
    """An input took more than ten seconds."""


class Worker:
    """``place/around/…/one`` holds the input that is read; all of ``place`` but the homes is watched."""

    def __init__(self, place: Path, targets: list[Target], keep: Path | None) -> None:
        self.place, self.keep = place, keep
        self.around = place / "around"
        self.one = self.around / "a" / "b" / "c" / "one"
        self.homes = tuple(place / name for name in ("state", "cache", "tmp"))
        for folder in (self.one.parent, *self.homes):
            folder.mkdir(parents=True)
        os.environ |= {
            "NEWTEST_STATE": str(self.homes[0]), "NEWTEST_CACHE": str(self.homes[1]), "TMPDIR": str(self.homes[2])
        }  # fmt: skip
        os.chdir(self.one.parent)
        self.targets = {target.name: target for target in targets}
        self.kinds = seeds(self.homes[2])
        self.progress = os.open(place / "progress", os.O_WRONLY)
        self.outside: list[str] = []
        self.reading = False

    def warm_up(self) -> None:
        """What a reader imports and keeps is not an input's memory."""
        self.seen = self._around()
        for target in self.targets.values():
            if not target.name.startswith("probe"):
                self._read(target, self.kinds[target.kinds[0]][0])
        if self.outside or self._around() != self.seen:
            raise SystemExit(f"a good file is written outside: {self.outside}")

    def turn(self, job: dict[str, Any]) -> dict[str, Any]:
        """Read some inputs; answers what was found, the longest time in s and the most memory in bytes."""
        found: Counter[str] = Counter()
        target, slowest, most = self.targets[job["reader"]], 0.0, 0
        good = self.kinds[target.kinds[0]]
        for number in range(job["from"], job["to"]):
            os.pwrite(self.progress, f"{number:<12}".encode(), 0)
            draw = random.Random(f"{job['seed']} {target.name} {number}")
            data = mutated(draw.choice(good), draw.choice(good), target.kinds[0], draw)
            before, began = _limited(), time.monotonic()
            said = self._read(target, data)
            taken = time.monotonic() - began
            memory = max(0, _status("VmHWM:") - before)
            slowest, most = max(slowest, taken), max(most, memory)
            wrong = self._wrong(said, taken, memory)
            found.update(f"{target.name}: {one}" for one in wrong)
            if wrong and self.keep is not None:
                self.keep.mkdir(parents=True, exist_ok=True)
                (self.keep / f"{target.name.replace(' ', '-')}-{number}{target.suffix}").write_bytes(data)
        return {"found": found, "slowest": slowest, "most": most}

    def _wrong(self, said: str, taken: float, memory: int) -> list[str]:
        wrong = [said] if said else []
        wrong += ["took more than 10 s"] if taken > MOST_SECONDS and "TooLong" not in said else []
        wrong += [f"more than {MOST_MEMORY >> 20} MiB"] if memory > MOST_MEMORY else []
        wrong += [f"written outside: {path}" for path in self.outside]
        self.outside.clear()
        if (now := self._around()) != self.seen:
            wrong.append(f"changed outside: {sorted(dict(now.items() ^ self.seen.items()))}")
            self.seen = now
        return wrong

    def _read(self, target: Target, data: bytes) -> str:
        """What went wrong with an input, "" where nothing did."""
        self.one.mkdir()
        path = self.one / f"{target.file}{target.suffix}"
        path.write_bytes(data)
        prepared(target, path)
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
        faulthandler.dump_traceback_later(3 * MOST_SECONDS, exit=True)
        self.reading = True
        try:
            target.read(path)
        except NewtestError as error:
            return _out_of_memory(error)
        except (Exception, TooLong) as error:
            self.reading = False
            at = traceback.extract_tb(error.__traceback__)
            ours = next((one for one in reversed(at) if "/newtest/" in one.filename), at[-1])
            return f"{type(error).__name__} ({str(error)[:80]!r}) at {Path(ours.filename).name}:{ours.lineno}"
        finally:
            self.reading = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(self.one)
        return ""

    def watch(self, event: str, values: tuple[object, ...]) -> None:
        """Paths that are opened to be written, made, renamed or removed outside the folder."""
        if not self.reading:
            return
        if event == "open":
            path, _, flags = values
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            paths = [path] if writes and not isinstance(path, int) else []
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "sqlite3.connect"):
            paths = [values[0]]
        elif event in ("os.rename", "os.link", "os.symlink"):
            paths = list(values[:2])
        else:
            return
        for each in paths:
            if isinstance(each, (str, bytes, os.PathLike)) and not self._inside(os.fsdecode(each)):
                self.outside.append(f"{event} {os.fsdecode(each)}")

    def _inside(self, path: str) -> bool:
        if path == ":memory:":
            return True
        whole = os.path.normpath(Path.cwd() / path)
        inside = (self.one, *self.homes, Path("/dev"))
        return any(whole == str(folder) or whole.startswith(f"{folder}/") for folder in inside)

    def _around(self) -> dict[str, tuple[int, int]]:
        """Path -> (bytes, time of the last change) of all around the input, and of what lies in the root and /etc."""
        found = {}
        waiting = [str(self.around)]
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.path == str(self.one):
                        continue
                    about = entry.stat(follow_symlinks=False)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    # the time of a folder changes when ``one`` is made in it
                    found[entry.path] = (0, 0) if is_folder else (about.st_size, about.st_mtime_ns)
                    waiting += [entry.path] if is_folder else []
        for folder in ("/", "/etc"):
            with os.scandir(folder) as entries:
                found |= {entry.path: (0, 0) for entry in entries}
        return found


def main() -> None:
    """Say which readers there are, then answer jobs until there are no more."""
    place, *more = sys.argv[1:]
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not an answer
    targets = [*TARGETS, *(PROBES if "--probe" in more else ())]
    keep = [Path(one) for one in more if one != "--probe"]
    worker = Worker(Path(place), targets, keep[0] if keep else None)
    sys.addaudithook(worker.watch)
    worker.warm_up()
    print(json.dumps({"readers": list(worker.targets)}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.turn(json.loads(line))), file=answers, flush=True)


def _out_of_memory(error: BaseException) -> str:
    """A reader may say in a sentence of ours that there was no memory; here that is found."""
    chain: BaseException | None = error
    seen: set[int] = set()
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))
        if isinstance(chain, MemoryError):
            return f"no memory within {MOST_MEMORY >> 20} MiB: {str(chain)[:80]}"
        chain = chain.__cause__ or chain.__context__
    return ""


def _limited() -> int:
    """Bound the address space to ``MOST_MEMORY`` more than is taken; answers the bytes that are resident now."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    limit = _status("VmSize:") + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return _status("VmRSS:")


def _status(field: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooLong(f"more than {MOST_SECONDS} s")


# Readers that do what is forbidden: the test of this file asks that each is found.


def _raises(path: Path) -> None:
    raise KeyError("found")


def _writes(path: Path) -> None:
    (path.parents[1] / "outside").mkdir(exist_ok=True)
    (path.parents[1] / "outside").rmdir()


def _writes_in_c(path: Path) -> None:
    import ctypes

    made = os.fsencode(path.parents[2] / "made-by-c")
    ctypes.CDLL(None).mkdir(made, 0o700)


def _takes(path: Path) -> None:
    try:
        bytearray(4 * MOST_MEMORY)
    except MemoryError as error:
        raise NewtestError("a sentence that hides it") from error


def _dies(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _waits(path: Path) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.1)  # not ten seconds: a test waits for it
    time.sleep(5)


PROBES = tuple(
    Target(f"probe that {name}", read, ".json", ("json",))
    for name, read in {
        "raises": _raises, "writes": _writes, "writes in C": _writes_in_c, "takes memory": _takes, "dies": _dies,
        "waits": _waits,
    }.items()
)  # fmt: skip


if __name__ == "__main__":
    main()
