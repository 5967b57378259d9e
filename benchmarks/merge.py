"""Interpolating two checkpoints: time and peak memory, next to loading both and adding them.

The peer is safetensors with NumPy, or ``torch.load`` (``--format pt``). Each measurement is a process of its own. Sizes
are of one checkpoint, float32, tensors of 64 MB. Peak memory is the most that was resident, mapped files included.
Run: python benchmarks/merge.py [--format pt] [--gigabytes 0.5 1 2 4]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

OURS = (
    "from pathlib import Path; from newtest.clip.weights import interpolate;"
    "interpolate(Path(a), Path(b), 0.3, Path(c))"
)
PEERS = {
    "safetensors": "from safetensors.numpy import load_file, save_file; z, f = load_file(a), load_file(b);"
    "save_file({n: (1 - 0.3) * z[n] + 0.3 * f[n] for n in z}, c)",
    "pt": "import torch; z, f = (torch.load(p, weights_only=True) for p in (a, b));"
    "torch.save({n: (1 - 0.3) * z[n] + 0.3 * f[n] for n in z}, c)",
}
TO_TORCH = "import sys, torch; from safetensors.torch import load_file; torch.save(load_file(sys.argv[1]), sys.argv[2])"
MEASURE = (
    "import sys, time, resource; a, b, c = sys.argv[1:]; start = time.perf_counter()\n{code}\n"
    "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def make(path: Path, gigabytes: float, seed: int) -> None:
    from newtest.clip.weights.tensors import PIECE, TensorInfo
    from newtest.clip.weights.writing import write_tensors

    random = np.random.default_rng(seed)
    infos = {f"layer.{i:03d}": TensorInfo("F32", (4096, 4096)) for i in range(max(1, round(gigabytes * 16)))}
    write_tensors(
        path, infos, lambda _: (random.random(PIECE, dtype=np.float32) for _ in range(4096**2 // PIECE))
    )


def converted(path: Path) -> Path:
    """A safetensors file as a PyTorch state dict; the first one is removed."""
    target = path.with_suffix(".pt")
    subprocess.run([sys.executable, "-c", TO_TORCH, str(path), str(target)], check=True)
    path.unlink()
    return target


def measure(code: str, *paths: Path) -> tuple[float, float]:
    """Seconds and peak MiB of a process that runs the code."""
    command = [sys.executable, "-c", MEASURE.format(code=code), *map(str, paths)]
    seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.5, 1, 2, 4])
    parser.add_argument("--format", choices=sorted(PEERS), default="safetensors")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peer-up-to", type=float, default=2, help="the peer holds three checkpoints in memory"
    )
    options = parser.parse_args()
    print(
        f"{'GB':>5} {'ours s (range)':>22} {'ours MiB':>9} {'peer s':>8} {'peer MiB':>9} {'time':>6} {'memory':>7}"
    )
    for gigabytes in options.gigabytes:
        with tempfile.TemporaryDirectory() as folder:
            a, b, c = (Path(folder) / f"{name}.safetensors" for name in "abc")
            make(a, gigabytes, 1)
            make(b, gigabytes, 2)
            if options.format == "pt":
                a, b = converted(a), converted(b)
            ours = [measure(OURS, a, b, c) for _ in range(options.repeats)]
            seconds, peak = statistics.median(s for s, _ in ours), max(m for _, m in ours)
            line = f"{gigabytes:5g} {seconds:8.2f} ({min(ours)[0]:5.2f}-{max(ours)[0]:5.2f}) {peak:9.0f}"
            if gigabytes <= options.peer_up_to:
                peers = [measure(PEERS[options.format], a, b, c) for _ in range(options.repeats)]
                other, other_peak = statistics.median(s for s, _ in peers), max(m for _, m in peers)
                line += f" {other:8.2f} {other_peak:9.0f} {seconds / other:6.2f} {peak / other_peak:7.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
