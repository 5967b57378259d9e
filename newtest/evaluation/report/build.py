"""The report: one self-contained page, its figures as PNG and SVG beside it, and every number of it as JSON.

The page is rendered from ``report.json`` and the pictures alone, so no number can stand in it that the JSON lacks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.config import canonical_json
from newtest.drawing import Picture
from newtest.errors import EvaluationError
from newtest.evaluation.analysis.frequency_gap import ByFrequency
from newtest.evaluation.analysis.gap import decompose
from newtest.evaluation.analysis.line import Line, LineConfig, fit_line
from newtest.evaluation.analysis.outliers import far_below
from newtest.evaluation.analysis.scales import Scale
from newtest.evaluation.analysis.tables import accuracy_table, column_names, render
from newtest.evaluation.report.figures import draw_by_frequency, draw_histogram, draw_scatter, scatter_of
from newtest.evaluation.report.page import render_page
from newtest.evaluation.report.thumbnails import data_uri
from newtest.evaluation.scoring.results import Results, as_results
from newtest.outputs import write_made
from newtest.reading.jsons import parse_json
from newtest.version import __version__

__all__ = [
    "BuiltSet",
    "Frequencies",
    "Gallery",
    "GalleryImage",
    "HowRead",
    "ReportFiles",
    "ReportInputs",
    "build_report",
]


@dataclass(frozen=True)
class BuiltSet:
    """Where one set comes from. ``left_out``: (reason, candidates), the first reason that held."""

    set: str
    how: str
    images: int
    left_out: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class GalleryImage:
    """A picture and what people said of it. ``data`` are its bytes (any size; a thumbnail is made)."""

    data: bytes
    label: str
    """The class, in words."""
    num_selected: int | None = None
    num_shown: int | None = None
    caption: str = ""
    """Shown on hover: an id, an owner, a licence."""


@dataclass(frozen=True)
class Gallery:
    """Examples of one set. ``images`` keep their order within a frequency bin."""

    set: str
    images: tuple[GalleryImage, ...]
    note: str = ""


@dataclass(frozen=True)
class Frequencies:
    """The selection frequencies of a whole set as two counts per image, shape (N,) each."""

    set: str
    num_selected: npt.NDArray[np.int64]
    num_shown: npt.NDArray[np.int64]


@dataclass(frozen=True)
class HowRead:
    """Models whose answers to a set were read alike: from which columns and files, by which key, as what."""

    set: str
    models: tuple[str, ...]
    columns: str
    key: str
    kind: str
    class_rule: str
    preprocessing: str


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made of; everything but the title is optional, and what is missing is not mentioned.

    ``results`` has the columns model, set, and k and n (or accuracy in percent), optionally group and base.
    ``original`` names the original set among its sets; the line is fitted on the models of ``group`` (None: all).
    """

    title: str
    subtitle: str = ""
    facts: tuple[tuple[str, str | int | float], ...] = ()
    """Name and value, in order: what the sets were built from."""
    built: tuple[BuiltSet, ...] = ()
    """The original's first."""
    warnings: tuple[str, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    frequencies: tuple[Frequencies, ...] = ()
    """The original's first, if it is there."""
    results: pd.DataFrame | Results | None = None
    original: str = "original"
    group: str | None = None
    scale: Scale = "logit"
    commands: tuple[str, ...] = ()
    """The commands that would do the same by hand."""
    correct: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Set -> correctness (index models, a column per image): for the bootstrap over images."""
    by_frequency: tuple[ByFrequency, ...] = ()
    """The original's first: accuracy as a function of selection frequency."""
    adjusted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """New set -> what ``frequency_gap.adjusted`` answers."""
    read: tuple[HowRead, ...] = ()
    """How the answers behind the results were read."""


@dataclass(frozen=True)
class ReportFiles:
    """What ``build_report`` wrote."""

    html: Path
    json: Path
    table: Path | None
    figures: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    """Letters of names that no font here has; see ``newtest.lettering.without_glyphs``."""


def build_report(inputs: ReportInputs, out: Path) -> ReportFiles:
    """Write ``out/report.html``, ``out/report.json``, ``out/table.csv`` and ``out/figures/*.{png,svg}``.

    The same inputs give the same bytes. A line that cannot be fitted (too few models, too small a range) is reported on
    the page, not raised; raises EvaluationError when ``results`` is not a results table or lacks ``original``.
    """
    numbers: dict[str, Any] = {
        "title": inputs.title,
        "subtitle": inputs.subtitle,
        "newtest": __version__,
        "facts": [[name, _plain(value)] for name, value in inputs.facts],
        "built": [asdict(part) for part in inputs.built],
        "warnings": list(inputs.warnings),
        "commands": list(inputs.commands),
        "galleries": [],
        "frequencies": [],
        "sets": [],
        "models": [],
        "comparisons": [],
        "by_frequency": [],
        "adjusted": [],
        "read": [asdict(part) for part in inputs.read],
    }
    pictures: list[Picture] = []
    thumbnails = _galleries(inputs.galleries, numbers)
    _frequencies(inputs.frequencies, numbers, pictures)
    table = None
    if inputs.results is not None:
        results = inputs.results if isinstance(inputs.results, Results) else as_results(inputs.results)
        numbers["warnings"] += [str(caution) for caution in results.cautions]
        _accuracies(inputs, results, numbers, pictures)
        numbers["by_frequency"] = [part.to_json() for part in inputs.by_frequency]
        if inputs.by_frequency:
            pictures.append(draw_by_frequency(list(inputs.by_frequency)))
        numbers["adjusted"] = [{"set": name, **found} for name, found in inputs.adjusted.items()]
        for name, found in inputs.adjusted.items():
            numbers["warnings"] += [f"{name}: {warning}" for warning in found["warnings"]]
        table = out / "table.csv"
        write_made(table, render(accuracy_table(results.table, inputs.original), "csv"))
    written = _write_figures(pictures, out / "figures")
    write_made(
        out / "report.json",
        json.dumps(parse_json(canonical_json(numbers)), indent=1, ensure_ascii=False) + "\n",
    )
    write_made(out / "report.html", render_page(numbers, pictures, thumbnails))
    missing = tuple(dict.fromkeys(letter for picture in pictures for letter in picture.missing))
    return ReportFiles(out / "report.html", out / "report.json", table, written, missing)


def _write_figures(pictures: Sequence[Picture], folder: Path) -> tuple[Path, ...]:
    written = []
    for picture in pictures:
        for suffix, data in (("png", picture.png), ("svg", picture.svg)):
            path = folder / f"{picture.name}.{suffix}"
            write_made(path, data)
            written.append(path)
    return tuple(written)


def _galleries(galleries: Sequence[Gallery], numbers: dict[str, Any]) -> list[list[str | None]]:
    """Describe the galleries, images by falling frequency; the thumbnails come back in the same order."""
    found = []
    for gallery in galleries:
        images = sorted(gallery.images, key=lambda image: -_share(image))
        numbers["galleries"].append(
            {
                "set": gallery.set,
                "note": gallery.note,
                "images": [
                    {
                        "label": i.label,
                        "caption": i.caption,
                        "num_selected": _plain(i.num_selected),
                        "num_shown": _plain(i.num_shown),
                    }
                    for i in images
                ],
            }
        )
        found.append([data_uri(image.data) for image in images])
    return found


def _share(image: GalleryImage) -> float:
    return (image.num_selected or 0) / image.num_shown if image.num_shown else -1.0


def _frequencies(sets: Sequence[Frequencies], numbers: dict[str, Any], pictures: list[Picture]) -> None:
    shares = []
    for part in sets:
        asked = np.asarray(part.num_shown) > 0
        share = np.asarray(part.num_selected)[asked] / np.asarray(part.num_shown)[asked]
        shares.append(share)
        counts = np.histogram(share, np.arange(11) / 10)[0]
        numbers["frequencies"].append(
            {
                "set": part.set,
                "images": len(asked),
                "asked": int(asked.sum()),
                "mean": float(share.mean()) if share.size else None,
                "histogram": counts.tolist(),
                "figure": f"frequencies-{_slug(part.set, len(shares))}" if len(shares) > 1 else None,
            }
        )
        if len(shares) > 1:
            name = numbers["frequencies"][-1]["figure"]
            pictures.append(draw_histogram(shares[0], share, (sets[0].set, part.set), name))


def _accuracies(
    inputs: ReportInputs, results: Results, numbers: dict[str, Any], pictures: list[Picture]
) -> None:
    table, original = results.table, inputs.original
    if original not in set(table["set"]):
        raise EvaluationError(
            f"no results on the original set {original!r}; sets are {', '.join(sorted(set(table['set']))[:12])}"
        )
    new_sets = [name for name in dict.fromkeys(table["set"]) if name != original]
    accuracies = accuracy_table(table, original)
    numbers["sets"] = list(column_names([original, *new_sets]).values())
    numbers["models"] = [{str(k): _plain(v) for k, v in row.items()} for row in accuracies.to_dict("records")]
    for at, name in enumerate(new_sets, 1):
        comparison: dict[str, Any] = {"set": name, "slug": _slug(name, at), "line": None, "no_line": None}
        comparison["figure"] = f"scatter-{comparison['slug']}"
        numbers["warnings"] += [str(caution) for caution in far_below(table, original, name)]
        comparison["gap"] = decompose(table, original, name).to_json()
        line = None
        try:
            line = _line(inputs, results, name)
            comparison["line"] = line.to_json()
        except EvaluationError as error:
            comparison["no_line"] = str(error)
        pictures.append(
            draw_scatter(scatter_of(table, (original, name), inputs.scale, line, comparison["figure"]))
        )
        numbers["comparisons"].append(comparison)


def _line(inputs: ReportInputs, results: Results, name: str) -> Line:
    options = LineConfig((inputs.original,), name, inputs.scale, inputs.group)
    sets = (inputs.original, name)
    correct = [inputs.correct[s] for s in sets] if all(s in inputs.correct for s in sets) else None
    return fit_line(results, options, correct)


def _slug(name: str, at: int) -> str:
    """A file name from a set's name: letters, digits and dashes, numbered so that no two meet."""
    word = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")[:40]
    return f"{at}-{word}" if word else str(at)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value
