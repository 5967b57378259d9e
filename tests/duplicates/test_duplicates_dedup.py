"""One run after another: a study goes on with what it looks by, and leaves out what it is told to."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance
from watchers import Watcher

from newtest.catalog import pair_searches
from newtest.duplicates import DedupRequest, dedup, flags, unreviewed_pairs
from newtest.errors import UsageError


def brighter(photo: bytes, factor: float) -> bytes:
    buffer = BytesIO()
    ImageEnhance.Brightness(Image.open(BytesIO(photo)).convert("RGB")).enhance(factor).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def photos(builder, data: Path) -> list[bytes]:
    """Four strangers in the pool; the bytes of six photos."""
    found = [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:6]]
    builder.add_all({f"p{i}": content for i, content in enumerate(found[:4])})
    return found


def reasons(study) -> dict[str, str]:
    return flags(study).dropna(subset=["reason"]).set_index("image_id")["reason"].to_dict()


def test_a_plain_run_goes_on_with_every_metric(builder, photos: list[bytes]) -> None:
    study = builder.study
    dedup(study, DedupRequest(l2=True, dssim=True, radius=20))
    assert reasons(study) == {}
    builder.add("late", brighter(photos[0], 1.1))
    assert reasons(study) == {"late": "not yet compared with pool by bytes"}
    report = dedup(study, DedupRequest())
    assert report.new_pairs == {"bytes": 0, "dct144-3": 1, "l2-256": 1} and report.dssim == {
        "measured": 1,
        "close": 1,
    }
    assert {search.name: search.settings.get("radius") for search in report.looked_by} == {
        "bytes": None, "dssim": None, "hash": 20, "l2": None,
    }  # fmt: skip
    assert set(reasons(study)) == {"late", "p0"}
    builder.add("stranger", photos[5])
    dedup(study, DedupRequest())
    assert "stranger" not in reasons(study)


def test_a_new_metric_covers_what_was_there_at_once(builder, photos: list[bytes]) -> None:
    dedup(builder.study, DedupRequest())
    dedup(builder.study, DedupRequest(l2=True))
    assert reasons(builder.study) == {}


def test_a_killed_run_leaves_what_it_did_not_compare_unreviewed(
    builder, photos: list[bytes], monkeypatch
) -> None:
    class Killed(Watcher):
        def advance(self, what: str, done: int = 1, total: int | None = None) -> None:
            raise KeyboardInterrupt

    dedup(builder.study, DedupRequest())
    from newtest.duplicates import measure_l2

    with pytest.raises(KeyboardInterrupt):
        measure_l2(builder.study, progress=Killed())
    assert set(reasons(builder.study).values()) == {"not yet compared with pool by l2-256"}
    dedup(builder.study, DedupRequest())
    assert reasons(builder.study) == {}


def test_a_metric_that_is_left_out_asks_nobody_any_more(builder, photos: list[bytes]) -> None:
    study = builder.study
    builder.add("bright", brighter(photos[0], 1.3))
    dedup(study, DedupRequest(radius=0, l2=True, dssim=True))  # only L2 sees it, and has its DSSIM measured
    assert set(unreviewed_pairs(study)["metric"]) == {"l2-256", "dssim-35"}
    dedup(study, DedupRequest(without=("l2", "dssim")))
    assert unreviewed_pairs(study).empty and reasons(study) == {}
    builder.add("late", photos[4])
    report = dedup(study, DedupRequest())
    assert set(report.new_pairs) == {"bytes", "dct144-3"} and reasons(study) == {}
    dedup(study, DedupRequest(l2=True))
    assert set(unreviewed_pairs(study)["metric"]) == {"l2-256"}
    kept = study.catalog.execute(
        "SELECT name, dropped FROM pair_searches WHERE name = 'l2' ORDER BY search_id"
    )
    assert [tuple(row) for row in kept] == [("l2", 0), ("l2", 1), ("l2", 0)]


def test_what_cannot_be_left_out(builder, photos: list[bytes]) -> None:
    dedup(builder.study, DedupRequest(l2=True))
    for request in (DedupRequest(without=("hash",)), DedupRequest(without=("dssim",))):
        with pytest.raises(UsageError, match="looks for pairs by l2"):
            dedup(builder.study, request)
    with pytest.raises(UsageError, match="asked for and left out"):
        dedup(builder.study, DedupRequest(l2=True, without=("l2",)))
    assert set(pair_searches.chosen(builder.study.catalog)) == {"bytes", "hash", "l2"}
