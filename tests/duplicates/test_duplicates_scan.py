"""The dedup stage on real photos: what it finds, what it keeps, and what running it again costs."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from commands import here
from PIL import Image, ImageOps

from newtest.duplicates import ScanConfig, flags, judge, judge_automatically, scan
from newtest.errors import StudyError, UsageError


def jpeg(image: Image.Image, quality: int = 95) -> bytes:
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos(data: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:12]]


@pytest.fixture
def filled(builder, photos: list[bytes]):
    """Ten strangers; a mirrored and an identical copy in the pool; two originals whose copies are in the pool."""
    builder.add_all({f"p{i:02d}": content for i, content in enumerate(photos[:10])})
    first, second = (Image.open(BytesIO(photos[i])) for i in (0, 1))
    builder.add("mirror0", jpeg(ImageOps.mirror(first)))
    builder.add("same1", photos[1])
    builder.add("orig2", jpeg(Image.open(BytesIO(photos[2])), 60), reference="val")
    builder.add("orig11", photos[11], reference="val")
    builder.add("gone", None)
    assert second.size
    return builder.study


def pairs(study) -> set[tuple[str, str, str]]:
    rows = study.catalog.execute("SELECT image_a, image_b, metric FROM neighbours")
    return {tuple(row) for row in rows}


HASH = "dct144-3"
EXPECTED = {
    ("mirror0", "p00", HASH),
    ("p01", "same1", HASH),
    ("p01", "same1", "bytes"),
    ("orig2", "p02", HASH),
}


def test_scan_finds_copies_and_nothing_else(filled) -> None:
    report = scan(filled)
    assert pairs(filled) == EXPECTED
    assert report.hashed == 13 and not report.broken  # 14 images with bytes, two of them the same file
    assert report.compared == {"pool": 12, "reference:val": 14}
    assert report.new_pairs == {"bytes": 1, HASH: 3}


def test_a_second_scan_compares_only_what_is_new(filled, builder, photos: list[bytes]) -> None:
    scan(filled)
    assert scan(filled).compared == {"pool": 0, "reference:val": 0}
    builder.add("late", jpeg(Image.open(BytesIO(photos[3])), 50))
    builder.add("orig4", jpeg(Image.open(BytesIO(photos[4])), 50), reference="val")
    report = scan(filled)
    assert report.compared == {"pool": 1, "reference:val": 2}
    assert pairs(filled) == EXPECTED | {("late", "p03", HASH), ("orig4", "p04", HASH)}


def test_a_larger_radius_compares_again(filled) -> None:
    scan(filled, ScanConfig(radius=0))
    report = scan(filled, ScanConfig(radius=22))
    assert report.compared["pool"] == 12
    assert pairs(filled) == EXPECTED


def test_flags_before_and_after_judging(filled) -> None:
    assert not flags(filled)[["near_duplicate", "unreviewed"]].any(axis=None)  # dedup never ran
    scan(filled)
    assert judge_automatically(filled) == {"automatic:identical-bytes": 1}
    table = flags(filled).set_index("image_id")
    assert table.index.tolist() == sorted(table.index)
    assert table.index[table["near_duplicate"]].tolist() == ["same1"]  # the smaller id stays
    assert table.index[table["unreviewed"]].tolist() == ["gone", "mirror0", "p00", "p02"]
    assert table.loc["gone", "reason"] == "no bytes to compare"
    judge(filled, [("p02", "orig2")], duplicate=True, reviewer="ana")
    judge(filled, [("mirror0", "p00")], duplicate=False, reviewer="ana")
    table = flags(filled).set_index("image_id")
    assert table.index[table["near_duplicate"]].tolist() == ["p02", "same1"]
    assert table.loc["p02", "reason"] == "duplicate of orig2, which is in a reference set"
    assert table.index[table["unreviewed"]].tolist() == ["gone"]


def test_thresholds_say_how_close_is_close(filled) -> None:
    scan(filled)
    judge_automatically(filled)
    near = flags(filled, thresholds={HASH: -1}).set_index("image_id")
    assert near.index[near["unreviewed"]].tolist() == ["gone"]


def test_automatic_rules_never_overrule_a_person(filled) -> None:
    scan(filled)
    judge(filled, [("p01", "same1")], duplicate=False, reviewer="ana")
    assert judge_automatically(filled, radius=8) == {
        "automatic:identical-bytes": 0,
        "automatic:dct144-3<=8": 2,
    }
    assert "same1" not in set(flags(filled).query("near_duplicate")["image_id"])


@pytest.mark.parametrize("radius", [-1, 17])
def test_a_loose_automatic_radius_is_refused(filled, radius: int) -> None:
    with pytest.raises(UsageError, match="let people judge"):
        judge_automatically(filled, radius=radius)


def test_judging_needs_a_name_and_two_images(filled) -> None:
    with pytest.raises(UsageError, match="name is required"):
        judge(filled, [("p00", "p01")], duplicate=True, reviewer="automatic:me")
    with pytest.raises(UsageError, match="itself"):
        judge(filled, [("p00", "p00")], duplicate=True, reviewer="ana")


def test_broken_files_are_reported_and_not_called_compared(filled, builder) -> None:
    builder.add("broken", b"\xff\xd8\xff not a picture")
    report = scan(filled)
    assert [reason for reason in report.broken.values() if "cannot be read" in reason]
    reason = flags(filled).set_index("image_id").loc["broken", "reason"]
    assert reason == "not yet compared with pool by bytes"


def test_turned_pictures_are_found_on_request(builder, photos: list[bytes]) -> None:
    builder.add("a", photos[0])
    builder.add("b", jpeg(Image.open(BytesIO(photos[0])).rotate(90, expand=True)))
    assert scan(builder.study).new_pairs[HASH] == 0
    assert scan(builder.study, ScanConfig(turns=True)).new_pairs[HASH] == 1
    builder.add("c", jpeg(Image.open(BytesIO(photos[1]))))
    builder.add("d", jpeg(Image.open(BytesIO(photos[1])).rotate(180)))
    assert scan(builder.study).new_pairs[HASH] == 1  # as before: a study goes on with what it looks by


def test_one_scan_at_a_time(filled) -> None:
    with filled.exclusive("dedup"), pytest.raises(StudyError, match="already running"):
        scan(filled)


def test_command_prints_json_and_says_what_failed(filled, builder) -> None:
    command = ("dedup", "--study", filled.root)
    done = here(*command, "--json", "--auto-radius", "10")
    answer = json.loads(done.stdout)
    assert answer["near_duplicate"] == 3 and answer["unreviewed"] == 1
    assert answer["verdicts"] == {"automatic:identical-bytes": 1, "automatic:dct144-3<=10": 2}
    builder.add("broken", b"\xff\xd8\xff not a picture")
    failed = here(*command)
    assert failed.returncode == 1 and "cannot be read" in failed.stderr
    wrong = here(*command, "--radius", "99")
    assert wrong.returncode == 2 and "radius must be" in wrong.stderr
    assert isinstance(flags(filled), pd.DataFrame)
