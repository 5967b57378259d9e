from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import here, start
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import missing
from release_study import drawn_study
from servers.images import made_photo

from newtest.catalog.files import file_of
from newtest.catalog.releases import MemberRow, member_rows, release_paths, vote_facts
from newtest.catalog.votes import totals
from newtest.errors import ReleaseError, UsageError
from newtest.releasing import build_release
from newtest.releasing.members import members_of
from newtest.releasing.sets import read_release
from newtest.study import Study

ALL = ("imagefolder", "webdataset", "parquet")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_the_bytes_and_the_manifest_are_whole(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        made = build_release(study, "a-0", tmp_path / "out")
    manifest = pd.read_csv(tmp_path / "out" / "manifest.csv", keep_default_na=False, dtype={"source_id": str})
    assert len(manifest) == 7 and made.images == 6 and made.classes == 2
    for row in manifest.itertuples():
        data = (tmp_path / "out" / str(row.file)).read_bytes()
        assert data == made_photo(int(str(row.image_id)[1:]))
        assert hashlib.sha256(data).hexdigest() == row.sha256
        assert row.file == f"images/{row.wnid}/{row.image_id}.jpg"
        assert row.frequency == row.num_selected / row.num_shown
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out" / "manifest.parquet").fillna(""), manifest, check_dtype=False
    )
    assert "file:" not in (tmp_path / "out" / "manifest.csv").read_text(), "no path of ours leaves the house"
    check = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout
    assert check.stdout.count(": OK") == len(contents(tmp_path / "out")) - 1


def test_a_release_is_immutable_and_the_same_every_time(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "one", formats=ALL)
        build_release(study, "a-0", tmp_path / "two", formats=ALL)
        with pytest.raises(ReleaseError, match="never changed"):
            build_release(study, "a-0", tmp_path / "one")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "one").rglob("*") if p.is_file()} == {0o444}


def test_missing_and_damaged_bytes_are_named_and_leave_nothing(tmp_path: Path) -> None:
    no_bytes = pytest.raises(ReleaseError, match=r"6 images have no bytes \(i000, .*run newtest fetch")
    with drawn_study(tmp_path, fetch=False) as study, no_bytes:
        build_release(study, "a-0", tmp_path / "out")
    shutil.rmtree(tmp_path / "study")
    with drawn_study(tmp_path) as study:
        file = file_of(study.catalog, "i003")
        assert file is not None and file.sha256 is not None
        study.image_path(file.sha256).write_bytes(b"x")
        with pytest.raises(ReleaseError, match=r"i003.*missing or damaged"):
            build_release(study, "a-0", tmp_path / "out")
        with pytest.raises(UsageError, match="there are: a-0"):
            build_release(study, "b-0", tmp_path / "out")
        with pytest.raises(UsageError, match="known are imagefolder, webdataset, parquet"):
            build_release(study, "a-0", tmp_path / "out", formats=["zip"])
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "study"}


def test_the_card_says_how_and_warns_and_strangers_words_stay_words(tmp_path: Path) -> None:
    with drawn_study(tmp_path, simulated=True) as study:
        build_release(study, "a-0", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    for words in (
        "votes behind this set are SIMULATED", "seed 7", "“red apple”", "taken after 2012", "blocked | 1 |",
        "forbids redistribution", "Near-duplicates were not looked for", "v" * 64, "different workers: 1;",
    ):  # fmt: skip
        assert words in card, words
    thanks = (tmp_path / "out" / "ATTRIBUTION.md").read_text()
    assert "<script" not in thanks
    assert "\\](javascript" in thanks and thanks.count("](javascript") == 1
    assert "(<https://example.org/1?a=%28b%29>)" in thanks
    assert "https://creativecommons.org/licenses/by-nc-sa/2.0/" in thanks


def test_the_card_says_what_was_paid_and_what_the_market_took(tmp_path: Path) -> None:
    """MTurk takes 40 % from ten assignments a HIT up, 20 % below and at least a cent; our own server nothing."""
    hits = [("h10", 10, "live", "0.10", 8), ("h9", 9, "live", "0.03", 2), ("h5", 5, "local", "0.10", 5)]
    hits += [("hs", 5, "sandbox", "9.00", 5), ("hu", 5, "https://crowd.example", "0.10", 1)]
    with drawn_study(tmp_path) as study:
        for hit, asked, market, reward, done in hits:
            run = study.catalog.execute
            run("INSERT INTO hits VALUES (?, 'apple', ?, '{}', '2026-01-01')", (hit, asked))
            run("INSERT INTO hit_images VALUES (?, 1, 'i001', 'candidate')", (hit,))
            run(
                "INSERT INTO publications (hit_id, market, request_token, settings, intended_at)"
                " VALUES (?, ?, ?, ?, '2026-01-01')",
                (hit, market, hit, json.dumps({"reward": reward})),
            )
            for number in range(done + 1):
                state = "rejected" if number == done else "approved"
                run(
                    "INSERT INTO assignments VALUES (?, ?, ?, ?, ?, NULL, NULL, 1, '2026-01-01')",
                    (f"{hit}-{number}", hit, market, f"w{number}", state),
                )
        build_release(study, "a-0", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    said = [line for line in card.splitlines() if "showed members" in line]
    assert said == [
        "- 1 assignment on the market *https://crowd.example* showed members; they were paid 0.10 US dollars, "
        "without the market's fees, which are not known",
        "- 10 assignments on the market *live* showed members; they were paid 0.86 US dollars, "
        "and the market took 0.34 in fees",
        "- 5 assignments on the market *local* showed members; they were paid 0.50 US dollars, without fees",
    ]


def test_webdataset_and_parquet_carry_the_same_bytes(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out", formats=("webdataset", "parquet"))
    with tarfile.open(tmp_path / "out" / "shards" / "00000.tar") as tar:
        names = tar.getnames()
        assert names[:3] == ["apple/i000.jpg", "apple/i000.cls", "apple/i000.json"]
        assert tar.extractfile("pear/i004.jpg").read() == made_photo(4)  # type: ignore[union-attr]
        assert tar.extractfile("pear/i004.cls").read() == b"1"  # type: ignore[union-attr]
    table = pq.read_table(tmp_path / "out" / "parquet" / "test-00000-of-00001.parquet")
    assert table.column("image")[4].as_py() == {"bytes": made_photo(3), "path": "pear/i003.jpg"}
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"] == {"names": ["apple", "pear"], "_type": "ClassLabel"}
    manifest = pd.read_csv(tmp_path / "out" / "manifest.csv")
    assert manifest.file[0] == "shards/00000.tar#apple/i000.jpg"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib's own
def test_mlcroissant_validates_and_reads_the_records(tmp_path: Path) -> None:
    try:
        import mlcroissant
    except ImportError:
        missing('no mlcroissant: pip install "newtest[croissant]"')
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out")
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "out" / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("images"))
    assert len(records) == 7
    assert records[0]["images/wnid"] == b"apple" and records[0]["images/num_shown"] == 10
    pictures = {record["pictures/file"]: record["pictures/image"] for record in dataset.records("pictures")}
    assert set(pictures) == {record["images/file"] for record in records}
    assert all(picture.size == (160, 120) for picture in pictures.values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib's own
def test_where_no_image_lies_as_a_file_croissant_names_none(tmp_path: Path) -> None:
    try:
        import mlcroissant
    except ImportError:
        missing('no mlcroissant: pip install "newtest[croissant]"')
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "out", formats=("parquet",))
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "out" / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert [one.name for one in dataset.metadata.record_sets] == ["images"]
    assert len(list(dataset.records("images"))) == 7


def test_the_command_warns_of_licences_and_a_killed_run_leaves_no_release(tmp_path: Path) -> None:
    drawn_study(tmp_path).close()
    out = tmp_path / "r" / "set"
    (tmp_path / "r" / ".set.deadbeef.part").mkdir(parents=True)
    (tmp_path / "r" / ".set.b.deadbeef.part").mkdir()  # of another study's release: not ours to remove
    command = ["release", "a-0", "--out", str(out), "--study", str(tmp_path / "study")]
    done = here(*command)
    assert done.returncode == 0, done.stderr
    assert "1 images have a licence that forbids passing them on" in done.stderr and "i002" in done.stderr
    assert "1 images have no licence that newtest knows" in done.stderr
    assert done.stdout.strip() == str(out)
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [".set.b.deadbeef.part", "set"]
    before = (out / "SHA256SUMS").stat()
    again = here(*command)
    assert (again.returncode, again.stdout.strip()) == (0, str(out)), (
        "a release that is finished stays, and is not a failure"
    )
    assert (out / "SHA256SUMS").stat().st_ino == before.st_ino
    other = here(*command, "--format", "csv")
    assert other.returncode == 1 and "is there already, with other contents" in other.stderr
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [".set.b.deadbeef.part", "set"]


def test_killed_at_many_moments_it_leaves_a_whole_release_or_none(tmp_path: Path) -> None:
    drawn_study(tmp_path, per_class=40).close()
    command = ["release", "a-0", "--study", str(tmp_path / "study"), "--out"]
    assert here(*command, tmp_path / "calm").returncode == 0
    out = tmp_path / "killed" / "set"
    for number in range(4):  # killed when so many of the files are there, then once more a little later
        with start(*command, out) as running:
            while (
                running.poll() is None and sum(len(files) for *_, files in os.walk(out.parent)) < 16 * number
            ):
                time.sleep(0.002)
            running.kill()
        assert not out.exists() or contents(out) == contents(tmp_path / "calm")
        with Study(tmp_path / "study") as study:  # takedown must know of every release that is there
            assert not out.exists() or str(out) in release_paths(study.catalog, ["i000"])
    here(*command, out)
    assert contents(out) == contents(tmp_path / "calm")
    assert [path.name for path in out.parent.iterdir()] == ["set"]


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=200), st.sampled_from(["JPEG", "PNG", None]))
def test_no_id_becomes_a_path(image_id: str, form: str | None) -> None:
    rest = ("folder", "1", None, None, None, None, None, None, None, "0" * 64, form)
    (member,) = members_of([MemberRow(image_id, "apple", 1, 2, *rest)], "a-0")
    place = Path("images") / "apple" / member.name
    assert place.parent == Path("images/apple") and ".." not in place.parts
    assert not member.name.startswith((".", "-")) and member.name.isascii() and member.name.isprintable()
    assert len(member.name) <= 140


def test_what_was_blocked_after_the_draw_is_named(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        for image_id, wnid in (("i001", None), ("i004", "pear"), ("i005", "apple")):
            study.catalog.execute(
                "INSERT INTO blocks (image_id, wnid, blocked, reason, reviewer, given_at)"
                " VALUES (?, ?, 1, 'a drawing', 'me', '2026-01-01')",
                (image_id, wnid),
            )
        assert build_release(study, "a-0", tmp_path / "out").blocked == ("i001", "i004")


def test_no_two_members_of_a_tar_share_a_key_and_long_ids_fit(tmp_path: Path) -> None:
    """Loaders join what shares a key: one of the two images would be lost without a word."""
    long = "x" * 120
    with drawn_study(tmp_path) as study:
        study.catalog.execute("PRAGMA foreign_keys = OFF")
        for old, new in (("i000", "a.b"), ("i001", "a_b"), ("i002", long)):
            for table in ("images", "candidates", "files", "votes", "revision_members", "search_results"):
                study.catalog.execute(f"UPDATE {table} SET image_id = ? WHERE image_id = ?", (new, old))
        build_release(study, "a-0", tmp_path / "out", formats=["webdataset"])
    with tarfile.open(tmp_path / "out" / "shards" / "00000.tar") as tar:
        names = tar.getnames()
        keys = [name.removesuffix(".jpg") for name in names if name.endswith(".jpg")]
        about = [json.load(tar.extractfile(f"{key}.json") or io.BytesIO()) for key in keys]
    assert len(set(names)) == len(names) == 3 * 7
    manifest = pd.read_csv(tmp_path / "out" / "manifest.csv", dtype=str)
    assert [one["image_id"] for one in about] == manifest["image_id"].tolist()
    assert {"a.b", "a_b", long} < set(manifest["image_id"])
    assert [file.split("#")[1].removesuffix(".jpg") for file in manifest["file"]] == keys


def test_no_text_of_a_stranger_becomes_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    """Titles, owners and licences come from whoever uploaded the photo; Parquet holds them as they are."""
    texts = ["=HYPERLINK(1)", "+1", "-2", "@SUM(A1)", "'=1", "'twas - a fish"]
    with drawn_study(tmp_path) as study:
        for number, text in enumerate(texts):
            study.catalog.execute(
                "UPDATE images SET title = ?1, owner = ?1, license = ?1 WHERE image_id = ?2",
                (text, f"i{number:03}"),
            )
        build_release(study, "a-0", tmp_path / "out")
    columns = ["title", "owner", "license"]
    plain = pd.read_parquet(tmp_path / "out" / "manifest.parquet")[columns].to_numpy().tolist()
    cells = pd.read_csv(tmp_path / "out" / "manifest.csv", dtype=str)[columns].to_numpy().tolist()
    read = [member.license for member in read_release(tmp_path / "out").members]
    assert {title for title, _, _ in plain} >= {"=HYPERLINK(1)", "'=1", texts[-1]}
    for held, shown, license_ in zip(plain, cells, read, strict=True):
        guarded = held[0] in texts[:-1]
        assert shown == [f"'{text}" if guarded else text for text in held]
        assert license_ == held[2]


def test_a_class_with_line_breaks_stays_one_row(tmp_path: Path) -> None:
    with drawn_study(tmp_path) as study:
        study.catalog.execute("UPDATE classes SET gloss = 'a\rfruit\n' WHERE wnid = 'apple'")
        build_release(study, "a-0", tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "classes.csv")["gloss"].tolist() == ["a fruit", "a fruit"]


def test_the_card_counts_the_votes_that_the_frequencies_count(tmp_path: Path) -> None:
    """Simulated votes beside real ones, negative controls, and workers left out of a filtered draw do not count."""
    with drawn_study(tmp_path) as study:
        study.catalog.execute("INSERT INTO vote_batches VALUES ('sim', 'simulated', 'test', '2026-01-01')")
        for worker, control, batch in (("s", None, "sim"), ("n", "negative", "b"), ("bad", None, "b")):
            study.catalog.execute(
                "INSERT INTO votes VALUES ('i000', 'apple', ?, 1, NULL, NULL, ?, ?)", (worker, control, batch)
            )
        study.catalog.execute("INSERT INTO votes VALUES ('i001', 'apple', 's', 1, NULL, NULL, NULL, 'sim')")
        study.catalog.execute("INSERT INTO excluded_workers VALUES ('bad', 'ticks at random', 'now')")
        for filtered in (False, True):
            study.catalog.execute("UPDATE revisions SET summary = ?", (json.dumps({"filtered": filtered}),))
            facts = vote_facts(study.catalog, "a-0", filtered=filtered)
            assert facts.votes == {"imported": 1 if filtered else 2, "simulated": 1}
            members = member_rows(study.catalog, "a-0")
            counted = totals(study.catalog, filtered=filtered).set_index(["image_id", "wnid"])["num_shown"]
            shown = sum(int(counted.get((row.image_id, row.wnid), 0)) for row in members)
            assert sum(facts.votes.values()) == shown
            build_release(study, "a-0", tmp_path / f"out-{filtered}")
            card = (tmp_path / f"out-{filtered}" / "README.md").read_text()
            assert ("the votes of excluded workers were left out" in card) is filtered


def test_a_set_of_ids_is_released_without_its_images(tmp_path: Path) -> None:
    """Images that were never downloaded: refused with the way out, and released as ids on demand."""
    drawn_study(tmp_path, fetch=False).close()
    command = ["release", "a-0", "--out", str(tmp_path / "ids"), "--study", str(tmp_path / "study")]
    refused = here(*command)
    assert (
        refused.returncode == 1 and "have no bytes" in refused.stderr and "--without-bytes" in refused.stderr
    )
    done = here(*command, "--without-bytes")
    assert done.returncode == 0, done.stderr
    manifest = pd.read_csv(tmp_path / "ids" / "manifest.csv", keep_default_na=False)
    assert len(manifest) == 7 and set(manifest["file"]) == {""} and set(manifest["num_shown"]) == {10}
    assert not list((tmp_path / "ids").rglob("*.jpg"))
    assert "no images: the manifest has their ids" in (tmp_path / "ids" / "README.md").read_text()
    checked = here("check", tmp_path / "ids", "--json")
    report = json.loads(checked.stdout)
    assert report["images"] == 7 and not [f for f in report["findings"] if f["check"] == "bytes"]
