"""Checkpoints as training scripts leave them: brought together by an option that the error names, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from commands import invoke
from safetensors.torch import load_file, save_file

from newtest.clip.torch_runtime import library
from newtest.clip.weights import MergeConfig, greedy_soup, interpolate, opened, uniform_soup
from newtest.clip.weights.soups import Ingredient
from newtest.clip.weights.sweep import sweep
from newtest.errors import UsageError, WeightsError


def state(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(3, 2, generator=random).to(dtype), "bn.running_var": torch.ones(2, dtype=dtype)}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    torch.save(state(1), tmp_path / "a.pt")
    torch.save(state(2), tmp_path / "b.pt")
    return tmp_path


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def soup(shop: Path, other: Path, **config: Any) -> dict[str, torch.Tensor]:
    out = shop / "out.safetensors"
    uniform_soup([shop / "a.pt", other], out, MergeConfig(**config))
    found = load_file(out)
    out.unlink()
    return found


MEAN = (state(1)["w"] + state(2)["w"]) / 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_numbers_that_are_none_are_refused_by_key(shop: Path, dtype: torch.dtype, value: float) -> None:
    bad, good = state(2, dtype), state(1, dtype)
    bad["w"][2, 1] = value
    paths = [saved(shop / "good.pt", good), saved(shop / "bad.pt", bad)]
    out = shop / "out.safetensors"
    for merge in (
        lambda: uniform_soup(paths, out),
        lambda: uniform_soup(paths[1:], out),
        lambda: interpolate(*paths, 0.5, out),
        lambda: interpolate(*paths, 1, out),
    ):
        with pytest.raises(
            WeightsError, match=r"bad.pt: tensor 'w' holds NaN or infinity.*`allow_nonfinite`"
        ):
            merge()
    assert not out.exists()
    uniform_soup(paths, out, MergeConfig(allow_nonfinite=True))
    assert not load_file(out)["w"].isfinite().all()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_named_and_taken_off(shop: Path, prefix: str) -> None:
    wrapped = saved(shop / "wrapped.pt", {f"{prefix}{key}": value for key, value in state(2).items()})
    with pytest.raises(WeightsError, match=r"not the same architecture.*`strip_prefix` takes") as caught:
        soup(shop, wrapped)
    found = [one for one in ("module.", "_orig_mod.") if repr(one) in str(caught.value).split(";")[-1]]
    assert soup(shop, wrapped, strip_prefix=tuple(found))["w"].equal(MEAN)


def test_a_compiled_part_keeps_its_place(shop: Path) -> None:
    part = {"body._orig_mod.w": torch.ones(2)}
    paths = [saved(shop / "part.pt", part), saved(shop / "plain.pt", {"body.w": torch.zeros(2)})]
    merged = opened(paths, MergeConfig(strip_prefix=("_orig_mod.",)))
    assert list(merged.tensors) == ["body.w"]
    twice = saved(shop / "twice.pt", {"module.w": torch.ones(2), "w": torch.ones(2)})
    with pytest.raises(WeightsError, match="would both be 'w'"):
        opened([twice], MergeConfig(strip_prefix=("module.",)))


@pytest.mark.parametrize("kept", ["state_dict", "model_state_dict", "model", "module", "anything"])
def test_the_state_dict_of_a_training_script_is_found(shop: Path, kept: str) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    nested = saved(shop / "n.pt", {"epoch": 3, kept: state(2), "optimizer": optimizer})
    assert soup(shop, nested)["w"].equal(MEAN)
    [_, about] = opened([shop / "a.pt", nested]).sources
    assert (about.state, about.other_states) == (kept, ())


def test_of_several_states_one_is_used_and_the_others_are_said(shop: Path) -> None:
    both = saved(shop / "both.pt", {"state_dict_ema": state(3), "state_dict": state(2)})
    [about] = opened([both]).sources
    assert (about.state, about.other_states) == ("state_dict", ("state_dict_ema",))
    assert soup(shop, both)["w"].equal(MEAN)
    averaged = soup(shop, both, state="state_dict_ema")["w"]
    assert averaged.equal((state(1)["w"] + state(3)["w"]) / 2)
    with pytest.raises(WeightsError, match=r"2 state dicts .* and no 'ema'; choose one with `state`"):
        soup(shop, both, state="ema")
    unknown = saved(shop / "unknown.pt", {"student": state(2), "teacher": state(3)})
    with pytest.raises(
        WeightsError, match=r"holds 2 state dicts .student, teacher.; choose one with `state`"
    ):
        soup(shop, unknown)
    assert soup(shop, unknown, state="student")["w"].equal(MEAN)
    strange = saved(shop / "strange.pt", {"state_dict": {**state(2), "step": 3}})
    with pytest.raises(WeightsError, match=r"holds no state dict.*'state_dict' is one but for 'step'"):
        soup(shop, strange)


@pytest.mark.parametrize(
    ("one", "other", "written"),
    [
        (torch.float32, torch.float16, torch.float32),
        (torch.float16, torch.bfloat16, torch.float32),
        (torch.bfloat16, torch.float64, torch.float64),
    ],
)
def test_mixed_precision_is_asked_for(
    shop: Path, one: torch.dtype, other: torch.dtype, written: torch.dtype
) -> None:
    paths = [saved(shop / "one.pt", state(1, one)), saved(shop / "other.pt", state(2, other))]
    out = shop / "out.safetensors"
    with pytest.raises(WeightsError, match="`mixed_precision` mixes them"):
        uniform_soup(paths, out)
    uniform_soup(paths, out, MergeConfig(mixed_precision=True))
    exact = (state(1, one)["w"].double() + state(2, other)["w"].double()) / 2
    assert load_file(out)["w"].dtype == written and load_file(out)["w"].equal(exact.to(written))
    interpolate(*paths, 1, shop / "end.safetensors", MergeConfig(mixed_precision=True))
    assert load_file(shop / "end.safetensors")["w"].equal(state(2, other)["w"].to(written))
    whole = saved(
        shop / "whole.pt", {"w": torch.ones(3, 2, dtype=torch.int32), "bn.running_var": torch.ones(2)}
    )
    with pytest.raises(WeightsError, match="`copy` takes"):
        soup(shop, whole, mixed_precision=True)


def test_a_new_head_and_extra_buffers(shop: Path) -> None:
    start = {**state(1), "head.weight": torch.zeros(10, 2), "position_ids": torch.arange(5)}
    tuned = {**state(2), "head.weight": torch.ones(7, 2), "head.bias": torch.ones(7)}
    paths = [saved(shop / "start.pt", start), saved(shop / "tuned.pt", tuned)]
    out = shop / "out.safetensors"
    with pytest.raises(WeightsError, match=r"head.bias.*`copy` takes tensors .*`skip` leaves them out"):
        interpolate(*paths, 0.5, out)
    config = MergeConfig(copy=("head.*",), skip=("position_ids",))
    merged = interpolate(*paths, 0.5, out, config)
    found = load_file(out)
    assert found.keys() == {"w", "bn.running_var", "head.weight", "head.bias"}
    assert found["w"].equal(MEAN) and found["head.weight"].equal(torch.ones(7, 2))
    assert merged.sources[0].skipped == ("position_ids",) and set(merged.copied) == {
        "head.weight",
        "head.bias",
    }
    uniform_soup(paths, out, config)
    assert load_file(out)["head.weight"].shape == (10, 2), "a soup's comes from the first that has it"
    with pytest.raises(WeightsError, match="no tensor is left"):
        uniform_soup(paths, out, MergeConfig(skip=("*",)))


def test_other_options_are_another_sweep_and_another_soup(shop: Path) -> None:
    ends = (shop / "a.pt", shop / "b.pt")
    sweep(*ends, (0.5,), shop / "s")
    with pytest.raises(WeightsError, match="sweep of other checkpoints"):
        sweep(*ends, (0.5,), shop / "s", config=MergeConfig(skip=("bn.*",)))
    some = [Ingredient(path.name, path, 1.0) for path in ends]
    greedy_soup(some, lambda _: 1.0, shop / "g.safetensors", log=shop / "log.jsonl")
    with pytest.raises(WeightsError, match="other ingredients"):
        greedy_soup(
            some,
            lambda _: 1.0,
            shop / "g.safetensors",
            log=shop / "log.jsonl",
            config=MergeConfig(copy=("w",)),
        )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images" / "inner").mkdir(parents=True)
    for at in range(5):
        PIL.Image.effect_noise((200, 180), 60 + at).convert("RGB").save(
            tmp_path / "images" / ("inner" if at % 2 else ".") / f"{at}.png"
        )
    (tmp_path / "images" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "images" / "notes.txt").write_text("no picture either")
    return tmp_path / "images"


def networks(folder: Path) -> list[Path]:
    timm = library("timm", "timm", "clip")
    paths = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        module = timm.create_model("test_resnet", pretrained=False)
        paths.append(folder / f"{seed}.safetensors")
        save_file(module.state_dict(), paths[-1])
    return paths


def test_statistics_are_estimated_again_as_torch_does(tmp_path: Path, images: Path) -> None:
    """Against torch.optim.swa_utils.update_bn over the same pictures."""
    from newtest.evaluation.scoring.recalibrate import RecalibrateConfig, recalibration

    timm = library("timm", "timm", "clip")
    ends, out = networks(tmp_path), tmp_path / "soup.safetensors"
    merged = uniform_soup(ends, out)
    module = timm.create_model("test_resnet", pretrained=False)
    module.load_state_dict(load_file(out))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    paths = sorted(path for path in images.rglob("*.png") if path.name != "broken.png")
    pictures = [transform(PIL.Image.open(path).convert("RGB")) for path in paths]
    order = [pictures[:3], pictures[3:]]  # six files in two batches, the unreadable one among the second
    torch.optim.swa_utils.update_bn([torch.stack(part) for part in order], module.train())
    config = RecalibrateConfig("timm:test_resnet", images, batch_size=3, device="cpu")
    uniform_soup(ends, tmp_path / "again.safetensors", recalibrate=recalibration(config))
    found, expected = load_file(tmp_path / "again.safetensors"), module.state_dict()
    assert merged.batch_norms == sum(name.endswith("running_var") for name in expected) > 5
    for name, values in expected.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.allclose(found[name], values, atol=1e-5), name
    changed = [name for name, values in load_file(out).items() if not values.equal(found[name])]
    assert changed and all("running_" in name for name in changed)
    assert not list(tmp_path.glob(".*plain*"))
    with pytest.raises(UsageError, match="no BatchNorm"):
        plain = [saved(tmp_path / f"{at}.pt", {"w": torch.ones(2)}) for at in "xy"]
        uniform_soup(plain, tmp_path / "z.safetensors", recalibrate=recalibration(config))


def run(*arguments: str | Path) -> Any:

    return invoke(["merge", *map(str, arguments)])


def test_the_command_line_says_what_was_read(shop: Path, images: Path) -> None:
    both = saved(shop / "two-states.pt", {"state_dict": state(1), "state_dict_ema": state(2)})
    out = shop / "out.safetensors"
    ended = run("uniform", shop / "a.pt", both, "--out", out)
    assert ended.exit_code == 0
    assert "'state_dict' of it is used; it also holds 'state_dict_ema' (--state chooses)" in ended.stderr
    assert "1 BatchNorm layers" in ended.stderr and "--recalibrate estimates them again" in ended.stderr
    ended = run("uniform", shop / "a.pt", both, "--state", "state_dict_ema", "--out", out, "--json")
    told = json.loads(ended.stdout)
    assert told["sources"][1]["state"] == "state_dict_ema" and told["batch_norms"] == 1
    assert np.allclose(load_file(out)["w"], MEAN)
    ends = networks(shop)
    wise = ["wise", "--zeroshot", ends[0], "--finetuned", ends[1], "--out", shop / "wise", "--json"]
    ended = run(*wise, "--recalibrate", images, "--network", "timm:test_resnet")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["recalibrated"] and "1 of 6 images cannot be read" in ended.stderr
