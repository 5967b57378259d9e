"""The atlas as one HTML page: its numbers as JSON inside it, our own script beside them, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.evaluation.analysis.atlas import Atlas, AtlasLine
from newtest.evaluation.analysis.tables import plain_rows
from newtest.evaluation.scoring.board_names import is_synthetic
from newtest.version import __version__

__all__ = ["atlas_numbers", "render_atlas"]


def atlas_numbers(atlas: Atlas) -> dict[str, Any]:
    """Every number of the page as plain values: models, accuracies in percent, and the lines."""
    config = atlas.config
    names = ("model", "config", "data", "group", "source")
    return {
        "newtest": __version__,
        "scale": config.scale,
        "alpha": config.alpha,
        "level": config.level,
        "family": config.family,
        "choices": list(atlas.choices),
        "models": {name: atlas.models[name].astype(str).tolist() for name in names},
        "kinds": {line.y: "synthetic" if is_synthetic(line.y) else "natural" for line in atlas.lines},
        "accuracy": {str(name): _rounded(atlas.accuracy[name], 3) for name in atlas.accuracy.columns},
        "lines": [_line(line) for line in atlas.lines],
        "warnings": list(atlas.warnings),
    }


def _line(line: AtlasLine) -> dict[str, Any]:
    nothing: list[None] = [None] * len(line.rho)
    found: dict[str, Any] = {
        "y": line.y,
        "choice": line.choice,
        "axes": list(line.axes),
        "n": line.n,
        "refused": line.refused,
    }
    if line.refused:
        return {**found, "rho": nothing}
    return {
        **found,
        "slopes": list(line.slopes),
        "intercept": line.intercept,
        "r2": line.r2 if np.isfinite(line.r2) else 0.0,
        "scatter": line.scatter,
        "curve": round(line.curve, 3),
        "rho": _rounded(line.rho, 3),
        "half": _rounded(line.half, 3),
        "t": _rounded(line.t, 2),
        "p": [None if np.isnan(value) else float(f"{value:.2g}") for value in line.p_holm],
        "fitted": line.fitted.astype(int).tolist(),
        "counted": line.counted.astype(int).tolist(),
        "outside": line.outside.astype(int).tolist(),
    }


def _rounded(values: npt.ArrayLike, digits: int) -> list[float | None]:
    array = np.asarray(values, dtype=np.float64)
    return [None if not np.isfinite(value) else round(float(value), digits) for value in array]


def render_atlas(atlas: Atlas, title: str = "Atlas of distribution shifts") -> str:
    """The page. Strangers' names are in it as JSON text, whose ``<``, ``>`` and ``&`` are escaped, and in cells that
    the template escapes; the script puts them in as text alone, and the page's policy runs no other script.
    """
    from markupsafe import Markup

    from newtest.templates import environment

    templates = environment("newtest.evaluation.report", "templates")
    templates.filters |= {"three": _three, "number": _thousands}
    script = files("newtest.evaluation.report").joinpath("templates", "atlas.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    numbers = atlas_numbers(atlas)
    page = {
        **{key: numbers[key] for key in ("newtest", "scale", "alpha", "family", "choices", "warnings")},
        "title": title,
        "models": len(atlas.models),
        "sets": list(atlas.accuracy.columns),
        "overview": plain_rows(atlas.overview()),
        "fitted_on": _fitted_on(atlas),
    }
    return templates.get_template("atlas.html.j2").render(
        page=page,
        numbers=Markup(_in_script(numbers)),  # noqa: S704  escaped for a script's text
        script=Markup(script),  # noqa: S704  ours
        script_hash=f"sha256-{digest}",
    )


def _fitted_on(atlas: Atlas) -> str:
    config = atlas.config
    parts = [f"group {config.group}"] if config.group else []
    parts += [f"training data {config.data}"] if config.data else []
    return f"models of {' and '.join(parts)}" if parts else "all models that have both accuracies"


def _in_script(value: Any) -> str:
    """JSON that no HTML parser takes for the end of a script or for a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def _thousands(value: Any) -> str:
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else str(value)
