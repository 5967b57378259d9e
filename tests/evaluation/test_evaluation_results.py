"""Tables of results as people write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.tables import accuracy_table
from newtest.evaluation.report.build import ReportInputs, build_report
from newtest.evaluation.scoring.results import Results, as_results, read_results


def read(path: Path, content: str, **options: object) -> Results:
    path.write_text(content, encoding="utf-8")
    return read_results([path], **options)  # type: ignore[arg-type]


def values(results: Results) -> dict[str, list[float]]:
    return {
        str(name): part["accuracy"].round(2).tolist()
        for name, part in results.table.groupby("set", sort=False)
    }


@pytest.mark.parametrize("missing", ["-", "n/a", "", "\u2013", "NA", "None", "?", "N/A"])
def test_a_missing_cell_does_not_take_its_set_with_it(tmp_path: Path, missing: str) -> None:
    results = read(tmp_path / "t.csv", f"model,val,v2\na,76.1,63.3\nb,80.2,{missing}\nc,70.0,55.5\n")
    assert values(results) == {"val": [76.1, 80.2, 70.0], "v2": [63.3, 55.5]}
    assert results.cautions == ()
    long = read(tmp_path / "l.csv", f"model,set,accuracy\na,v2,63.3\nb,v2,{missing}\n")
    assert long.table["accuracy"].isna().tolist() == [False, True]


def test_percent_signs_are_read(tmp_path: Path) -> None:
    results = read(tmp_path / "t.csv", "model,val,v2\na,76.1%,0.9 %\nb,80.2,0.5%\n")
    assert values(results) == {"val": [76.1, 80.2], "v2": [0.9, 0.5]}
    assert read(tmp_path / "l.csv", "model,set,accuracy\na,v2,0.5%\n").table["accuracy"].tolist() == [0.5]
    with pytest.raises(EvaluationError, match="set val: no accuracy is above 1"):
        read(tmp_path / "t.csv", "model,val,v2\na,.761,0.9 %\nb,.802,0.5%\n")
    with pytest.raises(EvaluationError, match=r"cell of 'b' is '0\.8': others have a percent sign"):
        read(tmp_path / "t.csv", "model,val\na,76.1%\nb,0.8\n")
    with pytest.raises(EvaluationError, match="percent signs; use `unit` percent"):
        read(tmp_path / "t.csv", "model,val\na,76.1%\n", unit="fraction")


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """pandas would call the second "val.1", and newtest would take it for a set."""
    with pytest.raises(EvaluationError, match="two columns are called 'val'"):
        read(tmp_path / "t.csv", "model,val,val\na,76.1,63.3\n")
    results = read(tmp_path / "t.csv", "model,accuracy,value\na,76.1,63.3\n")
    assert values(results) == {"accuracy": [76.1], "value": [63.3]}
    with pytest.raises(EvaluationError, match=r"a table is CSV, TSV or Parquet, not \.json"):
        read(tmp_path / "t.json", "[]")


@pytest.mark.parametrize(
    "name",
    [
        "FLOPs (G)",
        "latency_ms",
        "throughput (img/s)",
        "train_time_h",
        "#params",
        "Params (M)",
        "num_parameters",
        "FPS",
    ],
)
def test_costs_are_no_accuracies(tmp_path: Path, name: str) -> None:
    results = read(tmp_path / "t.csv", f"model,val,{name}\na,76.1,9\nb,70,12\n")
    assert values(results) == {"val": [76.1, 70.0]}
    assert results.cautions[0].message.startswith(f"columns that are not sets: {name} (")


def test_every_column_that_is_no_set_is_said_and_sets_choose(tmp_path: Path) -> None:
    content = (
        "Unnamed: 0,model,params_m,arch,img_size,val,top1_err,empty,huge\n"
        "0,a,25.6,cnn,224,76.1,23.9,,900\n1,b,86.6,vit,224,80.2,19.8,,901\n"
    )
    results = read(tmp_path / "t.csv", content)
    assert values(results) == {"val": [76.1, 80.2]}
    [caution] = results.cautions
    for said in (
        "Unnamed: 0",
        "params_m",
        "img_size",
        "top1_err",
        "arch (text, first 'cnn')",
        "empty (empty)",
        "huge (no",
    ):
        assert said in caution.message
    chosen = read(tmp_path / "t.csv", content, sets=["params_m"])
    assert (values(chosen), chosen.cautions) == ({"params_m": [25.6, 86.6]}, ())
    with pytest.raises(EvaluationError, match="no column 'v3'; there are Unnamed: 0, params_m"):
        read(tmp_path / "t.csv", content, sets=["v3"])
    with pytest.raises(EvaluationError, match="an accuracy of 901 cannot be"):
        read(tmp_path / "t.csv", content, sets=["huge"])


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ('"76,1"', "a comma"), ('"1,234"', "a comma"), ("1.234.567", "a comma"), ("2024-01-05", "a time"),
        ("05/01/2024", "a time"), ("12:30", "a time"), ("1 234", "a comma"), ("76_1", "a comma"), ("1'234", "a comma"),
        ('"76,1 %"', "a comma"), ("2024-01-05 10:00:00", "a time"),
    ],
)  # fmt: skip
def test_what_may_be_read_in_two_ways_is_refused_by_its_cell(tmp_path: Path, cell: str, why: str) -> None:
    for form in (f"model,val\na,70\nb,{cell}\n", f"model,set,accuracy\na,val,70\nb,val,{cell}\n"):
        with pytest.raises(EvaluationError, match=f"cell of 'b' is .*: {why}"):
            read(tmp_path / "t.csv", form)
    with pytest.raises(EvaluationError, match=f"cell of 'a' is .*: {why}"):
        read(tmp_path / "t.csv", f"model,val\na,{cell}\n")
    with pytest.raises(EvaluationError, match=f"column n: the cell of 'a' is .*: {why}"):
        read(tmp_path / "t.csv", f"model,set,k,n\na,val,3,{cell}\n")


def test_times_of_parquet_are_no_accuracies(tmp_path: Path) -> None:
    frame = pd.DataFrame({"model": ["a"], "val": pd.to_datetime(["2024-01-05"])})
    with pytest.raises(EvaluationError, match="a time is not an accuracy"):
        as_results(frame)
    assert as_results(frame.rename(columns={"val": "date"}).assign(val=70.0)).table["set"].tolist() == ["val"]


def test_a_word_among_numbers_is_said_and_leaves_its_set(tmp_path: Path) -> None:
    results = read(tmp_path / "t.csv", "model,val\na,70\nb,failed\nc,60\n")
    assert values(results) == {"val": [70.0, 60.0]}
    assert "set val: 1 cells are not numbers, first 'failed'" in results.cautions[0].message


def test_a_table_without_models_beside_the_testbed_s_types_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model_types.csv").write_text("model,type\na,STANDARD\n")
    with pytest.raises(EvaluationError, match=r"t\.csv: no column 'model'; columns are name, val"):
        read(tmp_path / "t.csv", "name,val\na,70\n")


def test_the_testbed_keeps_its_sets(data: Path) -> None:
    results = read_results([data / "testbed" / "robustness_top1s.csv"])
    frame = pd.read_csv(data / "testbed" / "robustness_top1s.csv")
    filled = [name for name in frame.columns if name != "model" and frame[name].notna().any()]
    assert set(results.table["set"]) == set(filled)


@pytest.mark.parametrize(
    "name", ["model", "group", "original lo", "original rank", "$x$", "_new", "猫", "../up", "n" * 300, " "]
)
def test_a_set_may_have_any_name(tmp_path: Path, name: str) -> None:
    share = np.linspace(0.3, 0.9, 10)
    rows = [
        {"model": f"m{at}", "set": which, "k": int(1000 * (s - drop)), "n": 1000}
        for which, drop in (("original", 0.0), (name, 0.1))
        for at, s in enumerate(share)
    ]
    table = as_results(pd.DataFrame(rows)).table
    found = accuracy_table(table, "original")
    assert len(found.columns) == len(set(found.columns)) == 2 + 3 + 5
    for original in ("original", name):
        files = build_report(
            ReportInputs(title="t", results=pd.DataFrame(rows), original=original), tmp_path / "r"
        )
        assert "80.00" in files.html.read_text(encoding="utf-8")
