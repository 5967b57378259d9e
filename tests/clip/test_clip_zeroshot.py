from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from newtest.clip.probe import ProbeConfig, ProbeResult, probe, shots_to_match
from newtest.clip.prompts import default_templates, fill, lint_names, lint_templates, read_lines
from newtest.clip.zeroshot import class_embeddings, retrieve, top_classes, zero_shot_logits
from newtest.errors import UsageError


def test_embeddings_are_averaged_not_probabilities() -> None:
    texts = np.array([[[3.0, 0.0], [0.0, 0.5]], [[-1.0, 0.0], [-1.0, 0.0]]])
    np.testing.assert_allclose(class_embeddings(texts), [[0.5**0.5, 0.5**0.5], [-1, 0]], atol=1e-6)
    logits = zero_shot_logits(np.array([[2.0, 0.0]]), class_embeddings(texts))
    np.testing.assert_allclose(logits, [[100 * 0.5**0.5, -100]], rtol=1e-5)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), k=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_predictions_know_no_scale_and_agree_with_a_sort(seed: int, scale: float, k: int) -> None:
    random = np.random.default_rng(seed)
    images, classes = random.normal(size=(20, 6)), random.normal(size=(7, 6))
    found = top_classes(images, classes, k)
    assert found.shape == (20, min(k, 7))
    np.testing.assert_array_equal(found, top_classes(images * scale, classes * scale, k))
    unit = classes / np.linalg.norm(classes, axis=1, keepdims=True)
    np.testing.assert_array_equal(found[:, 0], np.argmax(images @ unit.T, axis=1))


def test_the_inverse_direction_finds_the_best_images_for_a_text() -> None:
    images = np.eye(5)
    order, cosine = retrieve(np.array([[0.1, 0.9, 0.3, 0, 0]]), images, k=2)
    assert order.tolist() == [[1, 2]]
    assert cosine[0, 0] == pytest.approx(0.9 / np.sqrt(0.91))


def test_embeddings_that_cannot_be_used_are_named() -> None:
    with pytest.raises(UsageError, match="embedding 1 is zero"):
        zero_shot_logits(np.array([[1.0, 0], [0, 0]]), np.eye(2))
    with pytest.raises(UsageError, match="not of the same model"):
        zero_shot_logits(np.ones((1, 3)), np.eye(2))


def test_eighty_templates_of_our_own() -> None:
    templates = default_templates()
    assert len(templates) == len(set(templates)) == 80
    assert all(template.count("{}") == 1 for template in templates)
    assert lint_templates(templates, ["goldfish"]) == []
    assert fill(["a photo of a {}."], "great_white_shark") == ["a photo of a great white shark."]


def test_the_lint_finds_imagenets_cranes_and_maillots(data: Path) -> None:
    classes = json.loads((data / "imagenetv2" / "metadata" / "class_info.json").read_text())
    names = {entry["wnid"]: entry["synset"][0] for entry in classes}
    lemmas = {entry["wnid"]: entry["synset"] for entry in classes}
    findings = lint_names(names, lemmas)
    doubled = {
        f.message.split("named ")[1].split(":")[0].strip("'") for f in findings if f.kind == "same-name"
    }
    # CLIP lower-cases its texts, so the Cardigan (a corgi) and the cardigan (a garment) are one name as well.
    assert doubled == {"crane", "maillot", "cardigan"}
    assert any(f.kind == "other-lemma" for f in findings)


def test_the_lint_of_templates_and_files(tmp_path: Path) -> None:
    kinds = [
        f.kind for f in lint_templates(["photo of {}.", "a photo of a {}."], ["apple", "orange", "kite"])
    ]
    assert kinds == ["missing-article", "wrong-article"]
    (tmp_path / "t.txt").write_text("# ours\na photo of a {}.\n\n{} and {}\n")
    with pytest.raises(UsageError, match="must hold"):
        read_lines(tmp_path / "t.txt", templates=True)
    assert len(read_lines(tmp_path / "t.txt", templates=False)) == 2


def test_probes_learn_more_from_more_labels() -> None:
    digits = load_digits()
    x, y = digits.data[:1200], digits.target[:1200]
    tx, ty = digits.data[1200:], digits.target[1200:]
    results = probe(x, y, tx, ty, ProbeConfig(shots=(1, 4, 16, None, 5000), seeds=2, strengths=(1.0, 100.0)))
    means = {s: np.mean([r.accuracy for r in results if r.shots == s]) for s in (1, 4, 16, None)}
    assert means[1] < means[4] < means[16] < means[None]
    assert means[None] > 88 and {r.shots for r in results} == {1, 4, 16, None}
    again = probe(x, y, tx, ty, ProbeConfig(shots=(1,), seeds=1))
    assert again[0].k == next(r.k for r in results if r.shots == 1)
    assert shots_to_match(results, float(means[4])) == pytest.approx(4)
    assert shots_to_match(results, 100.0) is None


def test_shots_to_match_lies_between_on_a_log_scale() -> None:
    def at(shots: int, k: int) -> ProbeResult:
        return ProbeResult(shots, 0, 1.0, k, 100, np.empty(0, dtype=np.int64))

    assert shots_to_match([at(1, 20), at(4, 40)], 30.0) == pytest.approx(2.0)
    assert shots_to_match([at(1, 20), at(4, 40)], 10.0) == 1.0
