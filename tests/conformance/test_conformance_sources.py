"""Flickr's and Openverse's answers as they were recorded in public: what their sources make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from newtest.sources.protocol import images_of
from tests.servers.images import serving
from tests.servers.openverse import OpenverseServer
from tests.sources.test_sources_flickr import RECORDED, answered
from tests.sources.test_sources_openverse import FISH, openverse


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "state"))


UNDATED = {
    "datetaken": "2020-02-10 01:09:34", "datetakengranularity": 0, "datetakenunknown": "1",
    "dateupload": "1581318574", "height_m": 360, "id": "49515058172", "license": "1", "owner": "156582083@N07",
    "url_m": "https://live.staticflickr.com/65535/49515058172_e52c8df29f.jpg", "width_m": 480,
}  # fmt: skip


def test_recorded_photos_are_read() -> None:
    """Two photos of an answer recorded in February 2020: github.com/WordPress/openverse, catalog/tests/dags/providers/
    provider_api_scripts/resources/flickr/flickr_example_pretty.json, without descriptions and tags."""
    dated, undated = answered(RECORDED, UNDATED)
    assert (dated.taken_on, dated.uploaded_on) == ("2011-11-05T15:54:37", "2020-02-10T07:16:51Z")
    assert (dated.license, dated.owner) == ("by-nc-sa-2.0", "markustrois")
    assert (dated.url, dated.width, dated.height) == (RECORDED["url_l"], 660, 1024)
    assert (undated.taken_on, undated.uploaded_on) == (None, "2020-02-10T07:09:34Z"), (
        "the date was that of the upload"
    )
    assert undated.url == UNDATED["url_m"]


def test_a_recorded_answer_is_read() -> None:
    """The example of Openverse's own documentation: github.com/WordPress/openverse, api/api/examples/image_responses.py
    (``base_image``), shortened by its tags and links."""
    reply = {
        "result_count": 1,
        "page_count": 1,
        "page_size": 20,
        "page": 1,
        "results": [
            {
                "id": "4bc43a04-ef46-4544-a0c1-63c63f56e276",
                "title": "Tree Bark Photo",
                "indexed_on": "2022-08-27T17:39:48Z",
                "foreign_landing_url": "https://stocksnap.io/photo/XNVBVXO3B7",
                "url": "https://cdn.stocksnap.io/img-thumbs/960w/XNVBVXO3B7.jpg",
                "creator": "Tim Sullivan",
                "creator_url": "https://www.secretagencygroup.com",
                "license": "cc0",
                "license_version": "1.0",
                "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
                "provider": "stocksnap",
                "source": "stocksnap",
                "category": "photograph",
                "filesize": 896128,
                "filetype": "jpg",
                "tags": [{"accuracy": None, "name": "tree", "unstable__provider": "stocksnap"}],
                "fields_matched": ["title"],
                "mature": False,
                "height": 4016,
                "width": 6016,
                "unstable__sensitivity": [],
            }
        ],
    }

    class Recording(OpenverseServer):
        async def reply(self, request: web.Request) -> web.StreamResponse:
            return web.json_response(reply)

    with serving(Recording({})) as server:
        (image,) = images_of(openverse(server), FISH)
    assert (image.license, image.owner, image.width, image.height) == ("cc0-1.0", "Tim Sullivan", 6016, 4016)
    assert image.page_url == "https://stocksnap.io/photo/XNVBVXO3B7"
    assert image.extra["provider"] == "stocksnap"
