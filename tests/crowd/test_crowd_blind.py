"""Nothing but what a picture shows tells an original image from a candidate: a classifier is trained on the rest.

Originals of a real study are smaller, have names of their own, and are shown again and again; candidates are large and
new. Everything that a worker's browser can learn of a picture beside its pixels' content goes into the features.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from crowd_study import GOLDFISH, TENCH, Crowd, crowd
from test_crowd_server import ask, begin

from newtest.catalog import transaction
from newtest.catalog.crowd import hit_images
from newtest.crowd.annotators import PublishConfig, publish
from newtest.crowd.hits import PlanConfig
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.planning import make_plan, store_plan
from newtest.study import Study, now

FORTY = PlanConfig(images=40, positive=10, negative=10, assignments=1, examples=0)


def photo(size: tuple[int, int], seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    out = io.BytesIO()
    PIL.Image.fromarray(noise).resize(size, PIL.Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def add(study: Study, image_id: str, source: str, data: bytes) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    study.image_path(sha256).parent.mkdir(parents=True, exist_ok=True)
    study.image_path(sha256).write_bytes(data)
    study.catalog.execute(
        "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)", (image_id, source, image_id)
    )
    study.catalog.execute(
        "INSERT INTO files (image_id, state, sha256, num_bytes, attempts, fetched_at) VALUES (?, 'ok', ?, ?, 1, ?)",
        (image_id, sha256, len(data), now()),
    )


@pytest.fixture
def unlike(tmp_path: Path) -> Study:
    """A study whose originals differ from its candidates in name, size and age."""
    study = Study(tmp_path / "unlike", create=True)
    with transaction(study.catalog):
        study.catalog.execute("INSERT INTO references_ VALUES ('val', 'x', 'x', ?)", (now(),))
        study.catalog.execute("INSERT OR IGNORE INTO vote_batches VALUES ('r', 'imported', 'x', ?)", (now(),))
        for number, wnid in enumerate((GOLDFISH, TENCH)):
            study.catalog.execute(
                "INSERT INTO classes VALUES (?, ?, 'a fish', '[]', 'wordnet-3.0')", (wnid, json.dumps([wnid]))
            )
            for n in range(20):
                image_id = hashlib.sha1(f"{wnid}/{n}".encode()).hexdigest()
                add(study, image_id, "flickr", photo((1200, 900), 1000 * number + n))
                study.catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image_id, wnid))
            for n in range(20):
                image_id = f"ILSVRC2012_val_{number}{n:07}"
                add(study, image_id, "reference:val", photo((320, 240), 1000 * number + 500 + n))
                study.catalog.execute("INSERT INTO reference_members VALUES ('val', ?, ?)", (image_id, wnid))
                study.catalog.execute("INSERT INTO vote_counts VALUES (?, ?, 9, 10, 'r')", (image_id, wnid))
    return study


def features(server: Crowd, link: str, group: str) -> tuple[list[list[float]], list[bool]]:
    """What the page and the answers tell of each picture, and whether it is an original."""
    task = begin(server, link, group)
    assert task is not None
    page = ask(task + "/page").text
    rows = []
    for place, cell in enumerate(re.findall(r'<li class="cell".*?</li>', page, re.DOTALL)):
        (address,) = re.findall(r'src="(/picture/[^"]+)"', cell)
        headers, image, seconds = picture_of(server, address)
        _, _, again = picture_of(server, address)
        said = {name: value for name, value in headers.items() if name != "date"}
        tables = sorted(image.quantization.items())  # type: ignore[attr-defined]
        letters = address.removeprefix("/picture/")
        rows.append(
            [
                len(cell) - len(re.findall(r'data-n="(\d+)"', cell)[0]) * 4,
                len(address),
                *(letters.count(kind) for kind in "AQgw-_"),
                float(sum(map(str.isdigit, letters))),
                float(headers["content-length"]),
                zlib.crc32(json.dumps(sorted(said.items())).encode()),
                *image.size,
                zlib.crc32(json.dumps([sorted(map(str, image.info)), image.format, tables]).encode()),
                seconds,
                again,
                place,
            ]
        )
    lease = server.study.catalog.execute(
        "SELECT h.hit_id FROM market_assignments a JOIN market_hits h USING (market_hit_id) WHERE a.assignment_id = ?",
        (task.rpartition("/")[2],),
    ).fetchone()
    roles = [image.role in ("positive", "negative") for image in hit_images(server.study.catalog, lease[0])]
    return rows, roles


def picture_of(server: Crowd, address: str) -> tuple[dict[str, str], PIL.Image.Image, float]:
    started = time.perf_counter()
    with urllib.request.urlopen(server.url + address) as response:
        data = response.read()
    seconds = time.perf_counter() - started
    headers = {name.lower(): value for name, value in response.headers.items()}
    return headers, PIL.Image.open(io.BytesIO(data)), seconds


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    order = scores.argsort(kind="stable").argsort().astype(float)
    for value in np.unique(scores):  # ties share their rank
        order[scores == value] = order[scores == value].mean()
    positives = labels.sum()
    ranks = order[labels].sum() - positives * (positives - 1) / 2
    return float(ranks / (positives * (len(labels) - positives)))


def test_a_classifier_of_everything_but_the_content_is_no_better_than_chance(unlike: Study) -> None:
    """Trained on one class's HIT and tried on the other's, it stays within what shuffled labels give (p > .001)."""
    with unlike, crowd(unlike, published=False) as server:
        plan = make_plan(unlike.catalog, FORTY, lambda wnid: [TENCH] if wnid == GOLDFISH else [GOLDFISH])
        store_plan(unlike, plan)
        publish(unlike, LocalAnnotator(server.clock), PublishConfig(), [hit.hit_id for hit in plan.hits])
        halves = []
        for group in (GOLDFISH, TENCH):
            rows, roles = features(server, server.invite("ann"), group)
            halves.append((np.array(rows, float), np.array(roles)))
    (train, truth), (test, labels) = halves
    assert truth.sum() == labels.sum() == 20
    varying = np.ptp(train, axis=0) > 0
    for column, name in {
        1: "address",
        9: "bytes",
        10: "headers",
        11: "width",
        12: "height",
        13: "metadata and coding",
    }.items():
        assert not varying[column], (name, np.unique(train[:, column]))  # alike: nothing to train on
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-9
    gap = ((train - mean) / spread)[truth].mean(axis=0) - ((train - mean) / spread)[~truth].mean(axis=0)
    scores = ((test - mean) / spread) @ gap
    found = abs(auc(scores, labels) - 0.5)
    shuffled = np.random.default_rng(0)
    chance = [abs(auc(scores, shuffled.permutation(labels)) - 0.5) for _ in range(2_000)]
    assert (np.array(chance) >= found).mean() > 0.001
