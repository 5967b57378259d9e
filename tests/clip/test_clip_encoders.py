"""One suite for every encoder, and what is particular to each."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from shared_encoders import conse_once

from newtest.clip import conse, efficientnet
from newtest.clip.encoder import Encoder, squeezed, unit_rows
from newtest.clip.loading import encoder
from newtest.clip.open_clip import OpenClip
from newtest.errors import UsageError

# One worker loads the encoder and embeds the photos, for all tests that use them.
pytestmark = pytest.mark.xdist_group("conse")

TINY = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 128, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


@pytest.fixture(scope="session")
def photos(data: Path) -> list[PIL.Image.Image]:
    """Four photos of four classes: tench, goldfish, and so on in the order of wnids."""
    paths = sorted((data / "images").glob("*.JPEG"))[:4]
    return [PIL.Image.open(path).convert("RGB") for path in paths]


@pytest.fixture(scope="session")
def checkpoint(photos: list[PIL.Image.Image], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny open_clip model trained for seconds to tell the four photos apart: its configuration and its weights."""
    import torch

    from newtest.clip.torch_runtime import library

    folder = tmp_path_factory.mktemp("tiny")
    config = folder / "newtest-tiny.json"
    config.write_text(json.dumps(TINY))
    open_clip = library("open_clip", "open_clip_torch", "clip")
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    model = open_clip.create_model("newtest-tiny")
    tokens = open_clip.get_tokenizer("newtest-tiny")(captions())
    pixels = np.stack([squeezed(photo, 64, 64) for photo in photos])
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of, labels = torch.nn.functional.cross_entropy, torch.arange(len(photos))
    for _ in range(25):
        images, texts, scale = model((batch - mean) / std, tokens)[:3]
        logits = scale * images @ texts.T
        loss = (loss_of(logits, labels) + loss_of(logits.T, labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = folder / "tiny.pt"
    torch.save(model.state_dict(), path)
    return config, path


def captions() -> list[str]:
    return [
        "a photo of a fish in a net",
        "two orange fish in a bowl",
        "a shark under water",
        "a cock on a farm",
    ]


@pytest.fixture(params=["conse", "open_clip"])
def either(request: pytest.FixtureRequest, checkpoint: tuple[Path, Path]) -> Encoder:
    if request.param == "conse":
        return conse_once()
    return encoder(f"{checkpoint[0]}@{checkpoint[1]}", device="cpu")


def test_rows_are_float32_of_length_one(either: Encoder, photos: list[PIL.Image.Image]) -> None:
    for rows in (either.images(photos), either.texts(captions())):
        assert rows.dtype == np.float32
        assert rows.shape == (4, either.dimension)
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert either.images([]).shape == (0, either.dimension)
    assert either.texts([]).shape == (0, either.dimension)


def test_prepared_pixels_are_what_images_are_made_into(
    either: Encoder, photos: list[PIL.Image.Image]
) -> None:
    pixels = np.stack([either.prepare(photo) for photo in photos])
    assert pixels.dtype == np.uint8
    assert np.array_equal(either.images(pixels), either.images(photos))


def test_a_trained_checkpoint_finds_its_photos_again(
    checkpoint: tuple[Path, Path], photos: list[PIL.Image.Image]
) -> None:
    loaded = encoder(f"{checkpoint[0]}@{checkpoint[1]}", device="cpu")
    scores = loaded.images(photos) @ loaded.texts(captions()).T
    assert scores.argmax(1).tolist() == [0, 1, 2, 3]
    assert re.fullmatch("newtest-tiny:[0-9a-f]{8}@sha256:[0-9a-f]{16}", loaded.name)
    cast = encoder(f"{checkpoint[0]}@{checkpoint[1]}", device="cpu", precision="bfloat16")
    assert cast.name == f"{loaded.name}/bfloat16"
    assert np.abs(cast.images(photos) - loaded.images(photos)).max() < 0.05


def test_conse_embeds_its_class_names_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take ten seconds, which each process that embeds a few pictures would pay."""
    vectors = conse_once()._class_vectors
    of, asked = dict(zip(conse._class_names(), vectors, strict=True)), []

    def texts(self: conse.Conse, names: list[str]) -> Any:
        asked.append(len(names))
        return np.stack([of[name] for name in names])

    monkeypatch.setattr(conse.Conse, "texts", texts)
    nowhere = tmp_path / "file"
    nowhere.write_bytes(b"")
    for cache, computed in ((tmp_path / "cache", 1000), (tmp_path / "cache", 0), (nowhere / "below", 1000)):
        monkeypatch.setenv("NEWTEST_CACHE", str(cache))
        asked.clear()
        again = conse.Conse(device="cpu")
        assert np.array_equal(again._class_vectors, vectors)
        assert sum(asked) >= computed if computed else not asked
        assert "_sentences" not in vars(again)


def test_conse_names_what_it_sees(photos: list[PIL.Image.Image]) -> None:
    probabilities = conse_once().probabilities(photos)
    assert probabilities.shape == (4, 1000)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-4)
    assert probabilities.argmax(1).tolist() == [1, 6, 11, 16]  # goldfish, stingray, goldfinch, bulbul


def test_folding_changes_the_network_by_rounding_alone(
    photos: list[PIL.Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet, "_folded", lambda model: model)
    packaged = efficientnet.EfficientNetLite0(device="cpu")
    pixels = np.stack([packaged.prepare(photo) for photo in photos])
    expected, features = packaged.classified(pixels)
    monkeypatch.undo()
    folded = efficientnet.EfficientNetLite0(device="cpu").classified(pixels)
    assert np.abs(folded[0] - expected).max() < 1e-4
    assert np.abs(folded[1] - features).max() < 1e-4 * np.abs(features).max()


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("pwned"),))


def test_weights_that_no_hub_can_give_say_what_to_do_without_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # as the variable of this name does
    with pytest.raises(UsageError) as refused:
        OpenClip("RN50/cc12m", device="cpu").texts(["x"])
    assert str(refused.value).startswith("open_clip cannot load RN50 with cc12m: ")
    assert "; without a network name a checkpoint on this machine, MODEL@CHECKPOINT" in str(refused.value)
    assert "Retrying" not in capfd.readouterr().err + caplog.text


def test_a_checkpoint_that_runs_code_is_refused(
    checkpoint: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"state_dict": _Evil()}))
    model = OpenClip(f"{checkpoint[0]}@{tmp_path / 'evil.pt'}", device="cpu")
    with pytest.raises(UsageError, match="cannot load"):
        model.texts(["x"])
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "no encoder is called"),
        ("ViT-Z/openai", "no model"),
        ("ViT-B-32@/no/such.pt", "no such checkpoint"),
    ],
)
def test_unknown_encoders_are_named(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        encoder(name).texts(["x"])


def test_squeezed_takes_the_middle() -> None:
    image = PIL.Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    pixels = squeezed(image, 64, 64)
    assert pixels.shape == (64, 64, 3)
    assert (pixels[:, 2:-2] == (0, 0, 255)).all()
    assert squeezed(PIL.Image.new("RGB", (1, 5000)), 64, 64).shape == (64, 64, 3)


def test_a_row_of_zeros_stays_one() -> None:
    assert unit_rows(np.array([[0, 0], [3, 4]])).tolist() == [[0, 0], pytest.approx([0.6, 0.8])]
