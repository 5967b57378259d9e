"""Which model, weights and configuration a name means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from newtest.clip.describer import describer
from newtest.clip.encoder import Encoder
from newtest.clip.loading import encoder, names_an_encoder, with_tag
from newtest.clip.open_clip import OpenClip
from newtest.clip.open_clip_names import ModelName
from newtest.clip.torch_runtime import library
from newtest.errors import UsageError
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.models import ModelConfig

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 9, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}
SQUASHED = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.5, 0.5],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the tiny model."""
    import torch

    folder = tmp_path_factory.mktemp("names")
    (folder / "newtest-named.json").write_text(json.dumps(MODEL))
    open_clip = library("open_clip", "open_clip_torch", "clip")
    open_clip.add_model_config(folder / "newtest-named.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("newtest-named").state_dict(), folder / "w.pt")
    return folder / "w.pt"


@pytest.fixture
def tags(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two published tags of the tiny model, whose files lie here: open_clip takes 'file' for a download."""
    published = library("open_clip.pretrained", "open_clip_torch", "clip")._PRETRAINED
    plain = {
        "file": str(weights),
        "mean": None,
        "std": None,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    own = {"quick": {**plain, "quick_gelu": True}, "squashed": {"file": str(weights), **SQUASHED}}
    monkeypatch.setitem(published, "newtest-named", own)


def loaded(name: str, **options: Any) -> OpenClip:
    found = encoder(name, device="cpu", **options)
    assert isinstance(found, OpenClip)
    return found


def activations(model: OpenClip) -> set[str]:
    return {type(module).__name__ for module in model.network.modules() if "GELU" in type(module).__name__}


def test_a_tag_brings_its_pixels_and_its_activation(tags: None) -> None:
    quick, squashed = loaded("newtest-named/quick"), loaded("newtest-named/squashed")
    assert activations(quick) == {"QuickGELU"} and activations(squashed) == {"GELU"}
    assert squashed.preprocessing == "squashed to 32x32 (bilinear), mean 0.5 0.5 0.5, std 0.25 0.5 0.5"
    picture = PIL.Image.effect_noise((90, 40), 80).convert("RGB")
    open_clip = library("open_clip", "open_clip_torch", "clip")
    for mine, tag in ((quick, "quick"), (squashed, "squashed")):
        model, _, transform = open_clip.create_model_and_transforms(
            "newtest-named", tag, force_quick_gelu=tag == "quick"
        )
        theirs = model.eval().encode_image(transform(picture)[None], normalize=True).detach().numpy()
        assert np.allclose(mine.images([picture]), theirs, atol=1e-6), tag
        words = open_clip.get_tokenizer("newtest-named")(["a photo of a very long sentence that is cut off"])
        assert words.shape == (1, 9)
        texts = model.encode_text(words, normalize=True).detach().numpy()
        assert np.allclose(mine.texts(["a photo of a very long sentence that is cut off"]), texts, atol=1e-6)


def test_all_of_the_tags_whose_activation_is_not_the_models_own() -> None:
    """open_clip 3.3.0 has 28 and warns; roberta's tag says nothing of it, and its model was trained as it is."""
    open_clip = library("open_clip", "open_clip_torch", "clip")
    differ = 0
    for model, tag in open_clip.list_pretrained():
        said = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu")
        own = open_clip.get_model_config(model).get("quick_gelu", False)
        assert loaded(f"{model}/{tag}").recipe.quick_gelu == said
        differ += bool(said) != own
    assert differ >= 28


def test_a_checkpoint_takes_a_tags_configuration_and_its_name_says_which(weights: Path, tags: None) -> None:
    named = [
        loaded(f"newtest-named@{weights}", like="squashed"),
        loaded(f"newtest-named/squashed@{weights}"),
        loaded(f"newtest-named@{weights}", like="quick"),
        loaded(f"newtest-named@{weights}"),
    ]
    assert [model.name.partition("@")[0] for model in named] == [
        "newtest-named/squashed",
        "newtest-named/squashed",
        "newtest-named/quick",
        "newtest-named/default",
    ]
    assert len({model.name for model in named}) == len({model.preprocessing for model in named}) + 1 == 3
    assert activations(named[2]) == {"QuickGELU"} and activations(named[3]) == {"GELU"}
    noise = PIL.Image.effect_noise((90, 40), 80).convert("RGB")
    assert np.allclose(named[0].images([noise]), loaded("newtest-named/squashed").images([noise]), atol=1e-6)


def test_siglip_in_a_file_is_scaled_as_its_tags_are(weights: Path) -> None:
    """All tags of the model agree, so they are its default."""
    siglip = loaded(f"ViT-B-16-SigLIP@{weights}")
    assert siglip.preprocessing == "squashed to 224x224 (bicubic), mean 0.5 0.5 0.5, std 0.5 0.5 0.5"
    assert siglip.name.startswith("ViT-B-16-SigLIP/default@sha256:")
    several = loaded(f"ViT-L-14@{weights}")
    assert "mean 0.481455" in several.preprocessing and several.recipe.quick_gelu is None


def test_a_checkpoint_that_may_need_another_configuration_is_said(weights: Path) -> None:
    doubt = loaded(f"RN50@{weights}").doubt
    assert "of its published weights openai, yfcc15m, cc12m need QuickGELU" in doubt and "`like`" in doubt
    assert "dfn5b need other pixels" in loaded(f"ViT-H-14@{weights}").doubt
    assert loaded(f"RN50@{weights}", like="openai").doubt == loaded(f"ViT-B-16-SigLIP@{weights}").doubt == ""


def folder_with(folder: Path, weights: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "open_clip_pytorch_model.bin").write_bytes(weights.read_bytes())
    return folder


def same_as_open_clip(mine: Encoder, name: str) -> None:
    open_clip = library("open_clip", "open_clip_torch", "clip")
    model, _, transform = open_clip.create_model_and_transforms(name)
    picture = PIL.Image.effect_noise((90, 40), 80).convert("RGB")
    theirs = model.eval().encode_image(transform(picture)[None], normalize=True).detach().numpy()
    assert np.allclose(mine.images([picture]), theirs, atol=1e-6)
    texts = model.encode_text(open_clip.get_tokenizer(name)(["a goldfish"]), normalize=True).detach().numpy()
    assert np.allclose(mine.texts(["a goldfish"]), texts, atol=1e-6)


def test_a_folder_and_a_hub_as_open_clip_reads_them(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's own cache, as huggingface_hub keeps a repository that it downloaded before."""
    config = {"model_cfg": {**MODEL, "quick_gelu": True}, "preprocess_cfg": SQUASHED}
    local = folder_with(tmp_path / "some@where", weights, config)
    mine = loaded(f"local-dir:{local}")
    assert activations(mine) == {"QuickGELU"} and "squashed" in mine.preprocessing
    same_as_open_clip(mine, f"local-dir:{local}")
    assert mine.name.startswith("local-dir:some@where:")
    repository = tmp_path / "hub" / "models--them--tiny"
    revision = "0123456789abcdef0123456789abcdef01234567"
    folder_with(repository / "snapshots" / revision, weights, config)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub = loaded("hf-hub:them/tiny")
    assert hub.name == "hf-hub:them/tiny@0123456789ab" and hub.dimension == 16
    assert "squashed" in hub.preprocessing
    same_as_open_clip(hub, "hf-hub:them/tiny")
    with pytest.raises(UsageError, match=r"hf-hub:them/other: its open_clip_config\.json cannot be had"):
        loaded("hf-hub:them/other").texts(["x"])


def test_a_folders_own_tokenizer_and_its_length(weights: Path, tmp_path: Path) -> None:
    """Words of a vocabulary that is in the folder alone, as hubs keep SigLIP's and CLIPA's."""
    transformers = library("transformers", "transformers", "conse")
    tokenizers = library("tokenizers", "tokenizers", "conse")
    words = {word: at for at, word in enumerate(["[PAD]", "[UNK]", "a", "goldfish", "shark"])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    text = {**MODEL["text_cfg"], "hf_tokenizer_name": "nowhere/else"}  # type: ignore[dict-item]
    folder = folder_with(tmp_path / "own", weights, {"model_cfg": {**MODEL, "text_cfg": text}})
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", pad_token="[PAD]")
    made.save_pretrained(folder)
    mine = loaded(f"local-dir:{folder}")
    same_as_open_clip(mine, f"local-dir:{folder}")
    fish, shark, again = mine.texts(["a goldfish", "a shark", "a goldfish"])
    assert np.allclose(fish, again) and not np.allclose(fish, shark)
    assert not np.allclose(fish, loaded(f"newtest-named@{weights}").texts(["a goldfish"])[0])


def test_two_configurations_of_one_file_name_are_two_models(weights: Path, tmp_path: Path) -> None:
    for place, quick in (("one", False), ("two", True)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "ViT-B-32.json").write_text(json.dumps({**MODEL, "quick_gelu": quick}))
    one, two = (loaded(f"{tmp_path / place}/ViT-B-32.json@{weights}") for place in ("one", "two"))
    assert one.name != two.name
    assert activations(one) == {"GELU"} and activations(two) == {"QuickGELU"}
    config = library("open_clip", "open_clip_torch", "clip").get_model_config("ViT-B-32")
    assert config["embed_dim"] == 512, "open_clip's own model of that name is still there"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ViT-B-32/nothing", "open_clip has no tag 'nothing' of ViT-B-32: it has openai, "),
        ("ViT-B-32/", "name its weights too"),
        ("ViT-Z@{weights}", "no model 'ViT-Z'"),
        ("local-dir:{folder}", "there is no open_clip_config.json in it"),
        ("{folder}/deep.json@{weights}", "deep.json: not a model configuration of open_clip"),
        (
            "{folder}/wrong.json@{weights}",
            "wrong.json: open_clip does not know its preprocessing .*resize_mode 'x'",
        ),
        ("{folder}/huge.json@{weights}", "size 100000"),
        ("{folder}/wrong.json", "name its weights too"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    name: str, sentence: str, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    wrong = {"model_cfg": MODEL, "preprocess_cfg": {"resize_mode": "x"}}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    huge = {**MODEL, "vision_cfg": {**MODEL["vision_cfg"], "image_size": 100_000}}  # type: ignore[dict-item]
    (tmp_path / "huge.json").write_text(json.dumps(huge))
    with pytest.raises(UsageError, match=sentence):
        loaded(name.format(weights=weights, folder=tmp_path)).texts(["x"])


@pytest.mark.parametrize("name", ["ViT-B-32/openai", "ViT-B-32/openai@x.pt", "a.json@x.pt", "hf-hub:a/b"])
def test_like_is_for_a_checkpoint_that_names_no_tag(name: str) -> None:
    with pytest.raises(UsageError, match="`like` names the tag"):
        encoder(name, like="openai") if name != "ViT-B-32/openai" else encoder(name, like="laion2b_e16")
    with pytest.raises(UsageError, match="`like`"):
        encoder("conse", like="openai")


def test_a_name_means_the_same_from_every_folder(weights: Path, tmp_path: Path) -> None:
    here = Path().resolve()
    assert ModelName.parse("a.json@b@c.pt").anywhere() == f"{here}/a.json@{here}/b@c.pt"
    assert ModelName.parse("M/tag@w.pt").anywhere() == f"M/tag@{here}/w.pt"
    assert ModelName.parse("local-dir:x@y").anywhere() == f"local-dir:{here}/x@y"
    model = describer(f"open_clip:newtest-named@{weights}", device="cpu")
    assert model.source == f"open_clip:newtest-named@{weights}"
    assert model.name.startswith("newtest-named/default@sha256:") and "#" in model.name


def test_one_spelling_wherever_an_encoder_is_named(weights: Path, tags: None, tmp_path: Path) -> None:
    plain = f"newtest-named@{weights}"
    named = with_tag(plain, "quick")
    assert named == with_tag(f"open_clip:{plain}", "quick") == f"newtest-named/quick@{weights}"
    assert loaded(f"open_clip:{named}").name == loaded(plain, like="quick").name
    encoders = ("conse", plain, "ViT-B-32/openai", "open_clip:RN50", "hf-hub:a/b", "local-dir:here")
    others = ("efficientnet-lite0", "timm:hf-hub:a/b", "torchvision:resnet50.DEFAULT", "resnet50")
    assert all(map(names_an_encoder, encoders)) and not any(map(names_an_encoder, others))
    for name in ("conse", "ViT-B-32/openai", "hf-hub:a/b"):
        with pytest.raises(UsageError, match="`like`"):
            with_tag(name, "quick")
    (tmp_path / "set/a").mkdir(parents=True)
    PIL.Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "set/a/1.png")
    for name, options in (
        (plain, {"like": "quick"}),
        (f"open_clip:newtest-named/quick@{weights}", {}),
        ("open_clip:newtest-named", {"weights": weights, "like": "quick"}),
    ):
        config = EvaluateConfig(models=(name,), out=tmp_path / "out", model=ModelConfig(**options))  # type: ignore[arg-type]
        found = evaluate(str(tmp_path / "set"), config)
        assert [score.model for score in found.scores] == [f"{loaded(named).name} zero-shot"], found.cautions
    with pytest.raises(UsageError, match="`like` is for checkpoints"):
        evaluate(str(tmp_path / "set"), EvaluateConfig(models=("timm:x",), model=ModelConfig(like="quick")))
