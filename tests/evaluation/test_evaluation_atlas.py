"""The atlas: published results read as they are, lines, who is off them, and the page in a browser."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from needs import missing
from scipy.special import expit

import newtest as nt
from newtest.cli import main
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation import (
    AtlasConfig,
    BoardConfig,
    LineConfig,
    build_atlas,
    fit_line,
    read_boards,
    read_results,
)
from newtest.evaluation.report.atlas_page import render_atlas
from newtest.evaluation.scoring.board import Board, board_rows, training_data

TIMM = """model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation
{rows}"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def lined(rows: int = 40, seed: int = 0, off: float = 0.0) -> pd.DataFrame:
    """A wide table of three sets on lines of ``val``; the last model is ``off`` logits above the second set's."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.2, 2.0, rows)
    table = pd.DataFrame({"model": [f"m{at}" for at in range(rows)], "val": 100 * expit(x)})
    for at in range(3):
        y = 0.9 * x - 0.3 * at - 0.2 + rng.normal(0, 0.05, rows)
        y[-1] += off if at == 1 else 0.0
        table[f"shift-{at}"] = 100 * expit(y)
    return table


def board(tmp_path: Path, rows: int = 40, off: float = 0.0) -> Path:
    path = tmp_path / "board.csv"
    lined(rows, off=off).to_csv(path, index=False)
    return path


def test_timm_with_several_configurations_speed_and_metadata(tmp_path: Path) -> None:
    """The form of huggingface/pytorch-image-models aa4b5850, results/results-imagenet.csv (a few rows)."""
    folder = tmp_path / "results"
    rows = (
        "eva02_large_patch14_448.mim_m38m_ft_in22k_in1k,448,90.056,9.944,99.054,0.946,305.08,1.000,bicubic\n"
        'convnextv2_large.fcmae_ft_in22k_in1k,288,87.494,12.506,98.360,1.640,"1,013.01",1.000,bicubic\n'
        "convnextv2_large.fcmae_ft_in22k_in1k,224,87.266,12.734,98.240,1.760,197.96,0.875,bicubic\n"
        "adv_inception_v3,299,77.590,22.410,93.736,6.264,23.83,0.875,bicubic\n"
    )
    write(folder / "results-imagenet.csv", TIMM.format(rows=rows))
    write(folder / "results-sketch.csv", TIMM.format(rows=rows.replace("90.056", "67.1")))
    write(folder / "benchmark-infer.csv", "model,infer_img_size,infer_samples_per_sec\ntest_vit,160,10\n")
    write(folder / "model_metadata-in1k.csv", "model,pretrain\nadv_inception_v3,in1k-adv\n")
    found = read_boards([folder])
    table = found.table[found.table["set"] == "imagenet"].set_index(["model", "config"])
    assert (
        table.loc[("convnextv2_large.fcmae_ft_in22k_in1k", "224 px, crop 0.875, bicubic"), "accuracy"]
        == 87.266
    )
    assert (
        table.loc[("convnextv2_large.fcmae_ft_in22k_in1k", "288 px, crop 1, bicubic"), "data"]
        == "in22k + in1k"
    )
    assert table.loc[("adv_inception_v3", "299 px, crop 0.875, bicubic"), "data"] == "in1k-adv"
    assert sorted(found.table["set"].unique()) == ["imagenet", "sketch"]
    assert len(found.table) == 8
    assert any(
        "speed" in str(caution) and "benchmark-infer.csv" in str(caution) for caution in found.cautions
    )
    assert read_boards([folder], BoardConfig("top5")).table["accuracy"].iloc[0] == 99.054


def test_open_clip_and_clip_benchmark_share_their_sets(tmp_path: Path) -> None:
    """The forms of mlfoundations/open_clip 89fb801f, docs/openclip_results.csv (first row, a few columns), and of
    LAION-AI/CLIP_benchmark 48de38c1, README.md and clip_benchmark/cli.py.
    """
    table = write(
        tmp_path / "openclip_results.csv",
        "name,pretrained,params (M),FLOPs (B),Average perf. on 38 datasets,ImageNet 1k,ImageNet v2\n"
        "ViT-H-14-378-quickgelu,dfn5b,986.71,1054.05,0.7079,0.8437,0.7833\n",
    )
    run = {
        "dataset": "wds/imagenet1k",
        "model": "ViT-B-32-quickgelu",
        "pretrained": "laion400m_e32",
        "task": "zeroshot_classification",
        "metrics": {"acc1": 0.62934, "acc5": 0.87, "mean_per_class_recall": 0.63},
        "language": "en",
    }
    runs = tmp_path / "runs"
    write(runs / "a.json", json.dumps(run))
    write(runs / "b.json", json.dumps({**run, "dataset": "imagenetv2", "metrics": {"acc1": 0.55}}))
    write(runs / "jp.json", json.dumps({**run, "language": "jp", "pretrained": "/disk/mine/laion2b_x.pt"}))
    write(
        runs / "voc.json", json.dumps({**run, "dataset": "voc", "metrics": {"mean_average_precision": 0.76}})
    )
    write(runs / "other.json", '{"a": 1}')
    found = read_boards([table, runs])
    cells = found.table.set_index(["model", "set"])
    assert cells.loc[("ViT-B-32-quickgelu laion400m_e32", "imagenet"), "accuracy"] == pytest.approx(62.934)
    assert cells.loc[("ViT-H-14-378-quickgelu dfn5b", "imagenet"), "accuracy"] == pytest.approx(84.37)
    assert cells.loc[("ViT-H-14-378-quickgelu dfn5b", "imagenetv2"), "data"] == "dfn5b"
    assert cells.loc[("ViT-B-32-quickgelu laion2b_x.pt", "imagenet1k (jp)"), "config"] == "zero-shot"
    said = " ".join(map(str, found.cautions))
    assert "params (M)" in said and "1 runs have no acc1" in said and "other.json" in said
    # alone, a source keeps its own names
    assert set(read_boards([table]).table["set"]) == {"ImageNet 1k", "ImageNet v2"}
    with pytest.raises(EvaluationError, match="neither CLIP_benchmark's JSON nor lm-eval's"):
        read_boards([runs / "other.json"])


def test_lm_eval_counts_its_questions(tmp_path: Path) -> None:
    """The form of EleutherAI/lm-evaluation-harness 4e7e0d47, lm_eval/loggers/evaluation_tracker.py and
    lm_eval/evaluator_utils.py.
    """
    value = {
        "results": {
            "arc_easy": {"name": "arc_easy", "alias": "arc_easy", "sample_len": 2376, "acc,none": 1559 / 2376,
                         "acc_stderr,none": 0.0097, "acc_norm,none": 0.59},
            "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.25, "exact_match,flexible-extract": 0.3},
            "mmlu": {"alias": "mmlu", "acc,none": 0.4, "acc_stderr,none": "N/A"},
            "wikitext": {"alias": "wikitext", "word_perplexity,none": 12.5},
        },
        "n-shot": {"arc_easy": 0, "gsm8k": 5},
        "n-samples": {"arc_easy": {"original": 2376, "effective": 2376}, "gsm8k": {"original": 8, "effective": 8}},
        "config": {"model": "hf", "model_args": "pretrained=org/name,dtype=float16"},
        "model_name": "org/name",
    }  # fmt: skip
    path = write(tmp_path / "org__name" / "results_2026-05-20T00-00-00.json", json.dumps(value))
    found = read_boards([path])
    rows = found.table.set_index("set")
    assert (rows.loc["arc_easy", "k"], rows.loc["arc_easy", "n"]) == (1559, 2376)
    assert rows.loc["gsm8k", "config"] == "5-shot, exact_match,strict-match"
    assert pd.isna(rows.loc["mmlu", "n"]) and rows.loc["mmlu", "accuracy"] == pytest.approx(40)
    assert set(rows["model"]) == {"org/name"} and "wikitext" in str(found.cautions[0])
    del value["model_name"], value["n-samples"], value["n-shot"]
    value["results"] = {"arc_easy": {"acc": 0.5, "acc_stderr": 0.01}}  # before 0.4
    old = read_boards([write(tmp_path / "old.json", json.dumps(value))]).table
    assert old["model"].tolist() == ["org/name"] and old["accuracy"].tolist() == [50.0]


def test_tags_say_the_training_data() -> None:
    assert training_data("fb_in22k_ft_in1k") == "in22k + in1k"
    assert training_data("laion2b_s34b_b79k") == "laion2b"
    assert training_data("clip_laion2b_soup_ft_in1k") == "laion2b + in1k"
    assert training_data("clip_ft_in1k") == "clip + in1k"
    assert training_data("a1h") == ""


def test_the_testbed_as_report_line_reads_it(data: Path) -> None:
    table = data / "testbed" / "robustness_top1s.csv"
    found = build_atlas(read_boards([table]), AtlasConfig(x=("val",), group="STANDARD"))
    y = "imagenetv2-matched-frequency-format-val"
    line = found.line(y)
    one = fit_line(read_results([table]), LineConfig(("val",), y, group="STANDARD"))
    assert (line.n, line.slopes[0], line.intercept) == pytest.approx((85, one.slope, one.fit.intercept))
    models = found.shift(y).set_index("model")
    theirs = one.models.set_index("model")
    shared = models.index.intersection(theirs.index)
    assert len(shared) == 335
    for name in ("rho", "rho_lo", "rho_hi"):
        assert models.loc[shared, name].to_numpy() == pytest.approx(theirs.loc[shared, name].to_numpy())
    assert models.index[models["off"]].tolist() == ["resnet50_clip_zeroshot", "vit_b_32_clip_zeroshot"]
    assert models.loc["resnet50_clip_zeroshot", "rho"] == pytest.approx(5.79, abs=0.005)
    # fewer classes: the original on these classes is the axis, and no shift of its own
    assert found.line("imagenet-a").axes == ("val-on-imagenet-a-classes",)
    assert not any(one.y.startswith("val") for one in found.lines)


def test_corruptions_are_axes_and_means(data: Path) -> None:
    table = data / "testbed" / "robustness_top1s.csv"
    config = AtlasConfig(
        x=("val", "imagenet-c.brightness.1_on-disk"),
        y=("imagenet-r", "corrupted"),
        group="STANDARD",
        means={"corrupted": "imagenet-c.*_on-disk"},
    )
    found = build_atlas(read_boards([table]), config)
    assert found.choices == (
        "val",
        "imagenet-c.brightness.1_on-disk",
        "val + imagenet-c.brightness.1_on-disk",
    )
    both = found.line("corrupted", found.choices[2])
    assert len(both.slopes) == 2 and both.r2 > found.line("corrupted", "val").r2
    frame = pd.read_csv(table)
    columns = [name for name in frame if name.startswith("imagenet-c.") and name.endswith("_on-disk")]
    mean = frame.set_index("model")[columns].mean(axis=1, skipna=False)
    table_y = found.shift("corrupted").set_index("model")["y"]
    assert table_y.to_numpy() == pytest.approx(mean[table_y.index].to_numpy())


def test_several_axes_are_one_fit(tmp_path: Path) -> None:
    """Two training distributions: each single axis sees one kind of model off the line, both together see none."""
    rng = np.random.default_rng(5)
    a, b = rng.uniform(0, 2, 60), rng.uniform(0, 2, 60)
    frame = pd.DataFrame(
        {"model": [f"m{at}" for at in range(60)], "one": expit(a) * 100, "two": expit(b) * 100}
    )
    frame["shift"] = 100 * expit(0.6 * a + 0.5 * b - 0.4 + rng.normal(0, 0.02, 60))
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    found = nt.atlas(path, ["one", "two"])
    both = found.line("shift", "one + two")
    assert both.slopes == pytest.approx((0.6, 0.5), abs=0.02) and both.r2 > 0.99
    assert found.line("shift", "one").r2 < 0.8


def test_false_alarms_are_as_rare_as_promised() -> None:
    """40 models on 3 lines, nobody off: any model is off in about 5 %. ``benchmarks/atlas.py`` has more."""
    alarms = 0
    for seed in range(30):
        rows = lined(seed=seed).melt(id_vars="model", var_name="set", value_name="accuracy")
        found = build_atlas(Board(board_rows(rows, "t")), AtlasConfig(x=("val",)))
        alarms += any(line.off(0.05).any() for line in found.lines)
    assert alarms <= 5


def test_one_shift_alone_corrects_for_less() -> None:
    rows = lined(off=0.2).melt(id_vars="model", var_name="set", value_name="accuracy")
    every, each = (
        build_atlas(Board(board_rows(rows, "t")), AtlasConfig(x=("val",), family=family)).line("shift-1")
        for family in ("atlas", "shift")
    )
    assert every.p_holm[39] == pytest.approx(3 * each.p_holm[39]) and each.p_holm[39] == pytest.approx(
        40 * each.p[39]
    )


def test_a_model_that_is_off_is_found_on_its_shift_alone(tmp_path: Path) -> None:
    found = nt.atlas(board(tmp_path, off=0.5), "val")
    assert [int(line.off(0.05).sum()) for line in found.lines] == [0, 1, 0]
    first = found.shift("shift-1").iloc[0]
    assert first["model"] == "m39" and first["off"] and first["rho"] > 5 and first["rho_lo"] > 0


def test_few_images_make_a_wide_interval_and_no_alarm(tmp_path: Path) -> None:
    """The same distance is nothing where a model has 100 images."""
    path = board(tmp_path, off=0.4)
    frame = pd.read_csv(path).melt(id_vars="model", var_name="set", value_name="accuracy")
    frame["n"] = np.where(frame["model"] == "m39", 100, 50_000)
    frame["k"] = (frame["accuracy"] / 100 * frame["n"]).round().astype(int)
    long = tmp_path / "long.csv"
    frame[["model", "set", "k", "n"]].to_csv(long, index=False)
    assert nt.atlas(path, "val").line("shift-1").off(0.05).sum() == 1
    found = nt.atlas(long, "val")
    assert found.line("shift-1").off(0.05).sum() == 0
    row = found.shift("shift-1").set_index("model").loc["m39"]
    assert row["counted"] and row["rho_hi"] - row["rho_lo"] > 10


def test_refusals_name_what_is_missing(tmp_path: Path) -> None:
    path = board(tmp_path, rows=6)
    with pytest.raises(EvaluationError, match="at least 8 are needed"):
        nt.atlas(path, "val")
    path = board(tmp_path)
    with pytest.raises(EvaluationError, match="no set 'vale' for `x`; there are val"):
        nt.atlas(path, "vale")
    with pytest.raises(EvaluationError, match="no model has the group"):
        nt.atlas(path, "val", config=AtlasConfig(group="STANDARD"))
    with pytest.raises(UsageError, match="`family`"):
        nt.atlas(path, "val", config=AtlasConfig(family="x"))
    frame = pd.read_csv(path).rename(columns={"val": "mine"})
    frame.loc[0, "shift-0"] = 0.0
    frame.to_csv(path, index=False)
    with pytest.raises(EvaluationError, match="which set is the original"):
        nt.atlas(path)
    found = nt.atlas(path, "mine")
    assert found.left_out("shift-0") == [("m0", "", "0 % on shift-0 is infinite on the logit scale")]


def test_a_cloud_that_bends_is_said(tmp_path: Path) -> None:
    x = np.linspace(0.1, 3, 60)
    frame = pd.DataFrame({"model": [f"m{at}" for at in range(60)], "val": 100 * expit(x)})
    frame["s"] = 100 * expit(0.4 * x**2 - 1)
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    assert nt.atlas(path, "val").line("s").curve > 0.9
    assert nt.atlas(board(tmp_path), "val").line("shift-0").curve < 0.2


@dataclass(frozen=True)
class Done:
    code: object
    out: str
    err: str


def newtest(*words: object) -> Done:
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["newtest", *map(str, words)]
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv = before
    return Done(code, out.getvalue(), err.getvalue())


def test_the_command_prints_writes_and_repeats_itself(tmp_path: Path) -> None:
    table, page = board(tmp_path, off=0.5), tmp_path / "atlas.html"
    given = ("report", "atlas", table, "--x", "val")
    first = newtest(*given, "--shift", "shift-1", "--out", page)
    assert first.code == 0 and "1 of 40 are off the line" in first.out
    before = page.read_bytes()
    value = json.loads(newtest(*given, "--out", page, "--json").out)
    assert page.read_bytes() == before
    assert [row["above"] for row in value["overview"]] == [0, 1, 0]
    shift = json.loads(newtest(*given, "--shift", "shift-1", "--json").out)
    assert shift["choices"]["val"]["models"][0]["model"] == "m39"
    strange = tmp_path / "mine.html"
    strange.write_text("mine")
    assert newtest(*given, "--out", strange).code != 0 and strange.read_text() == "mine"
    wrong = newtest(*given, "--images", "val=many")
    assert wrong.code == 2 and "whole number" in wrong.err


HOSTILE = [
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<!--<script>",
    "\"'&amp;`${1}",
    "名前 \u2028 \u202e",
]


def test_the_page_in_a_browser_with_hostile_names(tmp_path: Path) -> None:
    """Search, filters, hover and the details; names stay text; nothing is asked of anybody."""
    from playwright.sync_api import sync_playwright

    if not Path("/usr/bin/chromium").exists():
        missing("no Chromium here")
    frame = pd.read_csv(board(tmp_path, off=0.5))
    frame.loc[: len(HOSTILE) - 1, "model"] = HOSTILE
    frame["group"] = np.where(np.arange(len(frame)) % 2, "<b>odd</b>", "even")
    frame = frame.rename(columns={"shift-0": "</script><script>window.hit=1</script>"})
    path = tmp_path / "hostile.csv"
    frame.to_csv(path, index=False)
    page_file = tmp_path / "atlas.html"
    nt.atlas(path, "val", out=page_file, title="<script>window.hit=1</script>")
    with sync_playwright() as play:
        chrome = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chrome.new_page(viewport={"width": 390, "height": 844})
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        assert page.evaluate("window.hit") is None and said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        names = page.locator("#models button.model").all_inner_texts()
        assert len(names) == 40 and HOSTILE[1] in names
        titles = page.locator("#models thead th").all_inner_texts()
        assert titles[:2] == ["model", "group"] and titles[-1] == "reach", (
            "columns without a word are left out"
        )
        page.select_option("#shift", "shift-1")
        assert "1 above and 0 below" in page.inner_text("#verdict")
        page.check("#only")
        assert page.locator("#models tbody tr").count() == 1
        page.click("#models button.model")
        assert "m39" in page.inner_text("#side") and "yes" in page.inner_text("#side")
        box = page.locator("#ring").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert "m39" in page.inner_text("#tip")
        page.uncheck("#only")
        page.fill("#search", "onerror")
        assert page.locator("#models tbody tr").count() == 1
        page.fill("#search", "")
        page.select_option("#group", "<b>odd</b>")
        assert page.locator("#models tbody tr").count() == 20
        chrome.close()


def test_the_page_has_no_way_out_of_its_script(tmp_path: Path) -> None:
    frame = pd.read_csv(board(tmp_path))
    frame.loc[0, "model"] = HOSTILE[0]
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    html = render_atlas(nt.atlas(path, "val"))
    assert html.count("</script>") == 2 and HOSTILE[0] not in html
    assert "http://www.w3.org/2000/svg" in html and html.count("http") == html.count(
        "http://www.w3.org"
    ) + html.count("http-equiv")


def test_own_results_with_their_counts(tmp_path: Path) -> None:
    """Folders of evaluate beside a table, with their counts."""
    labels = np.arange(200) % 4
    np.save(tmp_path / "labels.npy", labels)
    rng = np.random.default_rng(0)
    for name in ("val", "new"):
        answers = {}
        for at in range(10):
            wrong = rng.random(200) < 0.1 + 0.06 * at
            answers[f"m{at}"] = np.where(wrong, (labels + 1) % 4, labels)
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}.npy", labels)
        nt.evaluate(tmp_path / name / f"{name}.npy", answers, out=tmp_path / "results")
    found = nt.atlas(tmp_path / "results", "val", config=AtlasConfig(scale="logit"))
    table = found.shift("new")
    assert len(table) == 10 and table["counted"].all()
