"""Files of predictions in the forms that other programs write them.

* timm's ``inference.py`` (huggingface/pytorch-image-models, commit 0041cb7): its ``save_results`` writes a DataFrame
  whose columns are filename, index, label and prob (or logit), as lists or one column a rank, by pandas' own writers.
  The DataFrame is built here as that script builds it, and written with the same calls.
* lm-evaluation-harness (EleutherAI, commit 034ab03): ``save_results_samples`` writes a JSON object a line, every
  response as text. The records here have the fields of its published samples.
* ``torch.save``, ``numpy.savez`` and pandas write the rest themselves.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.reading import read_predictions
from newtest.evaluation.scoring.score import Score, ScoreConfig, score
from newtest.evaluation.scoring.sets import EvaluationSet, make_set, read_set

N, K = 30, 5
CLASSES = [f"n{at:08d}" for at in (1440764, 1443537, 1484850, 1491361, 1494475, 1496331, 1498041)]
FILES = [f"val_{at:03d}.JPEG" for at in range(N)]
TRUTH = np.arange(N) % len(CLASSES)
PROBS = (
    np.random.default_rng(0).dirichlet(np.ones(len(CLASSES)), N)
    + 0.8 * np.eye(len(CLASSES))[np.where(np.arange(N) % 5 == 0, (TRUTH + 2) % len(CLASSES), TRUTH)]
)
RIGHT = int((PROBS.argmax(1) == TRUTH).sum())
ORDER = np.random.default_rng(1).permutation(N)
"""The file's rows are in another order than the set's."""


def the_set() -> EvaluationSet:
    frame = pd.DataFrame({"image_id": FILES, "wnid": [CLASSES[at] for at in TRUTH]})
    return make_set(frame, "s")


def scored(
    path: Path, evaluated: EvaluationSet | None = None, **options: object
) -> tuple[list[Score], list[Caution]]:
    evaluated = evaluated or the_set()
    found, said = read_predictions(path, evaluated, columns=options.pop("columns", ()))  # type: ignore[arg-type]
    scores, cautions = score(evaluated, found, ScoreConfig(**options))  # type: ignore[arg-type]
    return scores, [*said, *cautions]


def timm_frame(
    topk: int, *, separate: bool, index: bool = True, label: str | None = "name", output: str = "prob"
) -> pd.DataFrame:
    """As ``inference.py`` fills its ``data_dict``."""
    probs = PROBS[ORDER].astype(np.float32)
    indices = np.argsort(-probs, axis=1)[:, :topk]
    outputs = np.take_along_axis(probs, indices, axis=1) if topk else probs
    names = {"name": CLASSES, "description": [f"tabby, tabby cat no {at}" for at in range(len(CLASSES))]}
    labels = np.array(names[label], dtype=object)[indices] if label and topk else None
    data: dict[str, object] = {"filename": [FILES[at] for at in ORDER]}
    parts = {"index": indices if index and topk else None, "label": labels, output: outputs}
    for name, values in parts.items():
        if values is None:
            continue
        if separate and values.shape[-1] > 1:
            data |= {f"{name}_{at}": values[:, at] for at in range(values.shape[-1])}
        else:
            data[name] = list(values.squeeze(-1) if values.shape[-1] == 1 else values)
    return pd.DataFrame(data)


def timm_save(frame: pd.DataFrame, path: Path, form: str) -> Path:
    """As ``inference.py``'s ``save_results``."""
    if form == "parquet":
        frame.set_index("filename").to_parquet(path := path.with_suffix(".parquet"))
    elif form == "json":
        frame.set_index("filename").to_json(path := path.with_suffix(".json"), indent=4, orient="index")
    elif form == "json-records":
        frame.to_json(path := path.with_suffix(".json"), lines=True, orient="records")
    elif form == "json-split":
        frame.to_json(path := path.with_suffix(".json"), indent=4, orient="split", index=False)
    else:
        with np.printoptions(threshold=2**31):
            frame.to_csv(path := path.with_suffix(".csv"), index=False)
    return path


@pytest.mark.parametrize("form", ["parquet", "json", "json-records", "json-split", "csv"])
@pytest.mark.parametrize("topk", [1, K])
@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize(
    ("index", "label"), [(True, "name"), (False, "name"), (True, None), (True, "description")]
)
def test_timm_s_forms_are_one(
    tmp_path: Path, form: str, topk: int, separate: bool, index: bool, label: str | None
) -> None:
    frame = timm_frame(topk, separate=separate, index=index, label=label)
    scores, cautions = scored(timm_save(frame, tmp_path / "resnet50-224", form))
    assert [(s.model, s.k, s.n) for s in scores] == [("resnet50-224", RIGHT, N)], cautions
    assert not [caution for caution in cautions if caution.fatal]
    assert scores[0].kind == ("labels" if topk == 1 else "ranking")
    assert scores[0].key in ("filename", "its keys")
    assert (scores[0].top5_k is not None) == (topk == K)


@pytest.mark.parametrize("form", ["parquet", "json", "json-records", "json-split", "csv"])
@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("output", ["prob", "logit"])
def test_timm_s_whole_rows_of_outputs(tmp_path: Path, form: str, separate: bool, output: str) -> None:
    frame = timm_frame(0, separate=separate, label=None, output=output)
    scores, cautions = scored(timm_save(frame, tmp_path / "m", form))
    assert [(s.k, s.kind) for s in scores] == [(RIGHT, "scores")], cautions


@pytest.mark.parametrize("separate", [True, False])
def test_the_best_probabilities_without_their_classes_are_refused(tmp_path: Path, separate: bool) -> None:
    frame = timm_frame(len(CLASSES), separate=separate, index=False, label=None)
    scores, cautions = scored(timm_save(frame, tmp_path / "m", "csv"))
    assert scores == []
    assert "fall from left to right" in cautions[-1].message
    frame = timm_frame(K, separate=separate, index=False, label=None)
    scores, cautions = scored(timm_save(frame, tmp_path / "m", "csv"))
    assert scores == [] and cautions[-1].kind == "wrong-classes"


def test_a_pandas_index_is_the_key_of_a_set_and_of_predictions(tmp_path: Path) -> None:
    truth = pd.DataFrame({"wnid": [CLASSES[at] for at in TRUTH]}, index=pd.Index(FILES, name="photo"))
    truth.to_parquet(tmp_path / "set.parquet")
    answers = pd.DataFrame({"prediction": PROBS.argmax(1)[ORDER]}, index=[FILES[at] for at in ORDER])
    evaluated = read_set(tmp_path / "set.parquet")
    assert evaluated.images["image_id"].tolist() == FILES
    for write in ("parquet", "csv", "json"):
        path = tmp_path / f"m.{write}"
        getattr(answers, f"to_{write}")(path)
        scores, cautions = scored(path, evaluated)
        assert [(s.k, s.model) for s in scores] == [(RIGHT, "m")], (write, cautions)
        assert scores[0].key != "rows by position"
    shuffled = answers.reset_index(drop=True).sample(frac=1, random_state=3)
    shuffled.to_parquet(tmp_path / "shuffled.parquet")
    scores, cautions = scored(tmp_path / "shuffled.parquet", evaluated)
    assert scores == [] and cautions[0].kind == "missing-ids", "numbers of rows are not names of images"


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split", "table", "lines"])
def test_every_orientation_of_pandas_json(tmp_path: Path, orient: str) -> None:
    frame = pd.DataFrame({"image_id": FILES, "label": [CLASSES[at] for at in TRUTH], "m": PROBS.argmax(1)})
    frame = frame.iloc[ORDER].reset_index(drop=True)
    if orient == "lines":
        frame.to_json(path := tmp_path / "x.jsonl", orient="records", lines=True)
    else:
        frame.to_json(path := tmp_path / "x.json", orient=orient)  # type: ignore[call-overload]
    scores, cautions = scored(path)
    assert [(s.model, s.k, s.columns) for s in scores] == [("m", RIGHT, "m")], cautions
    assert "label (the truth)" in cautions[0].message


def lm_eval_sample(doc: int, answer: int, target: int, choices: int, name: str = "none") -> dict[str, object]:
    """A record as ``save_results_samples`` sanitises it: numbers and truth values of the responses are text."""
    likelihoods = [-3.0 - at for at in range(choices)]
    likelihoods[answer] = -0.5
    responses = [[str(value), "False"] for value in likelihoods]
    return {
        "doc_id": doc, "doc": {"query": "?", "gold": target}, "target": str(target),
        "arguments": {"gen_args_0": {"arg_0": "?", "arg_1": " a"}}, "resps": [[one] for one in responses],
        "filtered_resps": responses, "filter": name, "metrics": ["acc", "acc_norm"], "doc_hash": "0" * 64,
        "prompt_hash": "1" * 64, "target_hash": "2" * 64, "acc": float(answer == target), "acc_norm": 0.0,
    }  # fmt: skip


def test_lm_eval_s_samples(tmp_path: Path) -> None:
    folder = tmp_path / "google__gemma-2b"
    folder.mkdir()
    path = folder / "samples_arc_easy_2026-01-16T16-02-26.648276.jsonl"
    answers = PROBS.argmax(1)
    records = [lm_eval_sample(int(at), int(answers[at]), int(TRUTH[at]), len(CLASSES)) for at in ORDER]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    evaluated = read_set(path)
    assert (len(evaluated), evaluated.classes) == (N, tuple(str(at) for at in range(len(CLASSES))))
    scores, cautions = scored(path, evaluated)
    assert [(s.model, s.k, s.key) for s in scores] == [("google__gemma-2b", RIGHT, "doc_id")], cautions
    assert scores[0].k == sum(record["acc"] for record in records), "as lm-eval counts them"
    np.save(tmp_path / "labels.npy", TRUTH)
    assert scored(path, read_set(tmp_path / "labels.npy"))[0][0].k == RIGHT


def test_lm_eval_s_generated_answers_with_several_filters(tmp_path: Path) -> None:
    rows = []
    for at in range(8):
        for name, text in (("strict-match", "[invalid]" if at < 3 else "18"), ("flexible-extract", "18")):
            record = lm_eval_sample(at, 0, 0, 2, name) | {
                "target": "18", "resps": [["... #### 18"]], "filtered_resps": [text], "exact_match": text == "18",
            }  # fmt: skip
            rows.append(record)
    path = tmp_path / "samples_gsm8k_2026-01-16T16-02-26.648276.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    (tmp_path / "set.csv").write_text("id,class\n" + "".join(f"{at},18\n" for at in range(8)))
    evaluated = read_set(tmp_path / "set.csv", classes=("18", "19"))
    scores, _ = scored(path, evaluated, answers="name")
    assert sorted(s.k for s in scores) == [5, 8]


def test_torch_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    evaluated = the_set()
    logits = torch.from_numpy(PROBS)
    torch.save(logits.argmax(1), tmp_path / "labels.pt")
    torch.save(logits.half(), tmp_path / "logits.pt")
    torch.save(logits.topk(K).indices, tmp_path / "top5.pt")
    shuffled = {
        "logits": logits[ORDER],
        "labels": torch.from_numpy(TRUTH[ORDER]),
        "filenames": [FILES[a] for a in ORDER],
    }
    torch.save(shuffled, tmp_path / "dict.pt")
    torch.save({"resnet50": logits.argmax(1), "alexnet": logits.argmin(1)}, tmp_path / "models.pt")
    for name in ("labels", "logits", "top5", "dict"):
        scores, cautions = scored(tmp_path / f"{name}.pt", evaluated)
        assert [(s.model, s.k) for s in scores] == [(name, RIGHT)], (name, cautions)
    assert [s.model for s in scored(tmp_path / "models.pt", evaluated)[0]] == ["resnet50", "alexnet"]

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"logits": logits, "x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(Exception, match=r"evil\.pt: cannot be read as tensors alone"):
        read_predictions(tmp_path / "evil.pt", evaluated)
    assert not (tmp_path / "ran").exists()


def test_arrays_with_names_in_bytes_and_the_truth_beside(tmp_path: Path) -> None:
    names = np.array([FILES[at].encode() for at in ORDER])
    np.savez(tmp_path / "a.npz", logits=PROBS[ORDER], labels=TRUTH[ORDER], filenames=names)
    np.savez(
        tmp_path / "b.npz",
        prediction=np.array([CLASSES[at].encode() for at in PROBS.argmax(1)])[ORDER],
        ids=names,
    )
    np.savez(tmp_path / "c.npz", models=np.array([b"x"]), top1=PROBS.argmax(1)[None])
    for name, model in (("a", "a"), ("b", "b"), ("c", "x")):
        scores, cautions = scored(tmp_path / f"{name}.npz")
        assert [(s.model, s.k) for s in scores] == [(model, RIGHT)], cautions
