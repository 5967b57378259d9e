from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import here
from release_study import drawn_study
from servers.images import made_photo

from newtest.errors import ReleaseError, UsageError
from newtest.fetching import fetch_missing
from newtest.files import sha256_of
from newtest.releasing import build_release
from newtest.releasing.check import Finding, check_set
from newtest.releasing.copies import check_copies
from newtest.releasing.evidence import (
    Evidence,
    read_blocked,
    read_near_duplicates,
    read_reference,
    study_evidence,
)
from newtest.releasing.sets import SetMember, SetToCheck, read_folder, read_release, read_revision, read_table
from newtest.releasing.targets import set_to_check


def items(findings: list[Finding], check: str, severity: str = "error") -> list[str]:
    return [item for f in findings if (f.check, f.severity) == (check, severity) for item in f.items]


def test_the_published_set_has_the_defects_that_are_known(data: Path) -> None:
    """FACTS.md, section 3: one blocked member, two pairs inside, one member next to a validation image."""
    v2 = data / "imagenetv2"
    evidence = Evidence(
        read_blocked(v2 / "metadata" / "candidate_blacklist.json"),
        read_near_duplicates(v2 / "metadata" / "near_duplicates.json"),
        read_reference(v2 / "datasets" / "imagenet-validation-original.json"),
    )
    findings = check_set(read_table(v2 / "datasets" / "imagenetv2-b-33.json"), evidence)
    errors = {f.check: f.items for f in findings if f.severity == "error"}
    assert set(errors) == {"blocked", "near-duplicates"}
    assert [item.split()[0] for item in errors["blocked"]] == ["2c7af50194e611dd6a445bc20004417b4ea3b865"]
    assert items(findings, "near-duplicates") == [
        "0cf73b97b86415673e59550d200d3479f5640d04 ~ 8188a2e9367cf6fb8e73ce000de1fa0a0ac3efc3",
        "15309fc974129bee83757c7a8e32189672d6c67b ~ fafb2fcef80ff93bc881808ecf5bfd2b39479121",
        "dfc2eea7c7e0d6bdb3e300f959ece20c37ad4bf7 ~ ILSVRC2012_val_00034218.JPEG",
    ]


def test_a_release_of_ours_passes_but_for_its_licences_and_the_image_in_two_classes(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out")
    found = read_release(tmp_path / "out")
    findings = check_set(found, Evidence())
    assert items(findings, "licences") == ["i002"]
    assert items(findings, "ids twice") == ["i000 in apple, pear"]
    assert items(findings, "balance") == ["apple (3)"]
    assert {f.check for f in findings if f.severity == "error"} == {"licences", "ids twice", "balance"}


def test_changed_missing_and_added_files_of_a_release_are_found(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out")
    images = tmp_path / "out" / "images"
    (images / "apple" / "i001.jpg").chmod(0o644)
    (images / "apple" / "i001.jpg").write_bytes(made_photo(77))
    (images / "pear" / "i004.jpg").unlink()
    (images / "pear" / "more.jpg").write_bytes(b"x")
    findings = check_set(read_release(tmp_path / "out"), Evidence())
    assert items(findings, "bytes") == [
        str(images / "apple" / "i001.jpg"),
        f"{images / 'pear' / 'i004.jpg'} (missing)",
    ]
    assert items(findings, "bytes", "warning") == [str(images / "pear" / "more.jpg")]


def summed(folder: Path) -> None:
    """Write SHA256SUMS anew, as somebody does who packs the archives once more."""
    sums = folder / "SHA256SUMS"
    files = [line[66:] for line in sums.read_text().splitlines()]
    sums.chmod(0o644)
    sums.write_text("".join(f"{sha256_of(folder / file)}  {file}\n" for file in files))


def repacked(tar: Path, other: bytes, *, drop: str, change: str) -> None:
    """The same tar with one sample left out and the bytes of another image replaced."""
    with tarfile.open(tar) as old:
        kept = [(info, old.extractfile(info).read()) for info in old]  # type: ignore[union-attr]
    tar.chmod(0o644)
    with tarfile.open(tar, "w") as new:
        for info, data in kept:
            if drop not in info.name:
                changed = other if change in info.name and info.name.endswith(".jpg") else data
                info.size = len(changed)
                new.addfile(info, io.BytesIO(changed))


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_each_image_inside_an_archive_is_held_against_the_manifest(tmp_path: Path, form: str) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out", formats=(form,))
    assert items(check_set(read_release(tmp_path / "out"), Evidence()), "bytes") == []
    if form == "webdataset":
        archive = tmp_path / "out" / "shards" / "00000.tar"
        repacked(archive, made_photo(77), drop="pear/i004", change="apple/i001")
        changed = f"{archive}#apple/i001.jpg"
    else:
        [archive] = (tmp_path / "out" / "parquet").glob("*.parquet")
        table = pq.read_table(archive)
        rows = table.to_pylist()
        rows[1]["image"]["bytes"] = made_photo(77)
        assert rows[1]["image_id"] == "i001"
        rows = [row for row in rows if row["image_id"] != "i004"]
        archive.chmod(0o644)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), archive)
        changed = f"{archive}#row 1"
    assert items(check_set(read_release(tmp_path / "out"), Evidence()), "bytes")[0] == str(archive)
    summed(tmp_path / "out")
    missing = f"i004 in pear ({archive.suffix[1:]})"
    assert items(check_set(read_release(tmp_path / "out"), Evidence()), "bytes") == [changed, missing]
    archive.write_bytes(archive.read_bytes()[:-1500] if form == "parquet" else archive.read_bytes()[:2000])
    summed(tmp_path / "out")
    assert items(check_set(read_release(tmp_path / "out"), Evidence()), "bytes")[0].startswith(f"{archive} (")


def test_a_revision_is_checked_against_what_its_study_knows(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        study.catalog.execute(
            "INSERT INTO blocks (image_id, wnid, blocked, reason, reviewer, given_at)"
            " VALUES ('i004', 'pear', 1, 'a drawing', 'me', '2026-01-01')"
        )
        study.catalog.execute(
            "INSERT INTO verdicts (image_a, image_b, duplicate, reviewer, given_at)"
            " VALUES ('i001', 'i003', 1, 'me', '2026-01-01')"
        )
        findings = check_set(read_revision(study, "a-0"), study_evidence(study), min_votes=11)
        assert items(findings, "blocked") == ["i004 (blocked in the study)"]
        assert items(findings, "near-duplicates") == ["i001 ~ i003"]
        assert len(items(findings, "votes")) == 7
        with pytest.raises(UsageError, match="neither a path nor a revision"):
            read_revision(study, "b-9")


def test_a_path_does_not_hide_a_revision_of_its_name_without_a_word(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with drawn_study(tmp_path) as study:
        root = study.root
    (tmp_path / "here").mkdir()
    photo_tree(tmp_path / "here" / "a-0", data, ["n01"])
    monkeypatch.chdir(tmp_path / "here")
    found, _ = set_to_check("a-0", root)
    assert found.kind == "folder" and "study:a-0 is the revision" in found.note
    assert set_to_check("./a-0", root)[0].note == ""
    assert set_to_check("study:a-0", root)[0].kind == "revision"


def photo_tree(root: Path, data: Path, folders: list[str]) -> Path:
    photos = sorted((data / "images").iterdir())
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for offset in (0, 1):
            source = photos[2 * number + offset]
            shutil.copy(source, root / folder / source.name)
    return root


def test_numbered_folders_that_sort_wrongly_are_an_error(tmp_path: Path, data: Path) -> None:
    bad = read_folder(photo_tree(tmp_path / "bad", data, ["0", "1", "2", "10"]))
    assert items(check_set(bad, Evidence()), "folder names") == ["10", "2"]
    padded = read_folder(photo_tree(tmp_path / "good", data, ["00", "01", "02", "10"]))
    assert check_set(padded, Evidence()) == []


def test_copies_are_found_in_the_pixels_inside_and_across(tmp_path: Path, data: Path) -> None:
    tree = photo_tree(tmp_path / "tree", data, ["a", "b"])
    (first, second), (third, fourth) = (sorted((tree / name).iterdir()) for name in "ab")
    shutil.copy(first, tree / "b" / "again.JPEG")
    with PIL.Image.open(second) as image:
        (tmp_path / "val" / "a").mkdir(parents=True)
        image.resize((image.width * 7 // 10, image.height * 7 // 10)).save(
            tmp_path / "val" / "a" / "val_1.JPEG"
        )
    shutil.copy(third, tmp_path / "val" / "a" / "val_2.JPEG")
    (tree / "b" / fourth.name).write_bytes(b"not an image")
    findings = check_copies(read_folder(tree), Evidence(reference=read_reference(tmp_path / "val")))
    assert [item.split(" ")[0] for item in items(findings, "bytes")] == [fourth.name]
    assert items(findings, "copies") == [f"again.JPEG ~ {first.name}", f"{third.name} ~ val_2.JPEG"]
    assert items(findings, "copies", "warning") == [f"{second.name} ~ val_1.JPEG"]


@pytest.mark.parametrize("formats", [("webdataset",), ("parquet",), ("webdataset", "parquet")])
def test_copies_inside_archives_are_found_as_those_in_files_are(
    tmp_path: Path, formats: tuple[str, ...]
) -> None:
    with drawn_study(tmp_path, fetch=False) as study:
        shutil.copy(tmp_path / "photos" / "1.jpg", tmp_path / "photos" / "4.jpg")
        fetch_missing(study)
        build_release(study, "a-0", tmp_path / "loose")
        build_release(study, "a-0", tmp_path / "packed", formats=formats)
    original = tmp_path / "val" / "apple" / "val_2.jpg"
    original.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "photos" / "2.jpg", original)
    evidence = Evidence(reference=read_reference(tmp_path / "val"))
    packed = read_release(tmp_path / "packed")
    findings = check_copies(packed, evidence)
    assert items(findings, "copies") == ["i001 ~ i004", "i002 ~ val_2.jpg"]
    assert findings == check_copies(read_release(tmp_path / "loose"), evidence)
    for archive in packed.archives:
        archive.chmod(0o644)
        archive.write_bytes(archive.read_bytes()[:20_000])  # what can be read of it is compared
    assert set(items(check_copies(packed, evidence), "copies")) <= {"i001 ~ i004", "i002 ~ val_2.jpg"}


def test_a_picture_inside_an_archive_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out", formats=["webdataset"])
    archive = tmp_path / "out" / "shards" / "00000.tar"
    repacked(archive, b"not an image", drop="nothing", change="pear/i004")
    [finding] = [f for f in check_copies(read_release(tmp_path / "out"), Evidence()) if f.check == "bytes"]
    assert finding.message == "images that cannot be decoded: 1"
    assert finding.items[0].startswith("i004 (")


def test_lists_are_read_in_each_of_their_forms(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("x\n\ny\n")
    (tmp_path / "b.csv").write_text("image_id,wnid,reason\nx,apple,drawn\n")
    (tmp_path / "n.csv").write_text("image_a,image_b\nb,a\n")
    (tmp_path / "n.json").write_text(json.dumps({"a": ["b", "a"], "b": ["a"]}))
    assert set(read_blocked(tmp_path / "b.txt")) == {("x", None), ("y", None)}
    assert read_blocked(tmp_path / "b.csv") == {("x", "apple"): "drawn"}
    assert (
        read_near_duplicates(tmp_path / "n.csv") == read_near_duplicates(tmp_path / "n.json") == {("a", "b")}
    )
    with pytest.raises(UsageError, match="column 'image_a' is missing"):
        read_near_duplicates(tmp_path / "b.csv")


def test_the_command_says_which_and_fails(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PIL.Image.linear_gradient("L").save(buffer, "PNG")
    for name in ("0", "1", "10"):
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set" / "0" / "a.png").write_bytes(buffer.getvalue())
    done = here("check", tmp_path / "set", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(f["check"], f["items"]) for f in report["findings"]] == [("balance", ["1 (0)", "10 (0)"])]
    wrong = here("check", tmp_path / "no-such")
    assert wrong.returncode == 1 and "no such file or folder" in wrong.stderr


def test_a_photo_in_two_folders_keeps_its_id_and_is_found_blocked(tmp_path: Path) -> None:
    """One name in two folders must not rename every image: known blocks and duplicates would all be missed."""
    twice, once = "a" * 40, "b" * 40
    for place in (
        f"0/{twice}.jpeg",
        f"1/{twice}.jpeg",
        f"0/{once}.jpeg",
        "1/001.jpg",
        "0/001.jpg",
        "1/002.jpg",
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"x")
    found = read_folder(tmp_path)
    assert sorted(m.image_id for m in found.members) == [
        "002.jpg",
        "0_001.jpg",
        "1_001.jpg",
        twice,
        twice,
        once,
    ]
    findings = check_set(found, Evidence(blocked={(once, None): ""}))
    assert items(findings, "blocked") == [f"{once} (no reason given)"]
    assert items(findings, "ids twice") == [f"{twice} in 0, 1"]


def members(*pairs: tuple[str, str]) -> list[SetMember]:
    return [SetMember(*pair) for pair in pairs]


def test_an_empty_set_and_equally_common_sizes(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text('{"image_filenames": []}')
    (finding,) = check_set(read_table(tmp_path / "empty.json"), Evidence())
    assert (finding.check, finding.message) == ("balance", "the set holds no images")
    for rows in (members(("1", "a"), ("2", "a"), ("3", "b")), members(("3", "b"), ("1", "a"), ("2", "a"))):
        assert items(check_set(SetToCheck("s", "json", rows), Evidence()), "balance") == ["b (1)"]


def test_ids_may_hold_what_separates_pairs() -> None:
    found = SetToCheck("s", "json", members(("a ~ b", "x"), ("c", "x")))
    evidence = Evidence(pairs=frozenset({("a ~ b", "original")}), reference={"original": None})
    assert items(check_set(found, evidence), "near-duplicates") == ["a ~ b ~ original"]


def test_folders_that_differ_in_case_alone_are_an_error() -> None:
    found = SetToCheck("s", "folder", members(("1", "Cat"), ("2", "cat")), folders=["Cat", "cat"])
    assert items(check_set(found, Evidence()), "folder names") == ["Cat, cat"]


def test_a_strangers_release_neither_hangs_the_check_nor_leads_it_astray(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out")
    out = tmp_path / "out"
    for file in (out / "SHA256SUMS", out / "manifest.csv"):
        file.chmod(0o644)
    sums = (out / "SHA256SUMS").read_text()
    for place in ("/dev/zero", "../study/study.key"):
        (out / "SHA256SUMS").write_text(f"{sums}{'0' * 64}  {place}\n")
        with pytest.raises(ReleaseError, match=f"SHA256SUMS names '{place}', which is not in the release"):
            read_release(out)
    (out / "SHA256SUMS").write_text(sums)
    (out / "images/apple/i001.jpg").unlink()
    os.mkfifo(out / "images/apple/i001.jpg")
    found = check_set(read_release(out), Evidence())
    assert items(found, "bytes") == [f"{out / 'images/apple/i001.jpg'} (missing)"]
    (out / "manifest.csv").write_text("image_id,wnid,file,sha256,license,num_shown\n1,a,f,0,,many\n")
    with pytest.raises(ReleaseError, match=r"not a whole release of newtest .*many"):
        read_release(out)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.json", '"one"', "wanted is an object, id -> reason, or a list of ids"),
        ("b.txt", b"\xff", "not UTF-8 text"),
    ],
)
def test_a_list_of_blocked_that_is_none_is_said(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError, match=message):
        read_blocked(tmp_path / name)


def test_one_duplicate_that_is_no_list_is_said(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text('{"one": "two"}')
    with pytest.raises(UsageError, match="id -> list of ids"):
        read_near_duplicates(tmp_path / "n.json")


def test_members_may_be_duplicates_through_an_image_outside_the_set() -> None:
    found = SetToCheck("s", "json", members(("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("e", "x")))
    pairs = [
        ("a", "out1"),
        ("out1", "out2"),
        ("b", "out2"),
        ("c", "d"),
        ("c", "out3"),
        ("d", "out3"),
        ("e", "out4"),
    ]
    evidence = Evidence(
        pairs=frozenset((min(pair), max(pair)) for pair in [*pairs, ("original", "out4")]),
        reference={"original": None},
    )
    assert items(check_set(found, evidence), "near-duplicates") == [
        "c ~ d",
        "a ~ b (through out1 and 1 more)",
        "e ~ original (through out4)",
    ]


def test_a_set_of_arrays_is_read_as_cifar_10_1_is_published(tmp_path: Path, data: Path) -> None:
    found, _ = set_to_check(str(data / "cifar10" / "cifar10.1_v4_labels.npy"), tmp_path)
    assert (len(found.members), len({member.wnid for member in found.members})) == (2021, 10)
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 4, 3), dtype=np.uint8)
    pixels[5] = pixels[2]
    np.save(tmp_path / "v4_data.npy", pixels)
    np.save(tmp_path / "v4_labels.npy", np.array([0, 1, 2, 0, 1, 2]))
    for name in ("v4_labels.npy", "v4_data.npy"):
        found, evidence = set_to_check(str(tmp_path / name), tmp_path)
        assert items(check_set(found, evidence), "copies") == ["2 ~ 5"]
    np.save(tmp_path / "v4_labels.npy", np.array([0, 1]))
    with pytest.raises(UsageError, match=r"has 2 labels, and .* 6 pictures"):
        set_to_check(str(tmp_path / "v4_data.npy"), tmp_path)


def test_votes_are_asked_for_as_the_set_was_drawn(tmp_path: Path) -> None:
    """A set drawn with three votes per image has no defect for that; fewer than ten are a warning."""
    with drawn_study(tmp_path) as study:
        for least, votes, errors, warnings in ((3, 5, 0, 7), (3, 2, 7, 7), (10, 9, 7, 0), (12, 11, 7, 0)):
            study.catalog.execute(
                "UPDATE revisions SET config = json_set(config, '$.min_votes', ?)", (least,)
            )
            study.catalog.execute(
                "UPDATE revision_members SET num_shown = ?, num_selected = ?", (votes, votes)
            )
            findings = check_set(read_revision(study, "a-0"), Evidence())
            found = [len(items(findings, "votes", severity)) for severity in ("error", "warning")]
            assert found == [errors, warnings], (least, votes)
        study.catalog.execute("UPDATE revisions SET config = json_set(config, '$.min_votes', 3)")
        study.catalog.execute("UPDATE revision_members SET num_shown = 5")
        build_release(study, "a-0", tmp_path / "out")
    released = check_set(read_release(tmp_path / "out"), Evidence())
    assert len(items(released, "votes", "warning")) == 7 and not items(released, "votes")
