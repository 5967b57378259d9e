from __future__ import annotations

import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch

from newtest.clip.weights import (
    Ingredient,
    greedy_soup,
    interpolate,
    open_tensors,
    parse_alphas,
    torch_files,
    uniform_soup,
)
from newtest.clip.weights.soups import by_score, read_scores
from newtest.clip.weights.sweep import command_score, sweep
from newtest.errors import EvaluationError, UsageError, WeightsError
from newtest.evaluation.scoring.reading import read_sheets


def checkpoint(path: Path, seed: int, **extra: Any) -> Path:
    random = np.random.default_rng(seed)
    tensors = {
        "layer.weight": random.normal(size=(7, 5)).astype(np.float32),
        "layer.bias": random.normal(size=5).astype(np.float16),
        "scale": np.array(random.normal()),
        "steps": np.array([seed], dtype=np.int64),
        **extra,
    }
    save_file(tensors, path)
    return path


@pytest.fixture
def ends(tmp_path: Path) -> tuple[Path, Path]:
    return checkpoint(tmp_path / "a.safetensors", 1), checkpoint(tmp_path / "b.safetensors", 2)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_alpha_0_and_1_give_back_the_inputs_bit_for_bit(ends: tuple[Path, Path], suffix: str) -> None:
    for alpha, end in zip((0, 1), ends, strict=True):
        out = end.with_name(f"out{alpha}{suffix}")
        interpolate(*ends, alpha, out)
        found = load_file(out) if suffix == ".safetensors" else dict(np.load(out))
        expected = load_file(end)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == values.dtype and found[name].shape == values.shape
            assert found[name].tobytes() == values.tobytes()


def test_half_way_mixes_floats_and_copies_integers_from_the_fine_tuned(ends: tuple[Path, Path]) -> None:
    out = ends[0].with_name("half.safetensors")
    interpolate(*ends, 0.5, out)
    a, b, half = (load_file(path) for path in (*ends, out))
    np.testing.assert_allclose(half["layer.weight"], (a["layer.weight"] + b["layer.weight"]) / 2, rtol=1e-6)
    assert half["steps"] == b["steps"] != a["steps"]


def test_for_a_model_linear_in_its_weights_both_ensembles_agree(
    ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """WiSE-FT's Proposition 1: f(x; (1-a) t0 + a t1) = (1-a) f(x; t0) + a f(x; t1)."""
    inputs = np.random.default_rng(3).normal(size=(11, 7))
    for alpha in (0.1, 0.5, 0.85):
        interpolate(*ends, alpha, tmp_path / "mix.safetensors")
        z, f, mix = (
            inputs @ load_file(path)["layer.weight"].astype(float)
            for path in (*ends, tmp_path / "mix.safetensors")
        )
        np.testing.assert_allclose(mix, (1 - alpha) * z + alpha * f, atol=1e-6)


def test_bfloat16_is_rounded_as_torch_rounds_it(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4097, generator=random).to(torch.bfloat16) for _ in range(2))
    save_torch({"w": a}, tmp_path / "a.safetensors")
    save_torch({"w": b}, tmp_path / "b.safetensors")
    interpolate(tmp_path / "a.safetensors", tmp_path / "b.safetensors", 0.25, tmp_path / "c.safetensors")
    expected = (0.75 * a.double() + 0.25 * b.double()).float().to(torch.bfloat16)
    assert torch.equal(load_torch(tmp_path / "c.safetensors")["w"], expected)


def test_torch_state_dicts_and_npz_hold_the_same_tensors(tmp_path: Path, ends: tuple[Path, Path]) -> None:
    tensors = load_file(ends[0])
    torch.save(
        {"state_dict": {name: torch.tensor(value) for name, value in tensors.items()}}, tmp_path / "a.pt"
    )
    np.savez(tmp_path / "a.npz", **tensors)
    for other in ("a.pt", "a.npz"):
        uniform_soup([tmp_path / other], tmp_path / "copy.safetensors")
        copied = load_file(tmp_path / "copy.safetensors")
        assert all(copied[name].tobytes() == value.tobytes() for name, value in tensors.items())


def test_a_torch_file_is_mapped_anew_so_that_memory_does_not_grow_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(0)
    tensors = {f"w{n}": torch.randn(1000, generator=random).to(torch.bfloat16) for n in range(3)}
    tensors["across"] = torch.randn(40, 30, generator=random).T
    torch.save(tensors, tmp_path / "a.pt")
    monkeypatch.setattr(torch_files, "MAPPED", 500)
    monkeypatch.setattr(torch_files, "PIECE", 100)
    mapped: list[Path] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **how: mapped.append(path) or load(path, **how))
    uniform_soup([tmp_path / "a.pt"], tmp_path / "copy.safetensors")
    found = load_torch(tmp_path / "copy.safetensors")
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    assert 14 <= len(mapped) <= 18, "after three of 30 pieces of bfloat16, after two of 12 of float32"


def test_a_checkpoint_that_runs_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "pwned",))

    torch.save({"w": torch.zeros(2), "x": Hostile()}, tmp_path / "evil.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Hostile()))
    np.savez(tmp_path / "evil.npz", w=np.array([Hostile()], dtype=object))
    several = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 2) + b"PK\x05\x06" + bytes(18)  # one part of two
    (tmp_path / "part.pt").write_bytes(bytes(30) + several)
    for name, complaint in (
        ("evil.pt", "refused"),
        ("old.pt", "not a PyTorch checkpoint"),
        ("part.pt", "not a PyTorch checkpoint"),
        ("evil.npz", "Python objects"),
    ):
        with pytest.raises(WeightsError, match=complaint):
            open_tensors(tmp_path / name)
    assert not (tmp_path / "pwned").exists()


def test_differences_are_listed(tmp_path: Path, ends: tuple[Path, Path]) -> None:
    other = checkpoint(
        tmp_path / "c.safetensors", 2, head=np.zeros(3, np.float32), steps=np.zeros(2, np.int32)
    )
    with pytest.raises(WeightsError) as caught:
        interpolate(ends[0], other, 0.5, tmp_path / "out.safetensors")
    assert "only in c.safetensors: head" in str(caught.value)
    assert "steps (I64 [1] against I32 [2])" in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


@given(data=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_damaged_files_are_said_to_be_damaged(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("damaged") / "x.safetensors"
    path.write_bytes(len(data).to_bytes(8, "little") + data)
    try:
        tensors = open_tensors(path).tensors
    except WeightsError:
        return
    assert all(isinstance(name, str) and info.num_bytes <= len(data) for name, info in tensors.items())


def test_a_file_cut_short_is_refused(ends: tuple[Path, Path]) -> None:
    ends[0].write_bytes(ends[0].read_bytes()[:-3])
    with pytest.raises(WeightsError, match="does not lie where the header says"):
        open_tensors(ends[0])


def test_alphas() -> None:
    assert parse_alphas("0:1:.05") == tuple(round(0.05 * i, 2) for i in range(21))
    assert parse_alphas("1,0,0.5") == (0.0, 0.5, 1.0)
    for wrong in ("0:2:1", "a", "0:1:0", "1:0:.1", "nan", "0:1:1e-9"):
        with pytest.raises(UsageError):
            parse_alphas(wrong)


def test_the_published_order_of_the_greedy_soup(data: Path) -> None:
    rows = [
        json.loads(line)
        for line in (data / "soups" / "individual_model_results.jsonl").read_text().splitlines()
    ]
    ingredients = [Ingredient(row["model_name"], Path(), row["ImageNet2p"]) for row in rows]
    assert [i.name for i in by_score(ingredients)[:5]] == [
        "model_43",
        "model_44",
        "model_69",
        "model_48",
        "model_63",
    ]


@pytest.fixture
def kitchen(tmp_path: Path) -> tuple[list[Ingredient], Any]:
    """Models of one weight; the held-out score is best at 1, so that what is added can be worked out by hand."""
    values = {"low": 0.4, "near": 0.9, "above": 1.3, "far": 3.0, "twin": 0.9}

    def score(path: Path) -> float:
        return -abs(float(load_file(path)["w"][0]) - 1)

    ingredients = []
    for name, value in values.items():
        path = tmp_path / f"{name}.safetensors"
        save_file({"w": np.array([value])}, path)
        ingredients.append(Ingredient(name, path, score(path)))
    return ingredients, score


def test_the_greedy_soup_keeps_what_does_not_lower_the_score(
    kitchen: tuple[list[Ingredient], Any], tmp_path: Path
) -> None:
    ingredients, score = kitchen
    steps = greedy_soup(ingredients, score, tmp_path / "soup.safetensors", log=tmp_path / "log.jsonl")
    # near .9 alone; its twin changes nothing and stays; above gives 1.0333; low .875 and far lower the score.
    assert [(step.tried, step.added) for step in steps] == [
        ("near", True), ("twin", True), ("above", True), ("low", False), ("far", False),
    ]  # fmt: skip
    assert load_file(tmp_path / "soup.safetensors")["w"][0] == pytest.approx((0.9 + 0.9 + 1.3) / 3)


def test_a_greedy_soup_goes_on_where_it_was_killed(
    kitchen: tuple[list[Ingredient], Any], tmp_path: Path
) -> None:
    ingredients, score = kitchen
    asked: list[float] = []

    def failing(path: Path) -> float:
        asked.append(score(path))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return asked[-1]

    out, log = tmp_path / "soup.safetensors", tmp_path / "log.jsonl"
    with pytest.raises(KeyboardInterrupt):
        greedy_soup(ingredients, failing, out, log=log)
    with open(log, "a") as handle:
        handle.write('{"half a li')
    steps = greedy_soup(ingredients, failing, out, log=log)
    assert len(asked) == 5  # the one that was interrupted is asked again, no other
    whole = greedy_soup(ingredients, score, tmp_path / "again.safetensors", log=tmp_path / "log2.jsonl")
    assert steps == whole
    assert out.read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    assert log.read_text() == (tmp_path / "log2.jsonl").read_text()
    with pytest.raises(WeightsError, match="other ingredients"):
        greedy_soup(ingredients[1:], score, out, log=log)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200_000,
        b'{"w":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}',
    ],
)
def test_a_hostile_safetensors_header_is_one_sentence(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"0000")
    with pytest.raises(WeightsError, match=r"header|does not lie"):
        open_tensors(path)


def test_half_a_surrogate_in_a_name_is_a_replacement_character(tmp_path: Path) -> None:
    header = b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"0000")
    assert list(open_tensors(path).tensors) == ["\ufffd"]


def test_tensors_that_claim_more_than_is_stored_are_refused(tmp_path: Path) -> None:
    """One number with a stride of 0 is a tensor of any size: a few hundred bytes that ask for 40 TB."""
    for name, tensor in (
        ("vast", torch.zeros(1).expand(10**13)),
        ("sparse", torch.eye(3).to_sparse()),
        ("nowhere", torch.zeros(3, device="meta")),
    ):
        torch.save({name: tensor}, tmp_path / "x.pt")
        with pytest.raises(WeightsError, match=name):
            open_tensors(tmp_path / "x.pt")


def test_damaged_and_strange_npz_are_one_sentence(tmp_path: Path) -> None:
    path, out = tmp_path / "x.npz", tmp_path / "out.safetensors"
    for compress in (np.savez, np.savez_compressed):
        compress(path, w=np.arange(200_000.0))
        damaged = bytearray(path.read_bytes())
        damaged[1000:1010] = bytes(10)
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="'w' is damaged"):
            uniform_soup([path, path], out)
    np.savez(path, w=np.arange(3.0))
    encrypted = bytearray(path.read_bytes())
    encrypted[6] |= 1
    encrypted[encrypted.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(WeightsError, match="encrypted"):
        open_tensors(path)
    for member, shape, words in (("w", (1,), "w is not an array"), ("w.npy", (-5,), "the shape")):
        with zipfile.ZipFile(path, "w") as archive, archive.open(member, "w") as stream:
            np.lib.format.write_array_header_1_0(
                stream, {"descr": "<f8", "fortran_order": False, "shape": shape}
            )
        with pytest.raises(WeightsError, match=words):
            open_tensors(path)
    assert not out.exists()


def test_scores_that_are_no_numbers_choose_nothing(tmp_path: Path, ends: tuple[Path, Path]) -> None:
    (tmp_path / "scores.json").write_text('{"a": NaN}')
    with pytest.raises(WeightsError, match="the score of a is nan"):
        read_scores(tmp_path / "scores.json")
    measure = command_score(f"{sys.executable} -c 'print(\"NaN\")' {{checkpoint}}")
    with pytest.raises(WeightsError, match="finite"):
        measure(ends[0])


def test_scores_of_another_command_are_not_taken_over(tmp_path: Path, ends: tuple[Path, Path]) -> None:
    def scored(value: float, command: str) -> list[float]:
        points = sweep(
            *ends, (0.0, 1.0), tmp_path / "s", score=lambda _: {"in_distribution": value}, scored_by=command
        )
        return [point.scores["in_distribution"] for point in points]

    assert scored(1.0, "first") == [1.0, 1.0]
    assert scored(2.0, "first") == [1.0, 1.0]
    assert scored(3.0, "mended") == [3.0, 3.0]
    some = [Ingredient(path.name, path, 1.0) for path in ends]
    log, out = tmp_path / "log.jsonl", tmp_path / "soup.safetensors"
    greedy_soup(some, lambda _: 1.0, out, log=log, scored_by="first")
    with pytest.raises(WeightsError, match="other ingredients or scores"):
        greedy_soup(some, lambda _: 1.0, out, log=log, scored_by="mended")


def test_small_torch_files_that_ask_for_much_are_refused(tmp_path: Path) -> None:
    """A pickle of 40 bytes that asks for 2 GiB, one that would run a program, and a packed record."""
    torch.save({"w": torch.zeros(4)}, tmp_path / "good.pt")
    cases = {
        "bytearray": (zipfile.ZIP_STORED, b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."),
        "never run": (zipfile.ZIP_STORED, b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."),
        "characters": (zipfile.ZIP_STORED, b"\x80\x02ctorch._utils\n_rebuild" + b"[" * 20_000 + b"\nR."),
        "newline": (
            zipfile.ZIP_STORED,
            b"\x80\x02ctorch._utils\n_rebuild" + b"[" * 20_000,
        ),  # torch took 10 s and more
        "instructions": (zipfile.ZIP_STORED, b"\x80\x02" + b"(" * 2_100_000 + b"."),
        "holds itself": (zipfile.ZIP_STORED, b"\x80\x02]q\x00h\x00a."),  # found by fuzzing: 20 GB as an array
        "without sharing": (
            zipfile.ZIP_STORED,
            b"\x80\x02]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(40)) + b".",
        ),
        "inside each other": (zipfile.ZIP_STORED, b"\x80\x02" + b"]" * 5_000 + b"a" * 4_999 + b"."),
        "is packed": (zipfile.ZIP_DEFLATED, b"\x80\x02}." + bytes(1 << 20)),
    }
    for said, (packing, pickled) in cases.items():
        path = tmp_path / "x.pt"
        with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(path, "w", packing) as archive:
            for name in good.namelist():
                archive.writestr(name, pickled if name.endswith("/data.pkl") else good.read(name))
        with pytest.raises(WeightsError, match=said):
            open_tensors(path)
        with pytest.raises(EvaluationError, match=r"x\.pt"):
            read_sheets(path)
