"""Give every reader changed files: no exception but ours, no input over 10 s, no writes outside, at most 512 MiB.

    python tests/fuzz/run.py --inputs 10000            # of each reader; make fuzz N=10000
    python tests/fuzz/run.py --seconds 12              # as many as there is time for, the readers in turn

Each input is made of a seed, the reader's name and its number, so that a failure is found again by them. Failing files
are kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # the others take address space in advance
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutations import mutated
from fuzz.targets import TARGETS, Target, seeds

from newtest.errors import NewtestError

MOST_SECONDS = 10
MOST_MEMORY = 512 << 20


class TooLong(BaseException):
    """An input took more than ten seconds."""


def main() -> int:
    """0 where nothing was found."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--inputs", type=int, default=1_000_000, help="inputs of each reader, at most")
    options.add_argument("--seconds", type=float, default=float("inf"), help="in all")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default="", help="readers with this in their names")
    options.add_argument("--keep", type=Path, help="a folder for inputs that fail")
    options.add_argument("--probe", action="store_true", help="add a reader that does all that is forbidden")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="newtest-fuzz-") as place:
        return Fuzzing(given, Path(place).resolve()).run()


class Fuzzing:
    """The inputs, the limits and what was found."""

    def __init__(self, given: argparse.Namespace, place: Path) -> None:
        self.given, self.place = given, place
        self.outside: list[str] = []
        self.found: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.slowest = 0.0
        self.reading = False
        self.most = 0
        self.kinds = seeds(place)
        os.environ |= {name: str(place / "state") for name in ("NEWTEST_STATE", "NEWTEST_CACHE")}

    def run(self) -> int:
        """The readers in turn, some inputs at a time, until the inputs or the time are used up."""
        sys.addaudithook(self._watch)
        signal.signal(signal.SIGALRM, _stop)
        targets = [target for target in TARGETS if self.given.only in target.name]
        targets += [Target("probe", _forbidden, ".json", ("json",))] if self.given.probe else []
        for target in targets:  # what a reader imports and keeps is no input's memory
            self._one(target, self.kinds[target.kinds[0]][0])
        start, base = time.monotonic(), _resident()
        limit = _address_space() + (3 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        step, number = 20, 0
        while number < self.given.inputs and time.monotonic() - start < self.given.seconds:
            for target in targets:
                for each in range(number, min(number + step, self.given.inputs)):
                    if time.monotonic() - start >= self.given.seconds:
                        break
                    draw = random.Random(f"{self.given.seed} {target.name} {each}")
                    good = self.kinds[target.kinds[0]]
                    data = mutated(draw.choice(good), draw.choice(good), target.kinds[0], draw)
                    self._one(target, data, f"{target.name} {each}")
                    self.made[target.name] += 1
            number += step
        self.most = max(0, _peak() - base)
        if self.most > MOST_MEMORY:
            self.found[f"memory: {self.most >> 20} MiB"] += 1
        self.found.update(f"written outside: {path}" for path in self.outside)
        print(
            f"{sum(self.made.values()):,} inputs, {len(targets)} readers, {min(self.made.values(), default=0):,} or "
            f"more each, {time.monotonic() - start:.0f} s; slowest {self.slowest:.2f} s, {self.most >> 20} MiB at most"
        )
        for what, count in self.found.most_common():
            print(f"{count} x {what}")
        return 1 if self.found else 0

    def _one(self, target: Target, data: bytes, label: str = "") -> None:
        folder = self.place / "one"
        folder.mkdir(exist_ok=True)
        path = folder / f"{target.file}{target.suffix}"
        path.write_bytes(data)
        if target.file == "manifest":
            (folder / "classes.csv").write_text("wnid,name\nn1,fish\n")
            (folder / "SHA256SUMS").write_text("")
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
        faulthandler.dump_traceback_later(3 * MOST_SECONDS, exit=True)
        self.reading = True
        try:
            target.read(path)
        except NewtestError:
            pass
        except (Exception, TooLong) as error:
            at = traceback.extract_tb(error.__traceback__)
            ours = next((one for one in reversed(at) if "/newtest/" in one.filename), at[-1])
            self.reading = False
            place = f"{Path(ours.filename).name}:{ours.lineno}"
            self.found[f"{target.name}: {type(error).__name__} ({str(error)[:80]!r}) at {place}"] += 1
            if self.given.keep is not None and label:
                self.given.keep.mkdir(parents=True, exist_ok=True)
                (self.given.keep / f"{label.replace(' ', '-')}{target.suffix}").write_bytes(data)
        finally:
            self.reading = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
        self.slowest = max(self.slowest, time.monotonic() - began)
        shutil.rmtree(folder)

    def _watch(self, event: str, values: tuple[object, ...]) -> None:
        """Paths that are opened to be written, made, renamed or removed outside the folder."""
        if not self.reading:
            return
        if event == "open":
            path, _, flags = values
            if (
                isinstance(path, int)
                or not isinstance(flags, int)
                or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            ):
                return
            paths = [path]
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
            paths = [values[0]]
        elif event in ("os.rename", "os.link", "os.symlink"):
            paths = list(values[:2])
        else:
            return
        for each in paths:
            if isinstance(each, (str, bytes, os.PathLike)) and not self._inside(os.fsdecode(each)):
                self.outside.append(f"{event} {os.fsdecode(each)}")

    def _inside(self, path: str) -> bool:
        return os.path.normpath(Path.cwd() / path).startswith((f"{self.place}/", "/dev/"))


def _forbidden(path: Path) -> None:
    (path.parents[1].with_name(f"{path.parents[1].name}-outside")).mkdir(exist_ok=True)
    path.parents[1].with_name(f"{path.parents[1].name}-outside").rmdir()
    raise KeyError("found")


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooLong(f"more than {MOST_SECONDS} s")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def _resident() -> int:
    return _status("VmRSS:")


def _peak() -> int:
    return _status("VmHWM:")


def _address_space() -> int:
    return _status("VmSize:")


if __name__ == "__main__":
    sys.exit(main())
