"""What has no mean is told: tensors of whole numbers, and a prefix that a training framework puts before all names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from newtest.cli import main
from newtest.clip.weights.soups import uniform_soup
from newtest.errors import WeightsError


def test_whole_numbers_are_taken_from_one_checkpoint_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        tensors = {"w": np.full(2, number, np.float32), "steps": np.array([number], np.int64)}
        save_file(tensors, tmp_path / f"{number}.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv",
        ["newtest", "merge", "uniform", "1.safetensors", "2.safetensors", "--out", "m.safetensors", "--json"],
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr()
    assert "1 tensors of whole numbers are taken from one checkpoint: first 'steps'" in said.err
    assert json.loads(said.out)["whole_numbers"] == ["steps"]


def test_a_prefix_before_all_names_is_named(tmp_path: Path) -> None:
    tensors = {"a.w": np.ones(2, np.float32), "b": np.ones(1, np.float32)}
    save_file(tensors, tmp_path / "1.safetensors")
    save_file({f"model.{name}": value for name, value in tensors.items()}, tmp_path / "2.safetensors")
    with pytest.raises(WeightsError, match=r"`strip_prefix` takes 'model\.' off the names"):
        uniform_soup([tmp_path / "1.safetensors", tmp_path / "2.safetensors"], tmp_path / "m.safetensors")
