from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from newtest.clip.weights.ensemble import Outputs, compare_ensembles, mixed_outputs, read_outputs
from newtest.clip.weights.interpolate import interpolate
from newtest.errors import WeightsError


@given(seed=st.integers(0, 999), alphas=st.lists(st.floats(0.01, 0.99), max_size=3, unique=True))
@settings(max_examples=10, deadline=None)
def test_a_linear_model_has_the_same_ensemble_in_both_spaces(
    tmp_path_factory: pytest.TempPathFactory, seed: int, alphas: list[float]
) -> None:
    """WiSE-FT's Proposition 1, through the checkpoints that are written."""
    folder, random = tmp_path_factory.mktemp("linear"), np.random.default_rng(seed)
    for name in ("zs", "ft"):
        save_file({"w": random.normal(size=(6, 4))}, folder / f"{name}.safetensors")
    inputs, labels = random.normal(size=(50, 6)), random.integers(0, 4, 50)
    outputs = []
    for alpha in (0.0, 1.0, *alphas):
        interpolate(folder / "zs.safetensors", folder / "ft.safetensors", alpha, folder / "mix.safetensors")
        outputs.append((alpha, {"set": Outputs(inputs @ load_file(folder / "mix.safetensors")["w"], labels)}))
    ends = dict(outputs)
    for alpha, sets in outputs:
        mixed = mixed_outputs(ends[0]["set"], ends[1]["set"], alpha)
        np.testing.assert_allclose(sets["set"].logits, mixed.logits, atol=1e-10)
    for point in compare_ensembles(outputs):
        assert point.weight_space == point.output_space and point.agreement == 100


def test_a_model_that_is_not_linear_has_two_different_ensembles() -> None:
    """One hidden ReLU: w = -1 and 1 are equally good alone, and half way between the two is a dead network."""
    labels = np.array([0, 1])

    def outputs(w: float) -> dict[str, Outputs]:
        hidden = np.maximum(w * np.array([[1.0], [-1.0]]) * np.sign(w or 1), 0)
        return {"set": Outputs(hidden * abs(w) * np.array([[1.0, -1.0]]) + np.array([[-0.1, 0.1]]), labels)}

    points = compare_ensembles([(0.0, outputs(-1)), (0.5, outputs(0)), (1.0, outputs(1))])
    assert [p.alpha for p in points] == [0.0, 0.5, 1.0]
    assert (points[0].weight_space, points[2].weight_space) == (100, 100)
    assert (points[1].weight_space, points[1].output_space, points[1].agreement) == (50, 100, 50)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    one = Outputs(np.eye(3), np.arange(3))
    with pytest.raises(WeightsError, match="hold 0 and 1"):
        compare_ensembles([(0.0, {"a": one}), (0.5, {"a": one})])
    with pytest.raises(WeightsError, match="same labelled images"):
        mixed_outputs(one, Outputs(np.eye(3), np.zeros(3, int)), 0.5)
    with pytest.raises(WeightsError, match="alpha 1 has the sets b"):
        compare_ensembles([(0.0, {"a": one}), (1.0, {"b": one})])
    for arrays, complaint in (
        ({"a": np.eye(3)}, "holds no set"),
        ({"a": np.eye(3), "a.labels": np.arange(2)}, "wanted are"),
        ({"a": np.full((1, 2), np.nan), "a.labels": np.arange(1)}, "not finite"),
    ):
        np.savez(tmp_path / "x.npz", **arrays)
        with pytest.raises(WeightsError, match=complaint):
            read_outputs(tmp_path / "x.npz")
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(WeightsError, match="not a readable"):
        read_outputs(tmp_path / "x.npz")
