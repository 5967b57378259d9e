"""Which test images are in a training set: ids, pairs as decontaminate-pool writes them, a study's verdicts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pytest
from servers.images import made_photo

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.overlapping import overlapping
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.store import StoredSet, read_store


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return commands.newtest(*map(str, words))


def stored_of(images: pd.DataFrame, name: str = "new") -> StoredSet:
    correct = pd.DataFrame([[True] * len(images)], index=["m"])
    return StoredSet(name, "0" * 64, pd.DataFrame(), images, correct)


@pytest.fixture
def release() -> StoredSet:
    """Four images, as the manifest of a release names them; two of them in a tar."""
    files = [
        "images/n01/a.jpg",
        "images/n01/b.jpg",
        "shards/00000.tar#n02/c.jpg",
        "shards/00000.tar#n02/d.jpg",
    ]
    return stored_of(pd.DataFrame({"image_id": ["i0", "i1", "i2", "i3"], "class": "x", "file": files}))


def test_ids_places_and_tar_keys_are_known(release: StoredSet, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("i3\n\nimages/n01/a.jpg\nstranger\n")
    found = overlapping(release, tmp_path / "ids.txt")
    assert found.mask.tolist() == [True, False, False, True] and found.unknown == 1
    pairs = pd.DataFrame(
        {"uid": "0", "set": "sets/new", "image": ["images/n01/b.jpg", "shards/00000.tar:n02/c"]}
    )
    pairs.to_parquet(tmp_path / "clean.pairs.parquet")
    assert overlapping(release, tmp_path / "clean.pairs.parquet").mask.tolist() == [False, True, True, False]


def test_pairs_of_several_sets_are_told_apart(release: StoredSet, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    pairs = pd.DataFrame({"set": ["sets/old", "sets/new.npy", "sets/new.npy"], "image": ["i0", "1", "9"]})
    pairs.to_csv(path, index=False)
    found = overlapping(release, path)
    assert found.mask.tolist() == [False, True, False, False] and found.unknown == 1, "rows of the .npy"
    pairs.replace("sets/new.npy", "sets/other").to_csv(path, index=False)
    with pytest.raises(
        EvaluationError, match="pairs of sets/old, sets/other; none or several are called new"
    ):
        overlapping(release, path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ids.txt", "x1\nx2\n", "none of its 2 names is an image of new, first 'x1'"),
        ("ids.csv", "name\ni0\n", "have the column image or image_id"),
        ("missing.txt", None, "cannot be read as a list of ids"),
        (".", None, "a folder that is not a study"),
    ],
)
def test_what_cannot_be_used_is_said(
    name: str, text: str | None, said: str, release: StoredSet, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(EvaluationError, match=said):
        overlapping(release, tmp_path / name)


def test_a_study_that_compared_the_set_with_the_training_set(tmp_path: Path) -> None:
    """Real dedup: the pool's photos 0 to 7, a training set that holds 5 and 6 of them, byte for byte."""
    for folder, numbers in (("pool", range(8)), ("train", (5, 6, 20))):
        for number in numbers:
            place = tmp_path / folder / "n01443537" / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(made_photo(number))
    study = tmp_path / "study"
    for words in (
        ("collect", "--wnid", "n01443537", "--source", f"folder:{tmp_path / 'pool'}"),
        ("reference", "add", "train", "--images", tmp_path / "train"),
    ):
        done = run(*words, "--study", study)
        assert done.returncode == 0, done.stderr
    done = run("sample", "--strategy", "all", "--name", "whole", "--min-votes", 0, "--study", study)
    assert done.returncode == 0, done.stderr
    assert run("dedup", "--study", study).returncode == 0
    np.save(tmp_path / "m.npy", np.zeros(8, int))
    options = EvaluateConfig((tmp_path / "m.npy",), study=study, out=tmp_path / "results")
    assert evaluate("whole", options).scores
    [stored] = read_store(tmp_path / "results")
    mask = overlapping(stored, study).mask
    assert int(mask.sum()) == 2
    words = ("--results", tmp_path / "results", "--set", "whole", "--json")
    done = run("report", "shift", "--overlap", study, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["overlap"][0]["n_overlap"] == 2
    with pytest.raises(EvaluationError, match="with `training`: train"):
        overlapping(stored, study, "no-such")
    done = run("report", "shift")
    assert done.returncode == 2 and "give files of embeddings, or --overlap" in done.stderr
