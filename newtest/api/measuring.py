"""Measure in Python: defects of a set, models on it, the report."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newtest.errors import UsageError
from newtest.progress import UNWATCHED, Progress

if TYPE_CHECKING:
    from newtest.clip.encoder import Encoder
    from newtest.evaluation.analysis.atlas import Atlas, AtlasConfig
    from newtest.evaluation.report.build import ReportFiles
    from newtest.evaluation.scoring.evaluate import EvaluateConfig, Evaluation

__all__ = ["atlas", "check", "encoder", "evaluate", "report"]

Predictions = str | Path | Sequence[str | Path] | Mapping[str, Any] | pd.DataFrame
"""Files; or model -> array (images,) of classes or (images, classes) of scores; or a table as a file would hold it."""


def check(
    which: str | Path,
    *,
    study: str | Path = ".",
    reference: str | Path | None = None,
    near_duplicates: str | Path | None = None,
    blocked: str | Path | None = None,
    min_votes: int | None = None,
    copies: bool = True,
    progress: Progress = UNWATCHED,
) -> pd.DataFrame:
    """Look for defects in a set, as ``newtest check`` does: a release, a folder, ImageNetV2's JSON, or a revision of
    ``study``.

    One row per finding: check, severity (error, warning), message, items. ``copies`` also compares the pixels.
    ``min_votes``: the votes that a member needs; without it as the set was drawn, else 10.
    Raises ReleaseError, UsageError for what is not a set.
    """
    from newtest.releasing.check import check_set
    from newtest.releasing.copies import check_copies
    from newtest.releasing.evidence import Evidence, read_blocked, read_near_duplicates, read_reference
    from newtest.releasing.targets import set_to_check

    found, known = set_to_check(str(which), Path(study))
    evidence = Evidence(
        blocked={**known.blocked, **(read_blocked(Path(blocked)) if blocked else {})},
        pairs=known.pairs | (read_near_duplicates(Path(near_duplicates)) if near_duplicates else frozenset()),
        reference={**known.reference, **(read_reference(Path(reference)) if reference else {})},
    )
    findings = check_set(found, evidence, min_votes=min_votes)
    if copies and (found.archives or any(member.file for member in found.members)):
        findings += check_copies(found, evidence, progress=progress)
    return pd.DataFrame(
        [vars(finding) for finding in findings], columns=["check", "severity", "message", "items"]
    )


def evaluate(
    which: str | Path,
    predictions: Predictions | None = None,
    *,
    models: Sequence[str] = (),
    out: str | Path | None = None,
    config: EvaluateConfig | None = None,
    progress: Progress = UNWATCHED,
) -> Evaluation:
    """Score predictions, or run models, on a set, as ``newtest evaluate`` does; results are kept in ``out``.

    ``which``: a release, a folder of class folders, a table, or a reference of ``config.study``. ``config`` holds
    everything else (class list, class map, study, ...). ``Evaluation.table`` has a row per model, ``cautions`` what
    looked wrong. Raises EvaluationError, UsageError.
    """
    from dataclasses import replace

    from newtest.evaluation.scoring.evaluate import EvaluateConfig
    from newtest.evaluation.scoring.evaluate import evaluate as run

    config = config or EvaluateConfig()
    if out is not None:
        config = replace(config, out=Path(out))
    with tempfile.TemporaryDirectory(prefix="newtest-") as folder:
        files = () if predictions is None else _files(predictions, Path(folder))
        config = replace(
            config,
            predictions=(*config.predictions, *files),
            models=(*config.models, *models),
        )
        if not (config.predictions or config.models):
            raise UsageError("nothing to score: give `predictions` or `models`")
        return run(str(which), config, progress)


def report(
    results: str | Path | Sequence[str | Path],
    original: str,
    out: str | Path,
    *,
    title: str = "How good is the new test set?",
    study: str | Path = ".",
    group: str | None = None,
) -> ReportFiles:
    """Write the report page from results folders or tables, as ``newtest report html`` does. Raises EvaluationError.

    ``original`` names the original set; ``study`` adds galleries, histograms and warnings where it is one.
    """
    from newtest.evaluation.report.build import build_report
    from newtest.evaluation.report.inputs import ReportChoice, gather
    from newtest.evaluation.scoring.loading import load

    paths = [results] if isinstance(results, (str, Path)) else results
    loaded = load([Path(path) for path in paths])
    choice = ReportChoice(title, original, group=group, study=Path(study))
    return build_report(gather(loaded, choice), Path(out))


def atlas(
    results: str | Path | Sequence[str | Path],
    x: str | Sequence[str] = (),
    *,
    out: str | Path | None = None,
    config: AtlasConfig | None = None,
    metric: str = "top1",
    title: str = "Atlas of distribution shifts",
) -> Atlas:
    """Fit a line for every shift over published results, as ``newtest report atlas`` does; ``out`` is the page.

    ``results``: the testbed's, timm's and open_clip's tables, JSON of CLIP_benchmark and lm-eval, other tables of
    accuracies, folders of these, and folders of ``nt.evaluate``. ``x`` names the original sets, ``config`` everything
    else. ``Atlas.overview()`` has a row per shift, ``Atlas.shift(name)`` a row per model: accuracies in percent, rho in
    points, p after Holm, and whether it is off the line. Raises EvaluationError, UsageError.
    """
    from dataclasses import replace

    from newtest.evaluation.analysis.atlas import AtlasConfig, build_atlas
    from newtest.evaluation.scoring.board_files import BoardConfig, read_boards

    paths = [results] if isinstance(results, (str, Path)) else results
    config = config or AtlasConfig()
    if x:
        config = replace(config, x=(x,) if isinstance(x, str) else tuple(x))
    found = build_atlas(read_boards([Path(path) for path in paths], BoardConfig(metric)), config)
    if out is not None:
        from newtest.evaluation.report.atlas_page import render_atlas
        from newtest.outputs import write_made

        write_made(Path(out), render_atlas(found, title))
    return found


def encoder(
    name: str = "conse", *, like: str | None = None, device: str | None = None, precision: str = "float32"
) -> Encoder:
    """An image-text encoder by name: conse, MODEL/TAG of open_clip, MODEL@CHECKPOINT. Raises MissingExtra, UsageError.

    ``images(pixels)`` and ``texts(sentences)`` give float32 rows of length 1. ``like`` is the tag whose configuration a
    checkpoint needs. ``hf-hub:ORG/NAME`` and ``local-dir:PATH`` are names too.
    """
    from newtest.clip.loading import encoder as load

    return load(name, like=like, device=device, precision=precision)


def _files(predictions: Predictions, folder: Path) -> tuple[Path, ...]:
    """The files themselves, or files of what is held in memory, read in the same way."""
    if isinstance(predictions, (str, Path)):
        return (Path(predictions),)
    if isinstance(predictions, pd.DataFrame):
        predictions.to_parquet(folder / "predictions.parquet")
        return (folder / "predictions.parquet",)
    if not isinstance(predictions, Mapping):
        return tuple(Path(path) for path in predictions)
    for model, values in predictions.items():
        if "/" in model or model.startswith("."):
            raise UsageError(
                f"`predictions`: the name of a model has no slash and no leading dot, got {model!r}"
            )
        np.save(folder / f"{model}.npy", np.asarray(values))
    return tuple(folder / f"{model}.npy" for model in predictions)
