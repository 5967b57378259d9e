"""The reviewer's server over HTTP: who comes in, what is kept, what undo restores, what strangers' text does."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import pytest
from commands import newtest, start
from PIL import Image
from review_pages import HOSTILE, TOKEN, WNID, Pages, add, blocked, fetch, jpeg, revise

from newtest.duplicates import flags, measure_dssim, scan, unreviewed_pairs
from newtest.errors import ConfigError, UsageError
from newtest.review import review_app, reviewer_link, revision_progress
from newtest.review.agreement import read_agreement
from newtest.study import Study
from newtest.web.serving import serving


def test_pages_show_text_as_text(pages: Pages) -> None:
    for path in ("", f"class/{WNID}", f"class/{WNID}?sort=date", "pairs"):
        html = pages.get(path, name="<b>ana</b>").decode()
        assert HOSTILE not in html and "<b>ana" not in html
    assert html.count("<script") == 1


def test_nobody_comes_in_without_a_link(pages: Pages) -> None:
    good = reviewer_link(pages.study, TOKEN, "ana")
    other = reviewer_link(pages.study, "another-token-of-another-start", "ana")
    for path in ("/r/ana/", other, good[:-3] + "A/", good.replace("/r/", "/r/A", 1)):
        for rest in ("", "pairs.json", "picture/" + "0" * 64):
            assert fetch(pages.url + path + rest)[0] in (401, 404)
    with pytest.raises(UsageError, match="name"):
        reviewer_link(pages.study, TOKEN, "automatic:me")


def test_blocking_is_a_row_and_undo_another(pages: Pages) -> None:
    answer = pages.do("block", ("wnid", WNID), ("reason", "wrong class"), ("image", "p1"), ("image", "p2"))
    assert blocked(pages.study) == ["p1", "p2"]
    pages.do("undo", ("undo", str(answer["undo"])), name="bob")
    assert blocked(pages.study) == []
    kept = pages.study.catalog.execute(
        "SELECT image_id, blocked, reviewer FROM blocks ORDER BY block_id"
    ).fetchall()
    assert [tuple(row) for row in kept] == [
        ("p1", 1, "ana"),
        ("p2", 1, "ana"),
        ("p1", 0, "bob"),
        ("p2", 0, "bob"),
    ]
    pages.do("block", ("wnid", WNID), ("reason", "private"), ("image", "p1"))
    assert "blocked: private" in pages.get(f"class/{WNID}").decode()
    pages.do("unblock", ("wnid", WNID), ("image", "p1"))
    assert blocked(pages.study) == []


def test_pairs_are_judged_and_taken_back(pages: Pages) -> None:
    waiting = json.loads(pages.get("pairs.json"))
    assert waiting["left"] == 1 and {side["image"] for side in waiting["pairs"][0]["sides"]} == {
        "mirror",
        "p0",
    }
    assert set(waiting["pairs"][0]["distances"]) == {"dct144-3"}
    measure_dssim(pages.study)  # far from a mirrored picture, and shown all the same
    assert json.loads(pages.get("pairs.json"))["pairs"][0]["distances"]["dssim-35"] > 0.2205
    answer = pages.do("duplicate", ("image", "p0"), ("image", "mirror"))
    assert json.loads(pages.get("pairs.json"))["left"] == 0
    assert flags(pages.study).query("near_duplicate")["image_id"].tolist() == ["p0"]
    pages.do("undo", ("undo", str(answer["undo"])))
    assert len(unreviewed_pairs(pages.study)) == 1 and not flags(pages.study)["near_duplicate"].any()
    pages.do("different", ("image", "p0"), ("image", "mirror"), name="bob")
    assert not flags(pages.study)[["near_duplicate", "unreviewed"]].any(axis=None)
    kept = pages.study.catalog.execute(
        "SELECT duplicate, reviewer FROM verdicts ORDER BY verdict_id"
    ).fetchall()
    assert [tuple(row) for row in kept] == [(1, "ana"), (None, "ana"), (0, "bob")]


def test_two_reviewers_at_once_are_shown_different_pairs(pages: Pages, data: Path) -> None:
    for number in range(2, 5):
        photo = sorted((data / "images").glob("*.JPEG"))[number]
        for copy in range(8):
            cut = Image.open(photo).crop((copy, 0, 300, 300))
            add(pages.study, f"cut{number}{copy}", jpeg(cut))
    scan(pages.study)

    def shown(name: str) -> tuple[set[tuple[str, ...]], int]:
        found = json.loads(pages.get("pairs.json", name=name))
        return {tuple(side["image"] for side in pair["sides"]) for pair in found["pairs"]}, found["left"]

    (ana, left), (bob, _) = shown("ana"), shown("bob")
    assert left > 40 and len(ana) == len(bob) == 20 and not ana & bob
    assert shown("ana")[0] == ana
    for pair in ana:
        pages.do("later", *(("image", image) for image in pair))
    again, still = shown("ana")
    assert still == left and not again & (ana | bob)


def test_a_pair_that_two_have_judged_keeps_both_and_asks_nobody_again(pages: Pages) -> None:
    pair = (("image", "p0"), ("image", "mirror"))
    first = pages.do("duplicate", *pair, name="ana")
    second = pages.do("different", *pair, name="bob")
    assert first["others"] == []
    (other,) = second["others"]  # type: ignore[misc]
    assert (other["reviewer"], other["duplicate"]) == ("ana", True)
    kept = pages.study.catalog.execute(
        "SELECT duplicate, reviewer FROM verdicts ORDER BY verdict_id"
    ).fetchall()
    assert [tuple(row) for row in kept] == [(1, "ana"), (0, "bob")]
    assert json.loads(pages.get("pairs.json"))["left"] == 0
    assert not flags(pages.study)["near_duplicate"].any()  # the latest counts
    assert pages.do("undo", ("undo", str(first["undo"])), name="ana") == {"before": [], "kept": 1}
    undone = pages.do("undo", ("undo", str(second["undo"])), name="bob")
    assert undone["kept"] == 0 and flags(pages.study)["near_duplicate"].any()  # ana's word holds again


def test_undo_does_not_take_back_what_another_said_since(pages: Pages) -> None:
    first = pages.do("block", ("wnid", WNID), ("reason", "private"), ("image", "p1"), ("image", "p2"))
    pages.do("block", ("wnid", WNID), ("reason", "wrong class"), ("image", "p1"), name="bob")
    answer = pages.do("undo", ("undo", str(first["undo"])))
    assert [state["image_id"] for state in answer["before"]] == ["p2"] and answer["kept"] == 1  # type: ignore[attr-defined]
    assert blocked(pages.study) == ["p1"]
    assert pages.do("undo", ("undo", str(first["undo"])))["kept"] == 2  # nor twice
    assert blocked(pages.study) == ["p1"]


@pytest.mark.parametrize(
    ("action", "fields", "message"),
    [
        ("block", [("wnid", WNID), ("image", "p1")], "reason"),
        ("block", [("wnid", WNID), ("reason", "x"), ("image", "val")], "not a candidate"),
        ("block", [("wnid", WNID), ("reason", "x" * 201), ("image", "p1")], "200"),
        ("duplicate", [("image", "p1")], "two images"),
        ("duplicate", [("image", "p1"), ("image", "nobody")], "not an image"),
        ("undo", [("undo", "abc")], "cannot be undone"),
        ("drop", [], "no such action"),
        ("done", [("wnid", WNID)], "final review"),
    ],
)
def test_wrong_actions_change_nothing(
    pages: Pages, action: str, fields: list[tuple[str, str]], message: str
) -> None:
    status, answer = pages.try_to(action, *fields)
    assert status in (400, 404) and message in str(answer["error"])
    assert (
        pages.study.catalog.execute(
            "SELECT (SELECT count(*) FROM blocks) + (SELECT count(*) FROM verdicts)"
        ).fetchone()[0]
        == 0
    )


def test_pictures_are_ours_and_paths_are_not(pages: Pages) -> None:
    sha256 = pages.study.catalog.execute("SELECT sha256 FROM files WHERE image_id = 'p0'").fetchone()[0]
    small, large = (Image.open(BytesIO(pages.get(f"picture/{sha256}{query}"))) for query in ("", "?large"))
    assert max(small.size) <= 320 < max(large.size) <= 720
    pages.study.image_path(
        sha256
    ).unlink()  # as newtest takedown does: what the server holds is not shown any more
    for query in ("", "?large"):
        assert fetch(pages.link() + f"picture/{sha256}{query}")[0] == 404
    for name in ("0" * 64, "..%2f..%2fstudy.sqlite", "study.key"):
        assert fetch(pages.link() + f"picture/{name}")[0] == 404


def test_final_review_asks_again_only_for_changed_classes(study: Study) -> None:
    revise(study, "a-0", "p1", "p2")
    with serving(review_app(study, TOKEN, revision="a-0")) as url:
        pages = Pages(study, url)
        html = pages.get(f"class/{WNID}").decode()
        assert re.findall(r'data-id="(\w+)"', html) == ["p1", "p2", "val"]
        assert pages.do("done", ("wnid", WNID)) == {"members": 2}
        assert "by ana" in pages.get("").decode()
        assert pages.try_to("done", ("wnid", "n00000001"))[0] == 400
    revise(study, "a-1", "p2", "p1")
    revise(study, "a-2", "p1", "p3")
    assert [one.reviewer for one in revision_progress(study, "a-1")] == ["ana"]
    assert [one.reviewer for one in revision_progress(study, "a-2")] == [None]
    study.catalog.execute("UPDATE files SET state = 'gone', sha256 = NULL WHERE image_id = 'p3'")
    with serving(
        review_app(study, TOKEN, revision="a-2")
    ) as url:  # a member without bytes keeps no class open
        assert Pages(study, url).do("done", ("wnid", WNID)) == {"members": 2}
    assert [one.reviewer for one in revision_progress(study, "a-2")] == ["ana"]
    with pytest.raises(UsageError, match="no revision 'b'; the study has a-0"):
        revision_progress(study, "b")


def test_the_next_class_is_one_that_waits(study: Study) -> None:
    for number, wnid in enumerate(("n00000001", "n09999999")):
        study.catalog.execute("INSERT INTO classes VALUES (?, '[\"thing\"]', '', '[]', 'file')", (wnid,))
        study.catalog.execute("INSERT INTO candidates VALUES (?, ?)", (f"p{number}", wnid))

    def following(pages: Pages, wnid: str) -> list[str]:
        return re.findall(r'id="following" href="[^"]*class/(\w+)"', pages.get(f"class/{wnid}").decode())

    with serving(review_app(study, TOKEN)) as url:
        pages = Pages(study, url)
        assert following(pages, WNID) == ["n09999999"] and following(pages, "n09999999") == ["n00000001"]
    revise(study, "a-0", "p1", "p2")
    study.catalog.execute("INSERT INTO revision_members VALUES ('a-0', 'p0', 'n00000001', 7, 10)")
    with serving(review_app(study, TOKEN, revision="a-0")) as url:
        pages = Pages(study, url)
        assert following(pages, WNID) == ["n00000001"]
        pages.do("done", ("wnid", "n00000001"))
        assert following(pages, WNID) == []


def test_what_fails_below_is_said_in_the_pages_own_way(pages: Pages) -> None:
    pages.study.catalog.execute("PRAGMA user_version = 99")  # as a newer newtest would leave it
    try:
        status, answer = pages.try_to("duplicate", ("image", "p0"), ("image", "mirror"))
        assert status == 500 and "newer newtest" in str(answer["error"])
        status, body = fetch(pages.link())
        assert status == 500 and b"newer newtest" in body and b"<h1>" in body
    finally:
        pages.study.catalog.execute("PRAGMA user_version = 1")


def test_sorting_by_agreement(study: Study, tmp_path: Path) -> None:
    table = tmp_path / "agreement.csv"
    table.write_text("image_id,agreement\np3,0.1\np1,0.9\np2,0.4\n")
    with serving(review_app(study, TOKEN, agreement=read_agreement(table))) as url:
        html = Pages(study, url).get(f"class/{WNID}?sort=agreement").decode()
    assert re.findall(r'data-id="(\w+)"', html)[:3] == ["p3", "p2", "p1"]
    table.write_text("image_id,agreement\np3,1.1\n")
    with pytest.raises(ConfigError, match="line 2"):
        read_agreement(table)


def test_command_prints_links_that_work(study: Study) -> None:
    command = ("review", "--study", study.root)
    with start(*command, "--port", "0", "--json", "--reviewer", "ana", "--name", "review.test") as server:
        link = json.loads(server.shown(r"(?s)^.*\n}\n")[0])["links"]["ana"]
        assert b"You are ana" in fetch(link)[1]
        for host, expected in (("review.test", 200), ("other.test", 421)):
            asked = urllib.request.Request(link, headers={"Host": host})
            assert fetch(asked)[0] == expected
        server.signal(signal.SIGINT)
        server.wait(timeout=20)
    refused = newtest(*command, "--host", "0.0.0.0")
    assert refused.returncode == 2 and "access token" in refused.stderr


def test_what_a_reviewer_said_outlives_kill_9(study: Study) -> None:
    """A decision that was answered is in the study, whatever becomes of the server."""
    with start("review", "--study", study.root, "--port", "0", "--json", "--reviewer", "ana") as server:
        link = json.loads(server.shown(r"(?s)^.*\n}\n")[0])["links"]["ana"]
        fields = urlencode([("wnid", WNID), ("reason", "wrong class"), ("image", "p1")]).encode()
        assert fetch(link + "do/block", fields)[0] == 200
        server.kill()
    assert blocked(study) == ["p1"]
