"""How long newtest --help takes, next to a bare interpreter and to importing typer alone. The bar: 0.4 s.

Run: python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUN = "import sys; sys.argv = ['newtest', {}]; from newtest.cli import main; main()"
CASES = {
    "bare interpreter": "pass",
    "import typer": "import typer",
    "newtest --help": RUN.format("'--help'"),
    "newtest sample --help": RUN.format("'sample', '--help'"),
}


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(15):  # in turns, so that a busy moment hits all of them
        for name, code in CASES.items():
            taken[name].append(seconds(code))
    bare = statistics.median(taken["bare interpreter"])
    print(f"{'':22} {'median s':>9} {'range':>15} {'x bare':>7}")
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:22} {middle:9.3f} {min(times):7.3f}-{max(times):.3f} {middle / bare:7.1f}")


if __name__ == "__main__":
    main()
