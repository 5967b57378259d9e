"""WiSE-FT on a real network: trained on all photos, fine-tuned on half, interpolated, scored on both halves."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_clip import Half, halves, outputs_of, train

from newtest.clip.weights.curve import draw_alpha_curve
from newtest.clip.weights.ensemble import Outputs, accuracies, compare_ensembles
from newtest.clip.weights.sweep import SweepPoint, choose, sweep

ALPHAS = (0.0, 0.5, 1.0)
Run = tuple[list[SweepPoint], list[tuple[float, dict[str, Outputs]]]]


@pytest.fixture(scope="module")
def swept(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("wiseft")
    tuned, other = halves(data / "images", 40)
    before = train(folder, folder / "zs.safetensors", [tuned, other], steps=20)
    after = train(folder, folder / "ft.safetensors", [tuned], steps=15, start=before)
    sets: dict[str, Half] = {"in_distribution": tuned, "shifted": other}
    outputs: list[tuple[float, dict[str, Outputs]]] = []

    def score(checkpoint: Path) -> dict[str, float]:
        found = outputs_of(folder / "newtest-tinier.json", checkpoint, sets)
        outputs.append((ALPHAS[len(outputs)], found))
        return accuracies(found)

    return sweep(before, after, ALPHAS, folder / "wise", score=score), outputs


def test_half_way_keeps_what_fine_tuning_gains_and_forgets_less(swept: Run) -> None:
    before, half, after = (point.scores for point in swept[0])
    assert after["in_distribution"] >= before["in_distribution"]
    assert after["shifted"] < before["shifted"] - 15, "fine-tuning on one half forgets the other"
    assert half["in_distribution"] >= before["in_distribution"]
    assert half["shifted"] > after["shifted"] + 10
    assert choose(swept[0]).scores["in_distribution"] == max(p.scores["in_distribution"] for p in swept[0])


def test_the_two_ensembles_are_compared_and_drawn(swept: Run) -> None:
    points, outputs = swept
    compared = compare_ensembles(outputs)
    assert len(compared) == 6
    for one in compared:
        if one.alpha in (0, 1):
            assert one.weight_space == pytest.approx(one.output_space) and one.agreement == 100
        else:
            assert one.agreement > 50, "a fine-tuned network is not linear in its weights, but nearly"
    mixed: dict[float, dict[str, float]] = {}
    for one in compared:
        mixed.setdefault(one.alpha, {})[one.set] = one.output_space
    drawn = draw_alpha_curve([(p.alpha, p.scores) for p in points], 0.5, outputs=list(mixed.items()))
    assert "shifted, outputs mixed" in drawn.inline and drawn.png.startswith(b"\x89PNG")
