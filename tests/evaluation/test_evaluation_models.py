"""Running models: real weights on real photos, pieces that survive, images that cannot be read."""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from needs import missing
from PIL import Image
from watchers import Watcher

from newtest.engines import LocalEngine
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring import model_runs, models
from newtest.evaluation.scoring.classifiers import Classifier
from newtest.evaluation.scoring.classmap import class_map, read_class_map
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.models import Asked, ModelConfig, run_model, run_models
from newtest.evaluation.scoring.score import ScoreConfig, score
from newtest.evaluation.scoring.sets import read_set
from newtest.evaluation.scoring.store import read_store
from newtest.evaluation.scoring.zeroshot import ZeroShotConfig, classify, zero_shot
from newtest.images.ahead import decoded_ahead
from newtest.progress import UNWATCHED


@pytest.fixture(autouse=True)
def _torch_is_there() -> None:
    for package in ("torch", "torchvision", "timm", "open_clip", "efficientnet_lite_pytorch"):
        if importlib.util.find_spec(package) is None:
            missing(f'no {package}: pip install "newtest[clip,conse]"')


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six random pictures of two classes, one of them broken."""
    rng = np.random.default_rng(0)
    for at in range(6):
        path = tmp_path / "photos" / f"n0{at % 2}" / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
    (tmp_path / "photos" / "n01" / "5.png").write_bytes(b"not a picture")
    return tmp_path / "photos"


@pytest.mark.data
def test_efficientnet_lite0_knows_the_photos(data: Path, tmp_path: Path) -> None:
    """Every fourth photo, for time. All 196 give 181 right (92.3 %), 193 in the five best."""
    files = sorted((data / "images").glob("*.JPEG"))[::4]
    frame = pd.DataFrame(
        {
            "image_id": [f.name for f in files],
            "wnid": [f.name[:9] for f in files],
            "path": [str(f) for f in files],
        }
    )
    frame.to_csv(tmp_path / "photos.csv", index=False)
    classes = data / "imagenetv2" / "metadata" / "class_info.json"
    options = EvaluateConfig(models=("efficientnet-lite0",), classes=classes, out=tmp_path / "out")
    told = Watcher()
    outcome = evaluate(str(tmp_path / "photos.csv"), options, told)
    (found,) = outcome.scores
    assert found.n == 49
    assert found.k / found.n > 0.75
    assert found.top5_k is not None
    assert found.top5_k / found.n > 0.9
    assert "crop 224, (x - 127) / 128" in found.preprocessing
    assert told.shown == [("efficientnet-lite0", 49, 49)]
    assert outcome.cautions == ()


def options_for(name: str, tmp_path: Path) -> ModelConfig:
    """Random weights in a file: the real ones are on a hub."""
    import torch

    from newtest.clip import torch_runtime

    torch.manual_seed(0)
    path = tmp_path / "weights.pt"
    if name.startswith("timm:"):
        module = torch_runtime.library("timm", "timm", "clip").create_model(name[5:], pretrained=False)
    else:
        module = torch_runtime.library("torchvision", "torchvision", "clip").models.get_model(
            name[12:], weights=None
        )
    torch.save(module.state_dict(), path)
    return ModelConfig(batch_size=4, weights=path)


@pytest.mark.parametrize("name", ["timm:test_resnet", "torchvision:squeezenet1_1"])
def test_other_models_run_from_weights_in_a_file(name: str, photos: Path, tmp_path: Path) -> None:
    options = options_for(name, tmp_path)
    evaluated = read_set(photos)
    found, broken = run_model(name, evaluated, options, tmp_path / "out")
    assert found.values.shape == (6, 5)
    assert broken == ["5.png"]
    assert (found.values[5] == -1).all()
    again, _ = run_model(name, evaluated, replace(options, batch_size=1), tmp_path / "out2")
    assert (again.values == found.values).mean() > 0.9, "batches do not matter (but for rounding)"


def test_threads_that_decode_ahead_change_no_answer(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "timm:test_resnet"
    options, evaluated = options_for(name, tmp_path), read_set(photos)
    kept = []
    for threads, ahead in ((1, 0), (3, 0), (3, 4)):
        monkeypatch.setattr("newtest.evaluation.scoring.model_runs.cores", lambda threads=threads: threads)
        monkeypatch.setattr(
            "newtest.evaluation.scoring.model_runs.decoded_ahead",
            lambda *a, ahead=ahead, **k: decoded_ahead(*a, **{**k, "ahead": ahead}),
        )
        out = tmp_path / f"{threads}-{ahead}"
        found, broken = run_model(name, evaluated, options, out)
        assert broken == ["5.png"]
        kept.append((found.values.tobytes(), [path.read_bytes() for path in sorted(out.rglob("*.npz"))]))
    assert kept[0] == kept[1] == kept[2]
    assert kept[0][1], "pieces are kept"


def test_models_that_run_together_answer_as_each_alone_and_images_are_decoded_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("timm:test_resnet", "timm:test_resnet.r160_in1k", "torchvision:squeezenet1_1")
    options, evaluated = options_for(names[0], tmp_path), read_set(photos)
    asked = [
        Asked(names[0]), Asked(names[2]), Asked(names[1], np.arange(1000) >= 1),
        Asked(names[0], np.arange(1000) >= 500),
        Asked(names[1], np.ones(3, bool)),
    ]  # fmt: skip
    plain = model_runs.build

    def build(name: str, weights: Path | None) -> Classifier:
        built = plain(name, weights)
        if name != names[1]:
            return built
        return replace(built, transform=lambda image: built.transform(image).flip(2), alike="mirrored")

    monkeypatch.setattr(model_runs, "build", build)
    monkeypatch.setattr(models, "TOGETHER", 5)
    opened: list[str] = []
    read = model_runs.image_at
    monkeypatch.setattr(model_runs, "image_at", lambda path: (opened.append(path), read(path))[1])
    told = Watcher()
    answers = run_models(asked, evaluated, options, tmp_path / "out", told)
    assert sorted(opened) == sorted(evaluated.images["path"]), "each image is read once"
    done = Counter[str]()
    for name, images, _ in told.shown:
        done[name] += images
    assert done == {names[0]: 12, names[1]: 6}
    assert isinstance(answers[1], EvaluationError) and "cannot be built" in str(answers[1])
    assert isinstance(answers[4], EvaluationError) and "1000 outputs, and its class list 3" in str(answers[4])
    for place in (0, 2, 3):
        found, broken = answers[place]  # type: ignore[misc]
        alone, _ = run_model(
            asked[place].name,
            evaluated,
            options,
            tmp_path / f"alone{place}",
            looked_at=asked[place].looked_at,
        )
        assert (found.values == alone.values).all() and found.model == alone.model and broken == ["5.png"]
    assert (answers[0][0].values != answers[2][0].values).any()  # type: ignore[index]
    opened.clear()
    again = run_models(asked[:1] + asked[2:4], evaluated, options, tmp_path / "out")
    assert not opened and [one[0].values.tolist() for one in again] == [  # type: ignore[index]
        answers[place][0].values.tolist()
        for place in (0, 2, 3)  # type: ignore[index]
    ]
    with pytest.raises(UsageError, match="unknown"):
        run_models([asked[0], Asked("nothing:x")], evaluated, options, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_killed_run_goes_on_where_it_was(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newtest.evaluation.scoring.models.PIECE", 2)
    name = "timm:test_resnet"
    options = options_for(name, tmp_path)
    evaluated = read_set(photos)

    class StopsAtTwo(Watcher):
        def advance(self, what: str, done: int = 1, total: int | None = None) -> None:
            if len(list((tmp_path / "out").rglob("*.npz"))) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_model(name, evaluated, options, tmp_path / "out", StopsAtTwo())
    kept = sorted((tmp_path / "out").rglob("*.npz"))
    assert len(kept) == 2
    before = kept[0].stat().st_mtime_ns
    kept[1].write_bytes(b"half a piece")
    found, _ = run_model(name, evaluated, options, tmp_path / "out")
    assert kept[0].stat().st_mtime_ns == before, "a whole piece is not made again"
    assert (found.values == run_model(name, evaluated, options, tmp_path / "new")[0].values).all()


def test_a_picture_that_was_repaired_is_looked_at_again(photos: Path, tmp_path: Path) -> None:
    name = "timm:test_resnet"
    options = options_for(name, tmp_path)
    assert run_model(name, read_set(photos), options, tmp_path / "out")[1] == ["5.png"]
    (photos / "n01" / "5.png").write_bytes((photos / "n01" / "3.png").read_bytes())
    found, broken = run_model(name, read_set(photos), options, tmp_path / "out")
    assert broken == []
    assert (found.values[5] >= 0).all()


def test_outputs_that_mean_no_class_of_the_set_are_not_looked_at(photos: Path, tmp_path: Path) -> None:
    name = "timm:test_resnet"
    options = options_for(name, tmp_path)
    classes = tmp_path / "classes.txt"
    classes.write_text("".join(f"other{at}\n" for at in range(998)) + "n00\nn01\n")
    run = EvaluateConfig(models=(name,), classes=classes, model=options, out=tmp_path / "out")
    outcome = evaluate(str(photos), run)
    (stored,) = read_store(tmp_path / "out")
    assert stored.results["k"].tolist() == [outcome.scores[0].k]
    assert {c.kind for c in outcome.cautions} <= {"unreadable-images", "chance"}
    found, _ = run_model(name, read_set(photos), options, tmp_path / "new", UNWATCHED, np.arange(1000) >= 998)
    assert set(found.values[:5, :2].ravel().tolist()) == {998, 999}
    assert (found.values[:, 2:] == -1).all()
    with pytest.raises(EvaluationError, match="1000 outputs, and its class list 3"):
        run_model(name, read_set(photos), options, tmp_path / "x", UNWATCHED, np.ones(3, dtype=bool))


def test_a_zero_shot_model_answers_as_newtest_zeroshot_does(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    import torch

    from newtest.clip import torch_runtime

    monkeypatch.setenv("NEWTEST_CACHE", str(tmp_path / "cache"))
    open_clip = torch_runtime.library("open_clip", "open_clip_torch", "clip")
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
    (tmp_path / "newtest-tiny.json").write_text(
        json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": text})
    )
    open_clip.add_model_config(tmp_path / "newtest-tiny.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("newtest-tiny").state_dict(), tmp_path / "w.pt")
    (tmp_path / "names.txt").write_text("goldfish\ngreat white shark\n")
    one, two = tmp_path / "one", tmp_path / "two"
    model = ModelConfig(weights=tmp_path / "w.pt", batch_size=4)
    options = EvaluateConfig(
        models=("open_clip:newtest-tiny",), class_names=tmp_path / "names.txt", model=model, out=one
    )
    told = Watcher()
    outcome = evaluate(str(photos), options, told)
    assert [c.kind for c in outcome.cautions if c.fatal] == ["unreadable-images"]
    assert told.shown[-1] == ("images", 6, 6)
    same = ZeroShotConfig(
        model=f"newtest-tiny@{tmp_path / 'w.pt'}",
        names=tmp_path / "names.txt",
        out=two,
        cache=tmp_path / "own",
    )
    zero_shot(str(photos), same)
    [left], [right] = read_store(one), read_store(two)
    assert left.results.equals(right.results) and left.correct.equals(right.correct)
    assert left.results["group"].tolist() == ["zero-shot"]
    assert left.results["model"].str.match(r"newtest-tiny/default@sha256:[0-9a-f]{16} zero-shot").all()


def test_a_zero_shot_model_of_other_classes_goes_through_a_class_map(photos: Path, tmp_path: Path) -> None:
    """Three outputs in words, two of which are the set's first class."""
    (tmp_path / "classes.txt").write_text("red\nblue\norange\n")
    (tmp_path / "map.csv").write_text("from,to\nred,n00\norange,n00\nblue,n01\n")
    evaluated = read_set(photos)
    np.save(tmp_path / "images.npy", np.eye(3)[[2, 0, 2, 1, 1, 0]])
    np.save(tmp_path / "texts.npy", np.eye(3))
    options = ZeroShotConfig(image_embeddings=tmp_path / "images.npy", text_embeddings=tmp_path / "texts.npy")
    found = classify(evaluated, ("red", "blue", "orange"), options)
    mapping = class_map(("red", "blue", "orange"), evaluated.classes, read_class_map(tmp_path / "map.csv"))
    [result], _ = score(evaluated, [found.answers], ScoreConfig(mapping=mapping))
    assert result.correct.tolist() == [True, True, True, True, True, False]


def test_a_zero_shot_model_that_cannot_be_loaded_stops_no_other(photos: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.array([0, 0, 0, 1, 1, 1]))
    options = EvaluateConfig((tmp_path / "good.npy",), ("open_clip:no-such/tag",), out=tmp_path / "out")
    outcome = evaluate(str(photos), options)
    assert [s.k for s in outcome.scores] == [6]
    [caution] = outcome.cautions
    assert caution.fatal and "open_clip:no-such/tag: open_clip has no model 'no-such'" in str(caution)
    with pytest.raises(UsageError, match="name its weights"):
        evaluate(str(photos), EvaluateConfig(models=("open_clip:ViT-B-32",)))


@pytest.mark.parametrize("name", ["resnet50", "timm:", "keras:x"])
def test_unknown_kinds_are_usage(name: str, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="known are timm:NAME"):
        run_model(name, read_set(photos), ModelConfig(), tmp_path)


def test_a_model_that_cannot_be_built_stops_no_other(photos: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.array([0, 0, 0, 1, 1, 1]))
    options = EvaluateConfig((tmp_path / "good.npy",), ("timm:no_such_model",), out=tmp_path / "out")
    outcome = evaluate(str(photos), options)
    assert [s.k for s in outcome.scores] == [6]
    assert "timm:no_such_model: timm has no such model" in str(outcome.cautions[0])
    with pytest.raises(EvaluationError, match="names no files"):
        np.save(tmp_path / "labels.npy", np.array([0, 1]))
        run_model(
            "efficientnet-lite0", read_set(tmp_path / "labels.npy"), ModelConfig(), tmp_path, lambda _: None
        )


def test_workers_of_an_engine_answer_the_same_and_what_they_kept_is_taken_over(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "PIECE", 2)
    names = ("timm:test_resnet", "torchvision:squeezenet1_1")
    options, evaluated = options_for(names[0], tmp_path), read_set(photos)
    asked = [Asked(names[0]), Asked(names[1]), Asked(names[0], np.ones(3, bool))]
    here = run_models(asked, evaluated, options, tmp_path / "here")
    told = Watcher()
    workers = run_models(asked, evaluated, options, tmp_path / "workers", told, LocalEngine(), 2)
    assert (here[0][0].values == workers[0][0].values).all() and workers[0][1] == ["5.png"]  # type: ignore[index]
    for place in (1, 2):  # the same model may be asked in two ways, of which one fails
        assert isinstance(workers[place], EvaluationError) and str(workers[place]) == str(here[place])
    pieces = [
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.npz")}
        for name in ("here", "workers")
    ]
    assert pieces[0] == pieces[1] and len(pieces[0]) == 3
    lost, spoilt, _ = sorted((tmp_path / "workers").rglob("*.npz"))
    lost.unlink()
    spoilt.write_bytes(b"half a piece")
    told.shown.clear()
    again = run_models(asked[:1], evaluated, options, tmp_path / "workers", told, LocalEngine(), 2)
    assert (again[0][0].values == here[0][0].values).all()  # type: ignore[index]
    assert [done for what, done, _ in told.shown if what == "images"] == [2, 2]


def test_a_worker_that_sees_other_files_is_an_error(photos: Path, tmp_path: Path) -> None:
    options, evaluated = options_for("timm:test_resnet", tmp_path), read_set(photos)
    work = models._Asking(((Asked("timm:test_resnet"), options, tmp_path / "out"),))()
    (piece,) = models._pieces(evaluated.images["path"].tolist())
    Path(piece.paths[0]).unlink()
    with pytest.raises(EvaluationError, match="must see the same files"):
        work(piece)


def test_a_model_that_fails_beside_others_is_tried_again_alone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU that holds one model and not two; one that fails alone, too, is an error, and the others go on."""
    import torch

    names = ("timm:test_resnet", "timm:test_resnet.r160_in1k")
    options, evaluated = options_for(names[0], tmp_path), read_set(photos)
    alone, _ = run_model(names[0], evaluated, options, tmp_path / "alone")
    plain, built = model_runs.build, []

    class Full(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module, room: int) -> None:
            super().__init__()
            self.inner, self.room = inner, room

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            if len(built) > self.room:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nand more")
            return self.inner(batch)

    def build(name: str, weights: Path | None) -> Classifier:
        found = plain(name, weights)
        built.append(name)
        return replace(found, module=Full(found.module, 1 if name == names[0] else 0))

    begun = models._asked_together

    def together(*given: object) -> None:
        built.clear()
        begun(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(model_runs, "build", build)
    monkeypatch.setattr(models, "_asked_together", together)
    asked = [Asked(names[0]), Asked(names[1], np.arange(1000) >= 1)]
    first, second = run_models(asked, evaluated, options, tmp_path / "out")
    assert (first[0].values == alone.values).all()  # type: ignore[index]
    assert isinstance(second, EvaluationError)
    assert (
        str(second)
        == "the model failed (CUDA out of memory. Tried to allocate 2 GiB); a smaller `batch_size` may help"
    )


def test_a_model_of_other_classes_is_told_before_a_picture_is_looked_at(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read = model_runs.image_at
    monkeypatch.setattr(model_runs, "image_at", lambda path: (opened.append(path), read(path))[1])
    names = ("timm:test_resnet", "torchvision:squeezenet1_1", "efficientnet-lite0")
    outcome = evaluate(str(photos), EvaluateConfig(models=names, out=tmp_path / "out"))
    assert not opened and not outcome.scores
    assert [one.model for one in outcome.cautions] == list(names)
    wanted = "the model has 1000 outputs, and the set 2 classes: a model of more classes needs its class list"
    assert all(one.fatal and wanted in one.message for one in outcome.cautions)
    told = Watcher()
    options, evaluated = options_for(names[0], tmp_path), read_set(photos)
    run_models(
        [Asked(names[1], outputs=1001), Asked(names[0], outputs=1000)], evaluated, options, tmp_path, told
    )
    (said,) = told.said  # at once, for the other one may take hours
    assert said.startswith(f"{names[1]}: the model has 1000 outputs") and said.endswith(
        "other models are run"
    )


def test_a_network_whose_outputs_nobody_published_is_stopped_by_its_first_batch(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_runs, "published_outputs", lambda name: None)
    name, evaluated, told = "timm:test_resnet", read_set(photos), Watcher()
    options = replace(options_for(name, tmp_path), batch_size=2)
    (answer,) = run_models([Asked(name, outputs=1001)], evaluated, options, tmp_path / "out", told)
    assert "the set 1001 classes: a model of fewer classes needs its class list" in str(answer)
    assert not told.shown and not list((tmp_path / "out").rglob("*.npz"))


def test_workers_have_a_gpu_each_unless_a_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "gpus", lambda: 2)
    asked = {device: models._resources(device, 2).gpus for device in (None, "cuda", "cuda:1", "cpu")}
    assert asked == {None: 1.0, "cuda": 1.0, "cuda:1": 0.0, "cpu": 0.0}
