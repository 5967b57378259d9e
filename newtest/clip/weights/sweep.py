"""The alpha sweep of WiSE-FT: one checkpoint an alpha, each scored, the alpha chosen on in-distribution data only."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from newtest.clip.weights.ensemble import accuracies, read_outputs
from newtest.clip.weights.interpolate import interpolate
from newtest.clip.weights.merging import MergeConfig, changed
from newtest.clip.weights.recalibration import Recalibration
from newtest.clip.weights.soups import finite
from newtest.config import fingerprint
from newtest.errors import UsageError, WeightsError
from newtest.files import sha256_of
from newtest.outputs import write_made
from newtest.reading.jsons import parse_json, read_json

__all__ = ["SweepPoint", "choose", "command_outputs", "command_score", "logits_path", "sweep"]

IN_DISTRIBUTION = "in_distribution"


@dataclass(frozen=True)
class SweepPoint:
    """An alpha, its checkpoint, and what it scored (empty where nothing was scored)."""

    alpha: float
    checkpoint: str
    scores: Mapping[str, float]


def sweep(
    zeroshot: Path,
    finetuned: Path,
    alphas: Sequence[float],
    out: Path,
    *,
    score: Callable[[Path], Mapping[str, float]] | None = None,
    scored_by: str = "",
    config: MergeConfig | None = None,
    recalibrate: Recalibration | None = None,
) -> list[SweepPoint]:
    """Write ``out/alpha-X.safetensors`` for each alpha and score it; ``out/sweep.json`` holds what is done.

    Run again after a kill it goes on behind the last finished alpha; scores by another ``scored_by`` (the command) are
    asked for again. Raises WeightsError, also when ``out`` holds the sweep of other checkpoints or ``config``.
    """
    ends = [sha256_of(zeroshot), sha256_of(finetuned)]
    identity = fingerprint(ends, *changed(config, recalibrate.source if recalibrate else ""))
    record = out / "sweep.json"
    done = _read(record, identity, scored_by)
    for alpha in alphas:
        point = done.get(alpha)
        name = f"alpha-{alpha:.12g}.safetensors"
        if point is None or not (out / name).exists():
            interpolate(zeroshot, finetuned, alpha, out / name, config, recalibrate)
            point = SweepPoint(alpha, name, {})
        if score is not None and not point.scores:
            point = SweepPoint(alpha, name, dict(score(out / name)))
        done[alpha] = point
        rows = [asdict(done[key]) for key in sorted(done)]
        write_made(
            record, json.dumps({"inputs": identity, "scored_by": scored_by, "points": rows}, indent=1) + "\n"
        )
    return [done[alpha] for alpha in alphas]


def choose(points: Sequence[SweepPoint]) -> SweepPoint:
    """The point with the best ``in_distribution`` score; of equals the one whose alpha is nearest to 1/2.

    Shifted data has no say: an alpha chosen on it would make its accuracy there mean nothing. Raises WeightsError
    without scores.
    """
    scored = [point for point in points if IN_DISTRIBUTION in point.scores]
    if not scored:
        raise WeightsError(f"no alpha can be chosen: no point has a score named {IN_DISTRIBUTION!r}")
    return max(scored, key=lambda point: (point.scores[IN_DISTRIBUTION], -abs(point.alpha - 0.5)))


def command_score(command: str) -> Callable[[Path], dict[str, float]]:
    """A scorer that runs ``command`` (no shell) with ``{checkpoint}`` filled in.

    The last line that it prints is a number, or a JSON object of numbers such as
    ``{"in_distribution": 76.2, "shifted": 63.1}``. A bare number counts as in_distribution.
    """
    words = _words(command)

    def score(path: Path) -> dict[str, float]:
        lines = _run(words, path, {"{checkpoint}": str(path)})
        try:
            value = parse_json(lines[-1])
            named = value if isinstance(value, dict) else {IN_DISTRIBUTION: value}
            return finite({str(key): float(number) for key, number in named.items()})
        except (IndexError, ValueError, TypeError) as error:
            raise WeightsError(
                "the score command must end with a number or a JSON object of numbers, all finite; it printed "
                f"{lines[-1:]} for {path}"
            ) from error

    return score


def command_outputs(command: str) -> Callable[[Path], dict[str, float]]:
    """A scorer that runs ``command`` with ``{checkpoint}`` and ``{logits}`` filled in, and reads the latter.

    ``{logits}`` is an ``.npz`` for the command to write, see ``newtest.clip.weights.ensemble.read_outputs``; scores are
    top-1 in percent of each set in it. What the command prints does not matter.
    """
    words = _words(command)

    def score(path: Path) -> dict[str, float]:
        logits = logits_path(path)
        _run(words, path, {"{checkpoint}": str(path), "{logits}": str(logits)})
        return accuracies(read_outputs(logits))

    return score


def logits_path(checkpoint: Path) -> Path:
    """Where the logits of a sweep's checkpoint lie."""
    return checkpoint.with_suffix(".logits.npz")


def _words(command: str) -> list[str]:
    words = shlex.split(command)
    if not any("{checkpoint}" in word for word in words):
        raise UsageError("the score command must name {checkpoint} where the file's path belongs")
    return words


def _run(words: Sequence[str], path: Path, filled: Mapping[str, str]) -> list[str]:
    """The lines that a score command printed. Raises WeightsError."""
    command = []
    for word in words:
        for name, value in filled.items():
            word = word.replace(name, value)
        command.append(word)
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise WeightsError(f"the score command cannot be started: {command[0]}: {error.strerror}") from error
    if ended.returncode:
        raise WeightsError(f"the score command failed with exit code {ended.returncode} on {path}")
    return ended.stdout.strip().splitlines()


def _read(record: Path, identity: str, scored_by: str) -> dict[float, SweepPoint]:
    if not record.exists():
        return {}
    try:
        held = read_json(record)
        points = [SweepPoint(**row) for row in held["points"]]
        if held.get("scored_by") != scored_by:
            points = [replace(point, scores={}) for point in points]
        same = held["inputs"] == identity
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{record}: is not a sweep of ours ({error}); give another `out`") from error
    if not same:
        raise WeightsError(f"{record}: is the sweep of other checkpoints; give another `out`")
    return {point.alpha: point for point in points}
