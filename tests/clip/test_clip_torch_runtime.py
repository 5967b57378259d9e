"""How many GPUs there are, without importing torch where there can be none."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from newtest.clip import torch_runtime
from newtest.errors import MissingExtra


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Linux with a torch that sees three GPUs, and what was asked for."""
    asked: list[str] = []

    def torch() -> Any:
        asked.append("torch")
        return SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 3))

    monkeypatch.setattr(torch_runtime.sys, "platform", "linux")
    monkeypatch.setattr(torch_runtime, "torch", torch)
    monkeypatch.setattr(torch_runtime.Path, "exists", lambda self: False)
    return asked


def absent(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


def test_torch_counts_the_gpus_where_a_driver_is(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", loaded.append)
    assert (torch_runtime.gpus(), torch_runtime.best_device()) == (3, "cuda")
    assert set(loaded) == {"libcuda.so.1"} and asked


def test_without_a_driver_torch_is_not_asked(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert (torch_runtime.gpus(), torch_runtime.best_device()) == (0, "cpu")
    assert not asked


@pytest.mark.parametrize("sign", ["another system", "AMD's device"])
def test_other_signs_of_a_gpu_are_enough_to_ask(
    sign: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", absent)
    if sign == "another system":
        monkeypatch.setattr(torch_runtime.sys, "platform", "win32")
    else:
        monkeypatch.setattr(torch_runtime.Path, "exists", lambda self: str(self) == "/dev/kfd")
    assert torch_runtime.gpus() == 3


def test_a_driver_without_torch_is_no_gpu(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise MissingExtra("torch", "clip")

    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(torch_runtime, "torch", missing)
    assert torch_runtime.gpus() == 0
