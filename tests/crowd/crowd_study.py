"""A study with drawn images, its HITs published, and the crowd server that shows them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import PIL.Image
import PIL.ImageDraw

from newtest.catalog import transaction
from newtest.crowd.annotators import PublishConfig, publish
from newtest.crowd.hits import PlanConfig
from newtest.crowd.links import invite
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.planning import make_plan, store_plan
from newtest.crowd.server.app import crowd_app, crowd_keys
from newtest.crowd.server.settings import ServerConfig
from newtest.records import image_id_of
from newtest.study import Study, now
from newtest.web.serving import serving

TOKEN = "owner-token-of-the-tests"
GOLDFISH, TENCH = "n01443537", "n01440764"
SMALL = PlanConfig(images=12, positive=2, negative=2, assignments=2, examples=0)


@dataclass
class Clock:
    """A server's clock that a test sets."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Crowd:
    """A running server on a study."""

    study: Study
    url: str
    clock: Clock
    links: list[str] = field(default_factory=list)

    def invite(self, name: str) -> str:
        """A worker's link."""
        with transaction(self.study.catalog):
            token = invite(self.study.catalog, crowd_keys(self.study), self.study.worker_key, name)
        return f"{self.url}/work/{token}/"


def picture(number: int, *, fish: bool) -> bytes:
    """A drawn photo: an orange fish, or a grey one."""
    image = PIL.Image.new("RGB", (160, 120), (40 + number % 160, 120, 180))
    draw = PIL.ImageDraw.Draw(image)
    colour = (240, 140, 20) if fish else (110, 110, 100)
    draw.ellipse((40, 40, 110, 85), fill=colour)
    draw.polygon([(105, 62), (135, 40), (135, 85)], fill=colour)
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def add_image(study: Study, source: str, name: str, data: bytes) -> str:
    image_id = image_id_of(source, name)
    sha256 = hashlib.sha256(data).hexdigest()
    path = study.image_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    study.catalog.execute(
        "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)", (image_id, source, name)
    )
    study.catalog.execute(
        "INSERT INTO files (image_id, state, sha256, num_bytes, attempts, fetched_at) VALUES (?, 'ok', ?, ?, 1, ?)",
        (image_id, sha256, len(data), now()),
    )
    return image_id


def fill(study: Study, *, candidates: int, references: int) -> None:
    """Two classes with candidates and with members of a reference set."""
    catalog = study.catalog
    catalog.execute("INSERT INTO references_ VALUES ('val', 'drawn', 'x', ?)", (now(),))
    for wnid, lemmas, gloss in (
        (GOLDFISH, ["goldfish", "Carassius auratus"], "small golden or orange-red freshwater fishes"),
        (TENCH, ["tench", "Tinca tinca"], "freshwater dace-like game fish of Europe and western Asia"),
    ):
        catalog.execute(
            "INSERT INTO classes VALUES (?, ?, ?, '[]', 'wordnet-3.0')", (wnid, json.dumps(lemmas), gloss)
        )
        for n in range(candidates):
            data = picture(n, fish=(wnid == GOLDFISH) == (n % 3 > 0))
            image = add_image(study, "folder", f"{wnid}-{n}", data)
            catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image, wnid))
        for n in range(references):
            data = picture(100 + n, fish=wnid == GOLDFISH)
            image = add_image(study, "reference:val", f"{wnid}-{n}", data)
            catalog.execute("INSERT INTO reference_members VALUES ('val', ?, ?)", (image, wnid))
            catalog.execute("INSERT OR IGNORE INTO vote_batches VALUES ('r', 'imported', 'x', ?)", (now(),))
            catalog.execute("INSERT INTO vote_counts VALUES (?, ?, 9, 10, 'r')", (image, wnid))


def similar(wnid: str) -> list[str]:
    return [TENCH] if wnid == GOLDFISH else [GOLDFISH]


def plan(study: Study, config: PlanConfig = SMALL) -> int:
    return store_plan(study, make_plan(study.catalog, config, similar))


@contextmanager
def crowd(study: Study, *, published: bool = True, **config: object) -> Iterator[Crowd]:
    """The server of a study, on a clock of its own."""
    clock = Clock()
    if published:
        plan(study)
        hits = [row[0] for row in study.catalog.execute("SELECT hit_id FROM hits ORDER BY hit_id")]
        publish(study, LocalAnnotator(clock), PublishConfig(), hits)
    settings = ServerConfig(access_token=TOKEN, clock=clock, **config)  # type: ignore[arg-type]
    with serving(crowd_app(study, settings)) as url:
        yield Crowd(study, url, clock)
