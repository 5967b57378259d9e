"""fastText's model computed for many captions at once gives the compiled fastText's answers, whatever the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.pool.filtering import language
from newtest.pool.filtering.language import detect
from newtest.pool.filtering.lid.batch import BatchModel
from newtest.pool.filtering.lid.detector import Detector
from newtest.pool.filtering.lid.label_tree import label_tree, probabilities
from newtest.pool.filtering.lid.model_file import Model, UnknownShape, read_model
from newtest.pool.filtering.lid.ngrams import Ngrams
from newtest.pool.filtering.lid.words import characters_of, parted

PIECES = [
    "the", "der", "и", "の", "👍🏽", "</s>", "a</s>", "__label__en", "\0", "\n", "\r\n", "\x1c", "\xa0", "\u3000",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.text(st.sampled_from("aeinrst ö"), max_size=80),
        st.text(st.characters(max_codepoint=127), max_size=60),
        st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> Path:
    return language._weights()


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return read_model(weights)


@pytest.fixture(scope="module")
def compiled() -> Callable[[str], str]:
    return language._compiled()


class Judge:
    """The compiled fastText, and what it was asked."""

    def __init__(self, compiled: Callable[[str], str]) -> None:
        self.compiled = compiled
        self.asked: list[str] = []

    def __call__(self, text: str) -> str:
        self.asked.append(text)
        return self.compiled(text)


@pytest.fixture
def judge(compiled: Callable[[str], str]) -> Judge:
    return Judge(compiled)


@pytest.fixture(scope="module")
def batch(model: Model) -> BatchModel:
    return BatchModel(model)


@pytest.fixture
def detector(batch: BatchModel, judge: Judge) -> Detector:
    return Detector(batch, judge)


def test_real_captions_get_the_same_languages_and_few_are_asked_about_one_by_one(
    captions: list[str], detector: Detector, judge: Judge
) -> None:
    expected = [judge.compiled(text) for text in captions]
    assert detector(captions) == expected
    assert len(judge.asked) < len(captions) / 200
    assert detect("fasttext", captions) == expected
    assert len(set(expected)) > 40


def test_other_texts_made_of_captions(captions: list[str], detector: Detector, judge: Judge) -> None:
    texts = [text.upper() for text in captions[:1000]]
    texts += [text[::-1] for text in captions[:1000]]
    texts += [f"{one}\n{other}" for one, other in pairwise(captions[:1000])]
    texts += [text[:4] for text in captions[:1000]]
    texts += [" ".join(captions[start : start + 40]) for start in range(0, 2000, 40)]
    foreign = [text for text in captions if not text.isascii()]
    texts += [f"{one} {other}" for one, other in zip(foreign, captions, strict=False)]
    assert detector(texts) == [judge.compiled(text) for text in texts]
    assert len(judge.asked) < len(texts) / 50


def test_unusual_texts(detector: Detector, judge: Judge) -> None:
    unusual = [
        "", " ", "\t\n\v\f\r\0", "</s>", "one </s> two", "__label__de", "__label__de Haus", "a__label__b",
        "\0und\0der\0", "\x1c\x1d\x85\xa0\u2028", "\ufeff\u200b", "<>", "< >", "<", "x", "Ж", "漢", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
        "a" * 5000, "ключ " * 700, "日本語" * 1000, "é" * 4096, "e\u0301" * 400, "word " * 100_000, "w" * 300_000,
    ]  # fmt: skip
    texts = unusual * 4
    assert detector(texts) == [judge.compiled(text) for text in texts]
    assert {text for text in unusual if "</s>" in text or len(text) > 4096} <= set(judge.asked)
    assert detector([]) == []
    assert detector(["", ""]) == [judge.compiled("")] * 2
    assert detector([""] * 100) == [judge.compiled("")] * 100


@settings(deadline=None, max_examples=60)
@given(texts=TEXTS)
def test_any_text(batch: BatchModel, compiled: Callable[[str], str], texts: list[str]) -> None:
    many = [*texts, *["and what follows is English"] * 64]  # as many as are worth a batch
    assert Detector(batch, compiled)(many) == [compiled(text) for text in many]


def test_another_kind_of_model_is_left_to_fasttext(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, captions: list[str]
) -> None:
    """fastText reads a classifier of format 11 without its n-grams, which gives other answers."""
    older = tmp_path / "lid.176.ftz"
    older.write_bytes(changed(weights.read_bytes(), 4, 11))
    with pytest.raises(UnknownShape, match="version 12"):
        read_model(older)
    monkeypatch.setattr(language, "_weights", lambda: older)
    answers = language._fasttext.__wrapped__()(captions[:500])
    one = language._compiled()
    assert answers == [one(text) for text in captions[:500]]
    assert answers != detect("fasttext", captions[:500])


def changed(data: bytes, place: int, number: int) -> bytes:
    """The file with another int32 at a place."""
    return data[:place] + number.to_bytes(4, "little", signed=True) + data[place + 4 :]


# What the file begins with: magic, version, twelve int32 and a double of arguments, then the dictionary's sizes.
ARGUMENTS = {"dim": 8, "wordNgrams": 28, "loss": 32, "model": 36, "bucket": 40, "minn": 44, "maxn": 48}
SIZES = {"entries": 64, "words": 68, "labels": 72, "kept n-grams": 84}


@pytest.mark.parametrize("name", [*ARGUMENTS, *SIZES])
@pytest.mark.parametrize("number", [-1, 0, 1, 3, 2**31 - 1])
def test_a_changed_header_is_refused(name: str, number: int, weights: Path, tmp_path: Path) -> None:
    data = weights.read_bytes()
    place = (ARGUMENTS | SIZES)[name]
    found = int.from_bytes(data[place : place + 4], "little", signed=True)
    (tmp_path / "changed.ftz").write_bytes(changed(data, place, number))
    if number == found or (name, number) in {("minn", 3), ("maxn", 3)}:
        read_model(tmp_path / "changed.ftz")
    else:
        with pytest.raises(UnknownShape):
            read_model(tmp_path / "changed.ftz")


@settings(deadline=None, max_examples=30)
@given(draw=st.data())
def test_a_truncated_or_damaged_file_is_read_or_refused(
    weights: Path, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    data = bytearray(weights.read_bytes())
    broken = tmp_path_factory.mktemp("broken") / "lid.ftz"
    broken.write_bytes(data[: draw.draw(st.integers(0, len(data) - 1))])
    with pytest.raises(UnknownShape):
        read_model(broken)
    place = draw.draw(st.one_of(st.integers(0, len(data) - 1), st.integers(0, 200_000)))
    data[place] ^= draw.draw(st.integers(1, 255))
    broken.write_bytes(data)
    try:
        found = read_model(broken)
    except UnknownShape:
        return
    assert found.inputs.shape == (len(found.words) + len(found.ngrams), 16)
    assert found.ngrams[:, 1].max() < len(found.inputs)


def test_the_model_is_lid_176(model: Model) -> None:
    assert (len(model.labels), model.labels[:3]) == (176, ("en", "ru", "de"))
    assert (model.words[0], model.shortest, model.longest) == (b"</s>", 2, 4)
    assert (model.inputs.shape, model.outputs.shape) == ((50_000, 16), (175, 16))


@pytest.fixture(scope="module")
def tables(model: Model) -> tuple[Ngrams, dict[int, int]]:
    return Ngrams(model), dict(model.ngrams.tolist())


def plain_hash(ngram: bytes) -> int:
    """FNV-1a with sign-extended bytes, a byte at a time."""
    value = 2166136261
    for byte in ngram:
        value = ((value ^ (byte if byte < 128 else byte + 0xFFFFFF00)) * 16777619) % 2**32
    return value


@settings(deadline=None, max_examples=60)
@given(
    text=st.lists(st.text(max_size=20), min_size=1, max_size=5)
    .map(" ".join)
    .filter(lambda text: text.split())
)
def test_ngrams_are_those_of_a_plain_reading(
    model: Model, tables: tuple[Ngrams, dict[int, int]], text: str
) -> None:
    ngrams, kept = tables
    distinct = parted([text]).distinct[1:]
    found = Counter(
        (word, row)
        for words, rows in ngrams.of(characters_of(distinct))
        for word, row in zip(words.tolist(), rows.tolist(), strict=True)
    )
    expected: Counter[tuple[int, int]] = Counter()
    for number, word in enumerate(distinct.to_pylist()):
        spelled = f"<{word.decode()}>"
        for start in range(len(spelled)):
            for end in range(start + model.shortest, min(start + model.longest, len(spelled)) + 1):
                row = kept.get(plain_hash(spelled[start:end].encode()) % model.buckets)
                if row is not None:
                    expected[number, row] += 1
    assert found == expected


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(0, 1000), min_size=2, max_size=12).map(
        lambda each: sorted(each, reverse=True)
    ),
    seed=st.integers(0, 100),
)
def test_the_tree_is_huffmans(counts: list[int], seed: int) -> None:
    tree = label_tree(counts)
    logits = np.random.default_rng(seed).normal(0, 2, (len(counts) - 1, 3)).astype(np.float32)
    expected = np.zeros((len(counts), 3))

    def go(node: int, so_far: np.ndarray, depth: int) -> int:
        """Write each label's probability; answers the sum of counts times depths."""
        if node < len(counts):
            expected[node] = so_far
            return counts[node] * depth
        right = 1 / (1 + np.exp(-logits[node - len(counts)].astype(np.float64)))
        left_child, right_child = tree.children[node - len(counts)]
        return go(left_child, so_far * (1 - right + 1e-5), depth + 1) + go(
            right_child, so_far * (right + 1e-5), depth + 1
        )

    weighted = go(2 * len(counts) - 2, np.ones(3), 0)
    assert weighted == least_weight(counts)
    found = probabilities(tree, logits.copy())
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-3)


def least_weight(counts: list[int]) -> int:
    """Huffman's optimum: the sum of what is merged when the two lightest are, again and again."""
    waiting, total = sorted(counts), 0
    while len(waiting) > 1:
        merged = waiting.pop(0) + waiting.pop(0)
        total += merged
        waiting = sorted([*waiting, merged])
    return total
