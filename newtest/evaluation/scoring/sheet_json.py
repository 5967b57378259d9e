"""Predictions as JSON: lists, objects, what pandas and timm write, JSON lines, and lm-eval's samples."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.names import is_answer, is_id
from newtest.evaluation.scoring.opening import read_text
from newtest.evaluation.scoring.sheet_table import sheets_of
from newtest.evaluation.scoring.sheets import Sheet, as_column, as_ids, by_length
from newtest.reading.jsons import parse_json
from newtest.reading.texts import lines_of

__all__ = ["json_sheets"]

_SHORT = 10
"""An object of lists of at most this many values may be image id -> ranking; longer lists are a model's answers."""
_SAMPLES = re.compile(r"samples_.+_\d{4}-\d\d-\d\dT[\d.:-]+")
"""How lm-eval names its files, in a folder with the model's name."""


def json_sheets(path: Path, stem: str) -> list[Sheet]:
    """The forms are those of docs/evaluation.md. Raises EvaluationError for any other."""
    text = read_text(path)
    if path.name.lower().removesuffix(".gz").endswith(".jsonl"):
        return _of_lines(path, stem, text)
    try:
        content = parse_json(text)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] == "{" and "\n{" in text:
            return _of_lines(path, stem, text)  # timm's json-records: lines in a .json
        raise EvaluationError(f"{path}: cannot be read as predictions ({error})") from error
    except (RecursionError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read as predictions ({type(error).__name__})") from error
    return _of_content(path, stem, content)


def _of_lines(path: Path, stem: str, text: str) -> list[Sheet]:
    records = []
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        try:
            records.append(parse_json(line))
        except (ValueError, RecursionError) as error:
            raise EvaluationError(f"{path}: line {number} is not JSON ({type(error).__name__})") from error
    return _of_records(path, stem, records)


def _of_records(path: Path, stem: str, records: Sequence[Any]) -> list[Sheet]:
    if not records:
        return []
    if not all(isinstance(record, dict) for record in records):
        raise EvaluationError(f"{path}: some of its lines are objects, and others are not")
    if all("doc_id" in record and "filtered_resps" in record for record in records):
        return _of_samples(path, stem, records)
    return sheets_of(_frame(records), path.name, stem)


def _frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = dict.fromkeys(name for record in records for name in record)
    return pd.DataFrame({name: _cells([record.get(name) for record in records]) for name in names})


def _cells(values: Sequence[Any]) -> pd.Series:
    """Cells as they are: pandas would make numbers of true, and times of nothing."""
    cells = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        cells[at] = value
    return pd.Series(cells, dtype=object)


def _of_content(path: Path, stem: str, content: Any) -> list[Sheet]:
    if isinstance(content, list):
        if content and all(isinstance(one, dict) for one in content):
            return _of_records(path, stem, content)
        return [Sheet(path.name, stem, {stem: as_column(content, f"{path}: {stem}")})] if content else []
    if not isinstance(content, dict) or not content:
        raise EvaluationError(
            f"{path}: a JSON of predictions is a list, or an object: model -> list, or image id -> answer"
        )
    if isinstance(content.get("data"), list) and ("columns" in content or "schema" in content):
        return _of_split(path, stem, content)
    kinds = {type(value) for value in content.values()}
    if kinds == {dict}:
        return _of_objects(path, stem, content)
    if dict in kinds:
        raise EvaluationError(f"{path}: some of its entries are objects, and others are not")
    if kinds == {list} and _are_columns(content):
        if len({len(values) for values in content.values()}) > 1:
            columns = {name: as_column(values, f"{path}: {name}") for name, values in content.items()}
            return by_length(path.name, stem, columns)
        return sheets_of(pd.DataFrame({n: _cells(v) for n, v in content.items()}), path.name, stem)
    return [
        Sheet(
            path.name,
            stem,
            {"its values": as_column(list(content.values()), f"{path}: {stem}")},
            {"its keys": as_ids(content, str(path))},
        )
    ]


def _are_columns(content: Mapping[str, Sequence[Any]]) -> bool:
    """Model -> answers (and perhaps a list of ids), not image id -> ranking."""
    longest = max(len(values) for values in content.values())
    return (longest > _SHORT or len(content) < longest or any(is_id(name) for name in content)) and not any(
        isinstance(values[0], dict) for values in content.values() if values
    )


def _of_split(path: Path, stem: str, content: Mapping[str, Any]) -> list[Sheet]:
    """pandas' ``split`` (columns, data, perhaps index) and ``table`` (schema, data)."""
    rows = content["data"]
    if "schema" in content:
        return _of_records(path, stem, rows)
    names = content["columns"]
    if not isinstance(names, list) or not all(isinstance(r, list) and len(r) == len(names) for r in rows):
        raise EvaluationError(f"{path}: its rows of 'data' do not fit its 'columns'")
    frame = pd.DataFrame({str(name): _cells([row[at] for row in rows]) for at, name in enumerate(names)})
    index = content.get("index")
    if isinstance(index, list) and len(index) == len(frame):
        frame.index = pd.Index(index)
    return sheets_of(frame, path.name, stem)


def _of_objects(path: Path, stem: str, content: Mapping[str, Mapping[str, Any]]) -> list[Sheet]:
    """Column -> row -> cell (pandas' default), image id -> record (timm's json), or model -> image id -> answer."""
    first = next(iter(content.values()))
    if any(is_id(name) for name in content) and all(set(part) == set(first) for part in content.values()):
        columns = {name: _cells([part[row] for row in first]) for name, part in content.items()}
        return sheets_of(pd.DataFrame(columns), path.name, stem)
    same = all(list(part) == list(first) for part in content.values())
    if same and not _is_record(content) and (_is_record(first) or _are_scores(content)):
        frame = _frame(list(content.values()))
        frame.index = pd.Index(list(content), name="its keys")
        return sheets_of(frame, path.name, stem)
    return [
        Sheet(
            path.name,
            stem,
            {"its values": as_column(list(answers.values()), f"{path}: {model}")},
            {"its keys": as_ids(answers, str(path))},
            "" if len(content) == 1 and is_answer(model) else str(model),
        )
        for model, answers in content.items()
    ]


_RECORD = {
    "index",
    "label",
    "prob",
    "logit",
    "prediction",
    "pred",
    "score",
    "top1",
    "class",
    "wnid",
    "target",
    "probs",
    "logits",
}


def _is_record(part: Mapping[str, Any]) -> bool:
    """Whether the keys are fields of a prediction rather than names of images."""
    return bool(part) and any(str(key).rstrip("0123456789_") in _RECORD for key in part)


def _are_scores(content: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether these are images with a score per class: fractions are not answers."""
    cells = [value for part in content.values() for value in part.values()]
    numbers = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
    return numbers and any(cell % 1 for cell in cells if np.isfinite(cell))


def _of_samples(path: Path, stem: str, records: Sequence[Mapping[str, Any]]) -> list[Sheet]:
    """lm-eval's samples: of multiple choice the choice with the largest log-likelihood, else the filtered text."""
    name = path.parent.name if _SAMPLES.fullmatch(stem) and path.parent.name else stem
    filters = list(dict.fromkeys(str(record.get("filter", "none")) for record in records))
    found = []
    for chosen in filters:
        part = [record for record in records if str(record.get("filter", "none")) == chosen]
        answers, open_answers = _responses(path, part)
        model = name if len(filters) == 1 else f"{name} ({chosen})"
        truth = {"target": as_column([record.get("target") for record in part], f"{path}: target")}
        if any(record.get("target") is None for record in part):
            truth = {}
        ids = {"doc_id": as_ids([record["doc_id"] for record in part], str(path))}
        columns = {"filtered_resps": answers, **truth}
        found.append(Sheet(path.name, stem, columns, ids, model, open_answers))
    return found


def _responses(path: Path, records: Sequence[Mapping[str, Any]]) -> tuple[Any, bool]:
    what = f"{path}: filtered_resps"
    given = [record["filtered_resps"] for record in records]
    if any(not isinstance(one, list) or not one for one in given):
        raise EvaluationError(f"{what}: a sample has no response")
    if all(all(_is_likelihood(choice) for choice in one) for one in given):
        # Tasks may have samples of different numbers of choices: the answer is the choice, not a row of scores.
        best = [int(np.argmax([float(choice[0]) for choice in one])) for one in given]
        return as_column(best, what), True
    texts = [one[0][0] if isinstance(one[0], list) and one[0] else one[0] for one in given]
    return as_column([str(text) for text in texts], what), True


def _is_likelihood(choice: Any) -> bool:
    if not isinstance(choice, list) or len(choice) != 2 or str(choice[1]) not in ("True", "False"):
        return False
    try:
        return bool(np.isfinite(float(choice[0]))) or str(choice[0]) == "-inf"
    except (TypeError, ValueError):
        return False
