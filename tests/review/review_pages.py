"""Photos in a study, and what tests ask of the reviewer's server over HTTP."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import urlencode

from PIL import Image

from newtest.catalog import review as rows
from newtest.catalog import transaction
from newtest.review import reviewer_link
from newtest.study import Study

TOKEN, WNID = "review-token-of-the-tests", "n01443537"
HOSTILE = "<img src=x onerror=alert(1)>"


def fetch(url: str | urllib.request.Request, data: bytes | None = None) -> tuple[int, bytes]:
    """Status and body, whatever the status."""
    try:
        with urllib.request.urlopen(url, data, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


@dataclass
class Pages:
    study: Study
    url: str

    def link(self, name: str = "ana") -> str:
        return self.url + reviewer_link(self.study, TOKEN, name)

    def get(self, path: str, name: str = "ana") -> bytes:
        status, body = fetch(self.link(name) + path)
        assert status == 200, (path, status, body)
        return body

    def do(self, action: str, *fields: tuple[str, str], name: str = "ana") -> dict[str, object]:
        status, body = self.try_to(action, *fields, name=name)
        assert status == 200, (action, status, body)
        return body

    def try_to(
        self, action: str, *fields: tuple[str, str], name: str = "ana"
    ) -> tuple[int, dict[str, object]]:
        status, body = fetch(self.link(name) + "do/" + action, urlencode(fields).encode())
        return status, json.loads(body)


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def add(study: Study, image_id: str, content: bytes, *, reference: bool = False) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    path = study.image_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with transaction(study.catalog) as catalog:
        catalog.execute(
            "INSERT INTO images (image_id, source, source_id) VALUES (?, 'folder', ?)", (image_id, image_id)
        )
        catalog.execute(
            "INSERT INTO files (image_id, state, sha256, attempts, fetched_at) VALUES (?, 'ok', ?, 1, '')",
            (image_id, sha256),
        )
        if reference:
            catalog.execute("INSERT OR IGNORE INTO references_ VALUES ('val', 'test', 'f', '')")
            catalog.execute("INSERT INTO reference_members VALUES ('val', ?, ?)", (image_id, WNID))
        else:
            catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image_id, WNID))


def revise(study: Study, name: str, *members: str) -> None:
    columns = "config, votes_hash, pool_hash, members_hash, simulated, incomplete, summary, created_at"
    study.catalog.execute(
        f"INSERT INTO revisions (name, {columns}) VALUES (?, '{{}}', '', '', '', 0, 0, '{{}}', '')", (name,)
    )
    for image_id in members:
        study.catalog.execute("INSERT INTO revision_members VALUES (?, ?, ?, 7, 10)", (name, image_id, WNID))


def blocked(study: Study) -> list[str]:
    images = rows.class_images(study.catalog, WNID)
    return images.loc[images["blocked"], "image_id"].tolist()
