"""A study with photos and a close pair, and the reviewer's server in a thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from review_pages import HOSTILE, TOKEN, WNID, Pages, add, jpeg

from newtest.duplicates import scan
from newtest.review import review_app
from newtest.study import Study
from newtest.web.serving import serving


@pytest.fixture
def study(tmp_path: Path, data: Path) -> Iterator[Study]:
    photos = [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:6]]
    with Study(tmp_path / "study", create=True) as opened:
        lemmas = json.dumps([HOSTILE])
        opened.catalog.execute("INSERT INTO classes VALUES (?, ?, ?, '[]', 'file')", (WNID, lemmas, HOSTILE))
        for number, photo in enumerate(photos[:5]):
            add(opened, f"p{number}", photo)
        add(opened, "mirror", jpeg(ImageOps.mirror(Image.open(BytesIO(photos[0])))))
        add(opened, "val", photos[5], reference=True)
        scan(opened)
        yield opened


@pytest.fixture
def pages(study: Study) -> Iterator[Pages]:
    with serving(review_app(study, TOKEN)) as url:
        yield Pages(study, url)
