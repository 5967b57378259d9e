"""Give every reader changed files: no exception but ours, no input over 10 s, no writes outside, at most 512 MiB.

    python tests/fuzz/run.py --inputs 10000            # of each reader; make fuzz N=10000
    python tests/fuzz/run.py --seconds 12              # as many as there is time for, the readers in turn

The inputs are read in a process of its own (``worker.py``), which is started again when an input kills it. Each input
is made of a seed, the reader's name and its number, so that a failure is found again by them. Failing files are kept
in ``--keep``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
STEP = 20
"""Inputs of one reader before the next one has its turn."""


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
    options.add_argument("--probe", action="store_true", help="add readers that do all that is forbidden")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="newtest-fuzz-") as place:
        return Fuzzing(given, Path(place).resolve()).run()


class Fuzzing:
    """The turns of the readers, and what was found."""

    def __init__(self, given: argparse.Namespace, place: Path) -> None:
        self.given, self.place = given, place
        self.found: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}
        self.most: dict[str, int] = {}
        self.worker: Worker | None = None

    def run(self) -> int:
        """The readers in turn, some inputs at a time, until the inputs or the time are used up."""
        names = [name for name in self._started().readers if self.given.only in name]
        start, number = time.monotonic(), 0
        while number < self.given.inputs and self._left(start) > 0:
            for name in names:
                if self._left(start) > 0:
                    self._turn(name, number, min(number + STEP, self.given.inputs))
            number += STEP
        self._started().close()
        print(
            f"{sum(self.made.values()):,} inputs, {len(names)} readers, {min(self.made.values(), default=0):,} or "
            f"more each, {time.monotonic() - start:.0f} s; slowest {_largest(self.slowest, '{:.2f} s')}, most memory "
            f"{_largest({name: size >> 20 for name, size in self.most.items()}, '{} MiB')}"
        )
        for what, count in self.found.most_common():
            print(f"{count} x {what}")
        return 1 if self.found else 0

    def _left(self, start: float) -> float:
        return float(self.given.seconds - (time.monotonic() - start))

    def _turn(self, name: str, number: int, end: int) -> None:
        while number < end:
            worker = self._started()
            answer = worker.ask({"reader": name, "from": number, "to": end, "seed": self.given.seed})
            if answer is None:
                last = worker.last()
                self.found[f"{name}: the process ended with {worker.ended()}"] += 1
                self.made[name] += last - number + 1
                self.worker, number = None, last + 1
                continue
            self.found.update(answer["found"])
            self.made[name] += end - number
            self.slowest[name] = max(self.slowest.get(name, 0), answer["slowest"])
            self.most[name] = max(self.most.get(name, 0), answer["most"])
            number = end

    def _started(self) -> Worker:
        if self.worker is None:
            self.worker = Worker(self.place, self.given)
        return self.worker


class Worker:
    """The process that reads."""

    def __init__(self, place: Path, given: argparse.Namespace) -> None:
        folder = Path(tempfile.mkdtemp(dir=place))
        self._progress = folder / "progress"
        self._progress.write_text("0")
        keep = [str(given.keep.resolve())] if given.keep else []
        probe = ["--probe"] if given.probe else []
        self._process = subprocess.Popen(
            [sys.executable, WORKER, folder, *probe, *keep],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {
                "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others take address space in advance
                "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", "PYTHONPATH": _path(),
            },
        )  # fmt: skip
        self.readers: list[str] = (self._line() or {"readers": []})["readers"]
        if not self.readers:
            raise SystemExit(f"the worker did not start: it ended with {self.ended()}")

    def ask(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """What became of some inputs; None where one of them ended the process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._line()

    def last(self) -> int:
        """The number of the input that was read last."""
        return int(self._progress.read_text())

    def ended(self) -> str:
        """How the process ended: an exit code, or the signal's name."""
        code = self._process.wait(60)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _line(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None


def _path() -> str:
    root = Path(__file__).resolve().parents[2]
    return os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])


def _largest(by_name: dict[str, Any], form: str) -> str:
    name = max(by_name, key=lambda one: by_name[one], default="")
    return f"{form.format(by_name[name])} ({name})" if name else "-"


if __name__ == "__main__":
    sys.exit(main())
