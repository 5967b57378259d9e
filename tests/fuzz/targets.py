"""The readers of strangers' files, each with the good files that its inputs are made from."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from newtest.classes import read_classes
from newtest.clip.prompts import read_lines
from newtest.clip.weights.ensemble import read_outputs
from newtest.clip.weights.opening import open_tensors
from newtest.clip.weights.soups import read_scores
from newtest.config import load_toml
from newtest.crowd.annotators import PublishConfig
from newtest.crowd.class_names import read_class_names
from newtest.crowd.importers import ExternalFormat, read_external
from newtest.crowd.mturk_files import read_hits
from newtest.crowd.pay import read_proposals
from newtest.crowd.planning import read_pages
from newtest.crowd.training import read_training
from newtest.duplicates.published import near_duplicate_pairs, neighbour_distances, reviewed_pairs
from newtest.errors import NewtestError
from newtest.evaluation.analysis.frequency_gap import read_pool
from newtest.evaluation.scoring.board_files import read_boards
from newtest.evaluation.scoring.class_lists import read_classes as read_class_list
from newtest.evaluation.scoring.classmap import read_class_map
from newtest.evaluation.scoring.embeddings import read_embeddings
from newtest.evaluation.scoring.labels import read_labels
from newtest.evaluation.scoring.reading import read_sheets
from newtest.evaluation.scoring.results import read_results
from newtest.evaluation.scoring.sets import read_set
from newtest.images import shown
from newtest.pool.audit import audited
from newtest.pool.audit.manifest import read_audit
from newtest.pool.captions import read_rows as caption_rows
from newtest.pool.importing.tables import rows_of
from newtest.pool.queries import read_queries
from newtest.pool.storage.outside_vectors import outside_vectors
from newtest.pool.storage.pool import Pool, Shard, open_pool
from newtest.pool.storage.subset import read as read_subset
from newtest.pool.storage.tars import samples
from newtest.pool.url_tables import url_tables
from newtest.releasing.about import read_about
from newtest.releasing.archives import contents_of
from newtest.releasing.arrays import read_arrays
from newtest.releasing.evidence import read_blocked, read_near_duplicates
from newtest.releasing.sets import read_release
from newtest.review.agreement import read_agreement
from newtest.sets import image_at, read_image_set
from newtest.sources.recorded import Recorded
from newtest.sources.table import Table
from newtest.study import Study
from newtest.votes.simulate import read_difficulty
from newtest.votes.tables import read_votes

__all__ = ["TARGETS", "Target", "prepared", "seeds"]


@dataclass(frozen=True)
class Target:
    """A reader, what its files are called, and the kinds of seeds that they are made from."""

    name: str
    read: Callable[[Path], object]
    suffix: str
    kinds: tuple[str, ...]
    file: str = "input"


def prepared(target: Target, path: Path) -> None:
    """Put beside an input what its reader needs there."""
    if target.file == "manifest":
        (path.parent / "classes.csv").write_text("wnid,name\nn1,fish\n")
        (path.parent / "SHA256SUMS").write_text("")
    if target.name == "audit votes":
        (path.parent / "audit.json").write_bytes(_audit())
    if target.name == "training.toml":
        (path.parent / "a.png").write_bytes(_image("PNG"))


def _pool(path: Path) -> None:
    pool = open_pool(path.parent)
    for shard in pool.shards:
        for batch in pool.batches(shard, ["uid", "text"]):
            batch.to_pylist()


def _samples(path: Path) -> None:
    pool: Pool = open_pool(path.parent) if (path.parent / "input.parquet").exists() else None  # type: ignore[assignment]
    if pool is None:
        pq.write_table(pa.table({"uid": pa.array([], pa.string())}), path.parent / "input.parquet")
        pool = open_pool(path.parent)
    shard: Shard = pool.shards[0]
    for sample in samples(pool, shard):
        sample.described  # noqa: B018
        sample.image  # noqa: B018


def _packed(path: Path) -> None:
    for name in ("a.jpg", "n1/a"):
        try:
            image_at(f"{path}#{name}")
        except OSError:  # its promise to callers: a row with a reason
            continue


def _tensors(path: Path) -> None:
    opened = open_tensors(path)
    for name in opened.tensors:
        for _ in opened.pieces(name):
            pass


def _votes(path: Path) -> None:
    table = read_votes(path)
    for chunk in table.chunks():
        chunk.where(0)


def _external(form: ExternalFormat) -> Callable[[Path], object]:
    return lambda path: read_external(_seed_study(), path, form)


@cache
def _seed_study() -> Study:
    return Study(Path(tempfile.gettempdir()) / "seed")


def _recorded(path: Path) -> None:
    Recorded(path)


def _url_tables(path: Path) -> None:
    for batch in url_tables(str(path)).batches(100):
        batch.to_pylist()


def _study(path: Path) -> None:
    with Study(path.parent) as study:
        study.catalog.execute("SELECT count(*) FROM images").fetchall()


def _subset(path: Path) -> None:
    read_subset(path)


def _vectors(path: Path) -> None:
    for array in outside_vectors(str(path), 4):
        np.asarray(array, np.float32)


def _published(path: Path) -> None:
    for read in (near_duplicate_pairs, reviewed_pairs, neighbour_distances):
        try:
            read(path)
        except NewtestError:
            continue


TORCH = find_spec("torch") is not None
TARGETS = (
    Target("classes.toml", read_classes, ".toml", ("toml",)),
    Target("classes.csv", read_classes, ".csv", ("csv",)),
    Target("config.toml", lambda path: load_toml(PublishConfig, path), ".toml", ("config",)),
    Target("recorded.json", _recorded, ".json", ("json",)),
    Target("table.csv", Table, ".csv", ("csv",)),
    Target("table.parquet", Table, ".parquet", ("parquet",)),
    Target("set.json", read_image_set, ".json", ("json",)),
    Target("set.jsonl", read_image_set, ".jsonl", ("jsonl",)),
    Target("set.csv", read_image_set, ".csv", ("csv",)),
    Target("set.parquet", read_image_set, ".parquet", ("parquet",)),
    Target("release manifest", lambda path: read_release(path.parent), ".csv", ("manifest",), "manifest"),
    Target("release tar", lambda path: contents_of([path], {}), ".tar", ("tar",)),
    Target("release parquet", lambda path: contents_of([path], {}), ".parquet", ("parquet",)),
    Target("release arrays", read_arrays, ".npy", ("npy",)),
    Target("image in a tar", _packed, ".tar", ("tar",)),
    Target("image in a table", _packed, ".parquet", ("parquet",)),
    Target("blocked.json", read_blocked, ".json", ("json",)),
    Target("blocked.csv", read_blocked, ".csv", ("csv",)),
    Target("near duplicates", read_near_duplicates, ".json", ("json",)),
    Target("published duplicates", _published, ".json", ("json",)),
    Target("votes.csv", _votes, ".csv", ("csv",)),
    Target("votes.jsonl", _votes, ".jsonl", ("jsonl",)),
    Target("votes.parquet", _votes, ".parquet", ("parquet",)),
    Target("mturk.csv", _external("mturk-csv"), ".csv", ("mturk",)),
    Target("mturk.json", _external("mturk-json"), ".json", ("json",)),
    Target("hits.json", read_hits, ".json", ("json",)),
    Target("label studio json", _external("label-studio"), ".json", ("studio",)),
    Target("label studio csv", _external("label-studio"), ".csv", ("csv",)),
    Target("class names", read_class_names, ".json", ("json",)),
    Target("predictions.json", read_sheets, ".json", ("json",)),
    Target("predictions.csv", read_sheets, ".csv", ("csv",)),
    Target("predictions.parquet", read_sheets, ".parquet", ("parquet",)),
    Target("predictions.npy", read_sheets, ".npy", ("npy",)),
    Target("predictions.npz", read_sheets, ".npz", ("npz",)),
    Target("evaluated set.json", read_set, ".json", ("json",)),
    Target("evaluated set.npy", read_set, ".npy", ("npy",)),
    Target("results.csv", lambda path: read_results([path]), ".csv", ("csv",)),
    *(
        Target(f"board{suffix}", lambda path: read_boards([path]), suffix, (kind,))
        for suffix, kind in ((".csv", "boards"), (".json", "board"), (".parquet", "parquet"))
    ),
    Target("pool of votes", read_pool, ".csv", ("counts",)),
    Target("labels.csv", read_labels, ".csv", ("csv",)),
    Target("labels.json", read_labels, ".json", ("json",)),
    Target("training.toml", read_training, ".toml", ("training",)),
    Target("about.toml", read_about, ".toml", ("about",)),
    Target("pages.json", read_pages, ".json", ("json",)),
    Target("proposals.csv", read_proposals, ".csv", ("proposals",)),
    Target("agreement.csv", read_agreement, ".csv", ("agreement",)),
    Target("difficulty.csv", read_difficulty, ".csv", ("csv",)),
    Target("templates.txt", lambda path: read_lines(path, templates=True), ".txt", ("lines",)),
    Target("queries.txt", read_queries, ".txt", ("lines",)),
    Target("class list", read_class_list, ".json", ("json",)),
    Target("class map", read_class_map, ".csv", ("csv",)),
    Target("embeddings.npz", read_embeddings, ".npz", ("npz",)),
    Target("logits.npz", read_outputs, ".npz", ("npz",)),
    Target("scores.json", read_scores, ".json", ("json",)),
    Target("checkpoint.npz", _tensors, ".npz", ("npz",)),
    Target("checkpoint.safetensors", _tensors, ".safetensors", ("safetensors",)),
    *(Target(f"checkpoint{suffix}", _tensors, suffix, ("torch",)) for suffix in (".pt", ".ckpt") if TORCH),
    *(Target("predictions.pt", read_sheets, ".pt", ("torch",)) for _ in range(TORCH)),
    Target("pool.parquet", _pool, ".parquet", ("parquet",)),
    Target("pool.tar", _samples, ".tar", ("tar",)),
    Target("url tables.parquet", _url_tables, ".parquet", ("parquet",)),
    Target("url tables.csv", _url_tables, ".csv", ("csv",)),
    Target("url tables.json", _url_tables, ".json", ("json",)),
    Target("captions.csv", caption_rows, ".csv", ("csv",)),
    Target("captions.json", caption_rows, ".json", ("json",)),
    Target("metadata.csv", lambda path: list(rows_of(path, None)), ".csv", ("csv",)),
    Target("metadata.jsonl", lambda path: list(rows_of(path, None)), ".jsonl", ("jsonl",)),
    Target("metadata.parquet", lambda path: list(rows_of(path, None)), ".parquet", ("parquet",)),
    Target("audit.json", lambda path: read_audit(path.parent), ".json", ("audit",), "audit"),
    Target("audit votes", lambda path: audited(path.parent, [path]), ".csv", ("audit votes",)),
    Target("subset.npy", _subset, ".npy", ("npy",)),
    Target("vectors.npy", _vectors, ".npy", ("npy",)),
    Target("vectors.npz", _vectors, ".npz", ("npz",)),
    Target("image", lambda path: shown(path.read_bytes()), ".jpg", ("image",)),
    Target("study", _study, ".sqlite", ("sqlite",), "study"),
)


def seeds(folder: Path) -> Mapping[str, list[bytes]]:
    """Good files of every kind, made here; ``folder``, the place for temporary files, gets a study."""
    rows = [
        {"image_id": f"flickr_{n}", "wnid": "n01443537", "worker_id": "w", "selected": 1, "label": n,
         "url": "https://x.org/a.jpg",
         "id_search_engine": str(n), "search_key": "goldfish", "date_taken": "2014-01-02 03:04:05", "text": "a fish",
         "file": "a.jpg", "photo_id": str(n), "title": "t", "lemmas": "fish;carp", "model": "m", "class": "c",
         "uid": f"{n:032x}"}
        for n in range(3)
    ]  # fmt: skip
    header = ",".join(rows[0])
    table = "\n".join([header, *(",".join(map(str, row.values())) for row in rows)]) + "\n"
    jsons: list[object] = [
        rows, {"image_filenames": [["a.jpg", "n01443537"]]}, {"a": ["b", "c"]}, {"a": 0.5, "b": 0.25},
        {"0": "fish", "1": ["n1", "cat"]},
        {"a": {"l2": [["b", 1.5]], "dssim": [["c", 0.1]]}}, {"a": {"l2": {"references": ["b"]}}}, [0, 1, 2],
        [[0, 1], [1, 0]],
        [{"hit_id": "h", "wnid": "n1", "images_all": ["a"]}], {"n01443537": {"names": ["fish"], "definition": "x"}},
        {"HIT": {"HITId": "h"}, "Assignments": [{"HITId": "h", "WorkerId": "w", "AssignmentStatus": "Approved",
         "Answer": "<x/>"}]},
    ]  # fmt: skip
    arrow = pa.Table.from_pylist([{**row, "image": {"bytes": b"x", "path": "a.jpg"}} for row in rows])
    return {
        "csv": [table.encode(), table.replace(",", ";").encode(), ("\ufeff" + table).encode("utf-16")],
        "manifest": [b"image_id,wnid,file,sha256,license,num_shown\na,n1,images/n1/a.jpg," + b"0" * 64 + b",by,3\n"],
        "mturk": [b"HITId,WorkerId,AssignmentStatus,SubmitTime,Input.images,Answer.selected\nh,w,Approved,x,a|b,a\n"],
        "json": [json.dumps(one).encode() for one in jsons],
        "jsonl": ["\n".join(json.dumps(row) for row in rows).encode()],
        "studio": [json.dumps([
            {"id": 1, "data": {"image_id": "a", "wnid": "n1"}, "annotations": [{"id": 2, "completed_by": 1, "result": [
                {"from_name": "shows", "type": "choices", "value": {"choices": ["yes"]}}]}]}]).encode()],
        "toml": [b'[n01443537]\nlemmas = ["goldfish", "carp"]\ngloss = "a fish"\nhypernyms = ["n1"]\n'],
        "config": [b'seed = 1\nper_class = 10\nstrategy = "matched"\n[a]\nb = [1, 2.5]\n'],
        "boards": [b"model,set,k,n\na,val,5,9\nb,val,6,9\n", b"model,val,new\na,76.1,60.2\nb,80.5,70%\n",
                   b"name,pretrained,fer2013,imagenet1k\nViT-B-32,openai,0.41,0.63\n",
                   b"model,top1,top1_err,top5,param_count\nresnet50,80.1,19.9,95.0,25.6\n"],
        "board": [json.dumps(one).encode() for one in (
            {"dataset": "wds/cars", "model": "ViT-B-32", "pretrained": "openai", "task": "zeroshot_classification",
             "metrics": {"acc1": 0.6, "acc5": 0.9, "mean_per_class_recall": 0.6}, "language": "en"},
            {"results": {"arc": {"acc,none": 0.5, "acc_stderr,none": 0.01}}, "configs": {}, "n-shot": {"arc": 0},
             "n-samples": {"arc": {"original": 10, "effective": 10}}, "model_name": "gpt2"})],
        "audit": [_audit()],
        "audit votes": [b"audit,item,vote,uid,reviewer\naudit-1,1,yes,0,ann\naudit-1,2,unsure,0,\n"],
        "counts": [b"image_id,num_selected,num_shown\na,3,5\nb,0,5\nc,,\n"],
        "training": [b'[[image]]\nfile = "a.png"\nasks = "fish"\nshows = true\nwhy = "a fish"\n'],
        "about": [b'title = "A set"\nurl = "https://example.org/set"\n'],
        "proposals": [b"assignment_id,market,proposal,reason\na1,local,approve,\na2,mturk,reject,too fast\n"],
        "agreement": [b"image_id,agreement\na,0.5\nb,1\n"],
        "lines": [b"a photo of a {}.\n# none\n\nart of {}\n"],
        "parquet": [_parquet(arrow), _parquet(arrow, compression="none", use_dictionary=False)],
        "npy": [_npy(np.arange(4)), _npy(np.eye(4, dtype=np.float32)), _npy(np.zeros(3, "u8,u8"))],
        "npz": [_npz(embeddings=np.eye(4), labels=np.arange(4)), _npz(a=np.eye(4), **{"a.labels": np.arange(4)})],
        "safetensors": [_safetensors()],
        "tar": [_tar(tarfile.GNU_FORMAT), _tar(tarfile.PAX_FORMAT)],
        "image": [_image(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")],
        "sqlite": [_study_file(folder)],
        "torch": _torch_files() if TORCH else [],
    }  # fmt: skip


def _audit() -> bytes:
    return json.dumps({
        "format": "newtest-audit", "version": 1, "audit": "audit-1", "config": {"question": "Is it?"},
        "strata": [{"stratum": "a", "rows": 9, "drawn": 2}, {"stratum": "b", "rows": 1, "drawn": 1}],
        "items": [{"item": n + 1, "stratum": name, "uid": "0", "shard": "0", "row": n} for n, name in enumerate("aab")],
    }).encode()  # fmt: skip


def _parquet(table: pa.Table, **options: object) -> bytes:
    held = io.BytesIO()
    pq.write_table(table, held, **options)
    return held.getvalue()


def _npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def _npz(**arrays: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


def _torch_files() -> list[bytes]:
    """A state dict, what a training script keeps, predictions, and what asks for more than is there."""
    import torch

    weight = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    things = (
        {"w": weight, "b": torch.zeros(3, dtype=torch.bfloat16)},
        {
            "state_dict": {"w": weight, "half": weight[:, :2]},
            "epoch": 3,
            "optimizer": {"state": {0: [weight]}},
        },
        {"labels": torch.arange(4), "files": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]},
        torch.nn.Parameter(weight),
    )
    files = []
    for thing in things:
        held = io.BytesIO()
        torch.save(thing, held)
        files.append(held.getvalue())
    return [*files, *map(_with_pickle, (
        b"\x80\x02c__builtin__\nbytearray\nq\x00J\xff\xff\xff\x7f\x85q\x01Rq\x02.",
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"\x80\x02]q\x00" + b"".join(b"(h%ch%ce]q%c" % (n, n, n + 1) for n in range(9)) + b".",
    ))]  # fmt: skip


def _with_pickle(pickled: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (("data.pkl", pickled), ("byteorder", b"little"), ("version", b"3\n")):
            archive.writestr(f"archive/{name}", data)
    return held.getvalue()


def _tar(form: int) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=form) as tar:
        for name, data in (
            ("a.jpg", b"x" * 600),
            ("a.json", b'{"uid": "0"}'),
            ("d/" + "n" * 120 + ".txt", b"text"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return held.getvalue()[: 8 * 1024]


def _image(kind: str) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)).save(held, kind)
    return held.getvalue()


def _study_file(folder: Path) -> bytes:
    with Study(folder / "seed", create=True):
        pass
    with sqlite3.connect(folder / "seed" / "study.sqlite") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return (folder / "seed" / "study.sqlite").read_bytes()
