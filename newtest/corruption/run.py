"""A whole set through the corruptions: one set of class folders per kind and severity.

``OUT/SET.KIND.SEVERITY/CLASS/IMAGE.jpg``. ``OUT/corrupt.json`` holds the settings and what was left out, and
``OUT/sources.jsonl`` the sha256 of each picture that is done: a run that was stopped goes on behind them, and a picture
that changed since is made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from newtest.config import fingerprint
from newtest.corruption.kinds import KINDS, LEAST_SIDE, SEVERITIES, unknown
from newtest.corruption.making import Job, Made, maker
from newtest.corruption.naming import file_names, folder_name
from newtest.engines import Engine, LocalEngine, Resources
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring.sets import EvaluationSet, find_set
from newtest.files import own_descriptor, text_at, write_atomic
from newtest.outputs import claim_folder, require_own_folder
from newtest.progress import UNWATCHED, Progress
from newtest.reading.jsons import parse_json, read_json

__all__ = ["CorruptConfig", "CorruptResult", "corrupt_set"]

SETTINGS, SOURCES = "corrupt.json", "sources.jsonl"
VERSION = 1
"""Of the pixels: raised where a kind draws other ones, so that no folder holds both."""
NO_BYTES = "no file is known"


@dataclass(frozen=True)
class CorruptConfig:
    """``size``: the shorter side becomes 256/224 of it and the middle is cut out, as for ImageNet-C; 0 leaves pictures
    as they are. ``form`` "png" keeps what was made; "jpeg" is what was published, of ``quality``.
    """

    kinds: tuple[str, ...] = tuple(KINDS)
    severities: tuple[int, ...] = SEVERITIES
    size: int = 224
    seed: int = 0
    form: Literal["jpeg", "png"] = "jpeg"
    quality: int = 85

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise UsageError(unknown(kind))
        if wrong := [one for one in self.severities if one not in SEVERITIES]:
            raise UsageError(f"`severity` {wrong[0]}: known are 1 to 5")
        if self.size and not LEAST_SIDE <= self.size <= 4096:
            raise UsageError(
                f"`size` {self.size}: {LEAST_SIDE} to 4096 pixels, or 0 to leave pictures as they are"
            )
        if self.form not in ("jpeg", "png"):
            raise UsageError(f"`format` {self.form}: known are jpeg, png")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"`quality` {self.quality}: known are 1 to 100")


@dataclass(frozen=True)
class CorruptResult:
    """``images`` = those of each set + ``left_out`` (image id -> reason). ``written`` files are new, ``kept`` were
    there.
    """

    folders: tuple[Path, ...]
    images: int
    written: int
    kept: int
    left_out: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "sets": [str(folder) for folder in self.folders],
            "images": self.images,
            "images_per_set": self.images - len(self.left_out),
            "written": self.written,
            "kept": self.kept,
            "left_out": [{"image": name, "reason": reason} for name, reason in self.left_out.items()],
        }


def corrupt_set(
    which: str,
    out: Path,
    config: CorruptConfig | None = None,
    *,
    study: Path = Path(),
    engine: Engine | None = None,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> CorruptResult:
    """Make the corrupted sets of a set: a folder, a release, a table, or a revision of ``study``.

    The same set, settings and seed give the same bytes with the same versions of numpy, scipy and Pillow. Raises
    EvaluationError for what is not a set or has no files, UsageError for a folder that holds something else.
    """
    config = config or CorruptConfig()
    found = find_set(which, study)
    require_own_folder(out)
    _same_settings(found, config, out)
    claim_folder(out)
    jobs, left_out = _jobs(found, config, out)
    if not jobs:
        raise EvaluationError(f"{which}: no picture of this set is at hand ({NO_BYTES})")
    written = kept = 0
    lines: dict[str, str] = {}
    progress.advance("pictures", 0, len(jobs))
    with open(own_descriptor(out / SOURCES, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as sources:
        for made in _run(jobs, config, engine or LocalEngine(), workers, left_out):
            progress.advance("pictures", 1, len(jobs))
            if made is None:
                continue
            written, kept = written + made.written, kept + made.kept
            lines[made.key] = json.dumps([made.key, made.sha256]) + "\n"
            sources.write(lines[made.key])
            sources.flush()
    # One line per picture, whatever earlier runs noted or tore: the same bytes however often it stopped.
    write_atomic(out / SOURCES, "".join(lines[job.key] for job in jobs if job.key in lines))
    result = CorruptResult(
        tuple(
            out / _set_name(found, kind, severity) for kind in config.kinds for severity in config.severities
        ),
        len(found),
        written,
        kept,
        dict(sorted(left_out.items())),
    )
    _write_settings(found, config, out, result)
    return result


def _set_name(found: EvaluationSet, kind: str, severity: int) -> str:
    return f"{folder_name(found.name)}.{kind}.{severity}"


def _jobs(found: EvaluationSet, config: CorruptConfig, out: Path) -> tuple[list[Job], dict[str, str]]:
    """A job per picture, and the pictures that have no file."""
    done = dict(_done(out / SOURCES))
    ids = [str(one) for one in found.images["image_id"]]
    classes = [str(one) for one in found.images["class"]]
    paths = [str(one) for one in found.images["path"]] if "path" in found.images.columns else [""] * len(ids)
    names = file_names(list(zip(classes, ids, strict=True)), "png" if config.form == "png" else "jpg")
    jobs, left_out = [], {}
    for image, cls, path, name in zip(ids, classes, paths, names, strict=True):
        if not path:
            left_out[image] = NO_BYTES
            continue
        targets = tuple(
            (kind, severity, str(out / _set_name(found, kind, severity) / folder_name(cls) / name))
            for kind in config.kinds
            for severity in config.severities
        )
        key = f"{cls}/{image}"
        jobs.append(Job(key, path, targets, done.get(key, "")))
    return jobs, left_out


def _done(path: Path) -> Iterator[tuple[str, str]]:
    """(picture, sha256) of the pictures that are done; the last line may be torn."""
    try:
        lines = text_at(path, "utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            key, digest = parse_json(line)
        except (ValueError, TypeError):
            continue
        yield str(key), str(digest)


def _run(
    jobs: list[Job], config: CorruptConfig, engine: Engine, workers: int, left_out: dict[str, str]
) -> Iterator[Made | None]:
    """What was made of each picture; None where it could not be read, which is noted in ``left_out``."""
    make = partial(maker, config.size, config.seed, config.form, config.quality)
    for outcome in engine.map(make, jobs, Resources(workers=workers)):
        if outcome.error is not None:
            left_out[outcome.item.key.partition("/")[2]] = outcome.error
            yield None
        else:
            yield outcome.value


def _settings(found: EvaluationSet, config: CorruptConfig) -> dict[str, Any]:
    """What decides the pixels of a file; kinds and severities may be added later."""
    quality = config.quality if config.form == "jpeg" else None
    return {
        "version": VERSION, "set": found.name, "set_hash": found.hash, "size": config.size, "seed": config.seed,
        "form": config.form, "quality": quality,
    }  # fmt: skip


def _same_settings(found: EvaluationSet, config: CorruptConfig, out: Path) -> None:
    """Raises UsageError where the folder holds another set, or other settings; notes ours before the first file."""
    path, wanted = out / SETTINGS, _settings(found, config)
    if not path.exists():
        claim_folder(out)
        write_atomic(path, json.dumps({"settings": wanted}, indent=1) + "\n")
        return
    try:
        there = dict(read_json(path)["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not readable; name another folder for `out`") from error
    if fingerprint(there) != fingerprint(wanted):
        other = sorted(name for name in wanted if there.get(name) != wanted[name])
        raise UsageError(
            f"{out}: was made with another {', '.join(other)}; name another folder, or use the same settings"
        )


def _write_settings(found: EvaluationSet, config: CorruptConfig, out: Path, result: CorruptResult) -> None:
    import PIL
    import scipy

    about = {
        "settings": _settings(found, config),
        "made_with": {"numpy": np.__version__, "scipy": scipy.__version__, "pillow": PIL.__version__},
        "images": result.images,
        "left_out": result.to_json()["left_out"],
    }
    write_atomic(out / SETTINGS, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
