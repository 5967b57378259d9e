"""The report: what it says, what it is made of, and that a real browser opens it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from needs import missing
from PIL import Image

from newtest.errors import EvaluationError
from newtest.evaluation.report.build import (
    BuiltSet,
    Frequencies,
    Gallery,
    GalleryImage,
    ReportInputs,
    build_report,
)
from newtest.evaluation.report.thumbnails import data_uri

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def photo(color: str, size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def results(models: int = 12) -> pd.DataFrame:
    share = np.linspace(0.4, 0.9, models)
    parts = [
        pd.DataFrame(
            {
                "model": [f"model-{at}" for at in range(models)],
                "set": name,
                "k": np.round(n * (share - drop)).astype(int),
                "n": n,
                "group": np.where(np.arange(models) % 2, "tree", "linear"),
            }
        )
        for name, n, drop in (("original", 1000, 0.0), ("matched", 500, 0.1), ("top", 500, 0.01))
    ]
    return pd.concat(parts, ignore_index=True)


def inputs(**changes: object) -> ReportInputs:
    images = tuple(
        GalleryImage(photo(c), f"class {c}", k, 10, f"id {c}")
        for k, c in enumerate(("red", "green", "blue"), 4)
    )
    rng = np.random.default_rng(0)
    full = {
        "title": "A replica",
        "facts": (("classes", 10), ("seed", 0)),
        "built": (BuiltSet("original", "", 1000), BuiltSet("matched", "by hand", 500, (("blocked", 7),))),
        "warnings": ("The votes are SIMULATED.",),
        "galleries": (Gallery("matched", images),),
        "frequencies": tuple(
            Frequencies(s, rng.binomial(10, 0.7, 100), np.full(100, 10)) for s in ("original", "matched")
        ),
        "results": results(),
        "commands": ("newtest demo",),
    }
    return ReportInputs(**(full | changes))  # type: ignore[arg-type]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = build_report(inputs(), tmp_path / "1"), build_report(inputs(), tmp_path / "2")
    names = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file())
    assert [str(n) for n in names] == [
        ".newtest-made",
        "figures/.newtest-made",
        "figures/frequencies-2-matched.png",
        "figures/frequencies-2-matched.svg",
        "figures/scatter-1-matched.png",
        "figures/scatter-1-matched.svg",
        "figures/scatter-2-top.png",
        "figures/scatter-2-top.svg",
        "report.html",
        "report.json",
        "table.csv",
    ]
    assert len(one.figures) == len(two.figures) == 6
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_every_decimal_on_the_page_is_in_the_json(tmp_path: Path) -> None:
    files = build_report(inputs(), tmp_path)
    page = re.sub(r"<(style|svg).*?</\1>", "", files.html.read_text(), flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", page).replace("−", "-")
    numbers: list[float] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            [walk(item) for item in value.values()]
        elif isinstance(value, list):
            [walk(item) for item in value]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers.append(float(value))

    walk(json.loads(files.json.read_text()))
    shown = [m for m in re.findall(r"-?\d+\.\d{2,3}\b", text) if m != "0.1.0"]
    assert len(shown) > 60
    for number in shown:
        places = len(number.split(".")[1])
        assert any(f"{value:.{places}f}" in (number, number.lstrip("-")) for value in numbers), number


def test_hostile_text_is_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&"
    table = results()
    table["model"] = table["model"] + evil
    table["group"] = evil
    gallery = Gallery(
        evil, (GalleryImage(photo("red"), evil, 1, 2, evil), GalleryImage(b"<svg onload=x>", "no picture"))
    )
    files = build_report(
        inputs(
            title=evil,
            warnings=(evil,),
            galleries=(gallery,),
            results=table,
            facts=((evil, evil),),
            built=(BuiltSet(evil, evil, 1, ((evil, 1),)),),
        ),
        tmp_path,
    )
    page = files.html.read_text()
    assert "<script" not in page
    assert "onload=x" not in page
    assert "no picture" in page


def test_a_report_without_a_line_says_why(tmp_path: Path) -> None:
    files = build_report(inputs(results=results(3)), tmp_path)
    assert "at least 8 are needed" in files.html.read_text()
    assert json.loads(files.json.read_text())["comparisons"][0]["line"] is None


def test_models_that_are_left_out_are_named(tmp_path: Path) -> None:
    table = results()
    table.loc[(table["model"] == "model-0") & (table["set"] == "top"), "k"] = 0
    page = build_report(inputs(results=table), tmp_path).html.read_text()
    assert "Left out: model-0 (0 % on top is infinite on the logit scale)." in page


def test_a_report_of_facts_alone(tmp_path: Path) -> None:
    files = build_report(ReportInputs("Nothing yet"), tmp_path)
    assert files.table is None
    assert "Nothing yet" in files.html.read_text()


def test_an_unknown_original_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        EvaluationError, match="no results on the original set 'val'; sets are matched, original, top"
    ):
        build_report(inputs(original="val"), tmp_path)


def test_thumbnails_are_small_and_ours() -> None:
    uri = data_uri(photo("red", (4000, 3000)))
    assert uri is not None
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) < 4000
    assert data_uri(b"GIF89a but no") is None
    assert data_uri(photo("red", (10_000, 9_000))) is None, "too many pixels"


@pytest.mark.browser
def test_a_browser_opens_it_without_a_word(tmp_path: Path) -> None:
    if not CHROMIUM.exists():
        missing("no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    files = build_report(inputs(), tmp_path)
    heard: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on(
            "request",
            lambda request: heard.append(request.url) if not request.url.startswith("data:") else None,
        )
        page.goto(files.html.as_uri())
        assert heard == [files.html.as_uri()], "nothing but the page itself"
        assert page.locator("svg use title").first.text_content() == "model-0: 40.00 → 30.00"
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1180
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
    assert len(ids) == len(set(ids))
