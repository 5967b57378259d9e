"""The audit's folder: hostile rows on its page, votes in a browser without a server, and what the votes say."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from needs import missing
from PIL import Image
from pool_commands import contents, left_over
from servers.images import made_photo

from newtest.engines import LocalEngine
from newtest.errors import NewtestError, UsageError
from newtest.intervals import finite_upper, stratified_upper
from newtest.outputs import MADE
from newtest.pool.audit import AuditConfig, Audited, audited, draw, write_audit
from newtest.pool.storage.pool import Pool, open_pool

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
TEXTS = [
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">",
    '=HYPERLINK("https://evil.org")',
    "nul \0 and turned \u202e text",
    "a plain caption",
    None,
    "long " * 2000,
]
URLS = [
    "javascript:alert(1)", 'https://me:secret@a.org/"><script>', "https://a.org/1.jpg", None, "file:///etc/passwd",
    "http://a.org/?q=<b>",
]  # fmt: skip


def pooled(folder: Path) -> Pool:
    """Six rows: four pictures, one that is damaged, one that is none; their captions and URLs are hostile."""
    folder.mkdir()
    photo = made_photo(1)
    pictures = [made_photo(0), photo, photo[: len(photo) // 3], b"no picture", None, made_photo(2)]
    table = pa.table({
        "uid": [f"{row:032x}" for row in range(6)],
        "jpg": pa.array(pictures, pa.binary()),
        "text": TEXTS,
        "url": URLS,
        "kind": ["<i>", "<i>", "b", "b", "b", None],
    })  # fmt: skip
    pq.write_table(table, folder / "0.parquet")
    return open_pool(folder)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return pooled(tmp_path / "pool")


def written(pool: Pool, folder: Path, **config: Any) -> dict[str, Any]:
    sample = draw(pool, AuditConfig(**config), engine=LocalEngine(), workers=1)
    write_audit(pool, sample, folder)
    told: dict[str, Any] = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    return told


def test_the_folder_holds_what_was_drawn_and_nothing_that_runs(pool: Pool, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    told = written(pool, folder, by="kind")
    assert [(each["stratum"], each["rows"], each["drawn"]) for each in told["strata"]] == [
        ("<i>", 2, 2), ("b", 3, 3), ("no value", 1, 1),
    ]  # fmt: skip
    assert sorted(item["row"] for item in told["items"]) == list(range(6))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert "onerror=&#34;" in page
    assert re.findall(r'href="([^"]*)"', page).count("https://a.org/1.jpg") == 1
    assert not re.search(r'href="(javascript|file):', page)
    assert "secret" not in page
    assert "&lt;i&gt;" not in page  # nobody judges by the stratum
    assert "No picture: truncated." in page
    assert "No picture: not-an-image." in page
    assert "No picture: no image." in page
    table = list(csv.DictReader(io.StringIO((folder / "sample.csv").read_text(encoding="utf-8"))))
    assert [row["item"] for row in table] == [str(number) for number in range(1, 7)]
    assert {row["vote"] for row in table} == {""}
    assert any(row["text"].startswith("'=HYPERLINK") for row in table)
    pictures = list((folder / "images").iterdir())
    shown = [path for path in pictures if path.name != MADE]
    assert len(shown) == 3
    for path in shown:
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert max(image.size) <= 640


def test_a_second_audit_in_the_folder_leaves_nothing_of_the_first(pool: Pool, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    written(pool, folder, size=6)
    whole = contents(folder)
    written(pool, folder, size=1, seed=3)
    assert len([name for name in contents(folder) if name.endswith(".jpg")]) <= 1
    written(pool, folder, size=6)
    assert contents(folder) == whole
    assert left_over(folder) == []
    theirs = folder / "images" / f"{'a' * 32}.jpg"
    theirs.write_bytes(b"a year of work")
    written(pool, folder, size=1, seed=3)
    assert theirs.read_bytes() == b"a year of work"
    (folder / "notes.txt").write_text("mine")
    (folder / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="did not make"):
        written(pool, folder, size=6)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_pool_without_pictures_and_captions_is_shown_by_its_urls(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table({"url": ["https://a.org/1.jpg"]}), tmp_path / "pool" / "0.parquet")
    told = written(open_pool(tmp_path / "pool"), tmp_path / "audit")
    page = (tmp_path / "audit" / "index.html").read_text()
    assert len(told["items"]) == 1
    assert "(no caption)" in page
    assert "No picture: no picture." not in page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing("no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield launched
        launched.close()


@pytest.mark.browser
def test_votes_by_keys_without_a_server(browser: Browser, pool: Pool, tmp_path: Path) -> None:
    told = written(pool, tmp_path / "audit", by="kind", question="Is it <b>bold</b>?")
    page = browser.new_context(viewport={"width": 900, "height": 800}, accept_downloads=True).new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto((tmp_path / "audit" / "index.html").as_uri())
    assert page.locator("h1").inner_text() == "Is it <b>bold</b>?"
    assert page.locator("section:visible").count() == 1
    page.fill("#reviewer", "-Ann, =B y")
    page.locator("h1").click()
    for key in ("y", "n", "u", "ArrowRight", "2"):
        page.keyboard.press(key)
    assert page.locator("#where").inner_text() == "Item 6 of 6; 4 of 6 have your vote"
    page.keyboard.press("ArrowLeft")
    assert page.locator("[data-vote=no]").get_attribute("aria-pressed") == "true"
    page.reload()  # votes are kept, and the first item without one is shown
    assert page.locator("#where").inner_text() == "Item 4 of 6; 4 of 6 have your vote"
    with page.expect_download() as saved:
        page.click("#save")
    saved.value.save_as(tmp_path / "votes.csv")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#clear")
    assert page.locator("#where").inner_text() == "Item 1 of 6; 0 of 6 have your vote"
    for picture in page.locator("img").all():
        picture.evaluate(
            "image => { image.loading = 'eager'; image.closest('section').classList.add('here'); }"
        )
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") > 100
    assert page.title().startswith("Audit of pool")
    assert all(url.startswith(("file://", "blob:")) for url in asked)
    assert errors == []
    found = audited(tmp_path / "audit", [tmp_path / "votes.csv"])
    assert found.reviewers == ("Ann B y",)
    assert (found.unsure, found.skipped, found.not_reached) == (1, 1, 1)
    said = {item["item"]: item["stratum"] for item in told["items"]}
    wanted = {"yes": [1], "no": [2, 5]}
    for each in found.strata:
        assert each.yes == sum(said[item] == each.stratum for item in wanted["yes"])
        assert each.no == sum(said[item] == each.stratum for item in wanted["no"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An audit of 400 rows without pictures: 300 of kind a, 100 of kind b; 12 items."""
    (tmp_path / "many").mkdir()
    table = pa.table(
        {"url": [f"https://a.org/{row}" for row in range(400)], "kind": ["a"] * 300 + ["b"] * 100}
    )
    pq.write_table(table, tmp_path / "many" / "0.parquet")
    written(open_pool(tmp_path / "many"), tmp_path / "audit", by="kind", size=12)
    return tmp_path / "audit"


Say = Callable[..., Path]


@pytest.fixture
def say(folder: Path, tmp_path: Path) -> Say:
    """Write votes: a word per item of stratum a, then of b."""
    told = json.loads((folder / "audit.json").read_text())
    numbers = {name: [i["item"] for i in told["items"] if i["stratum"] == name] for name in "ab"}

    def write(name: str, a: Sequence[str], b: Sequence[str], reviewer: str | None = None) -> Path:
        rows = [*zip(numbers["a"], a, strict=False), *zip(numbers["b"], b, strict=False)]
        head = "audit,item,vote" + (",reviewer" if reviewer else "")
        lines = [
            f"{told['audit']},{item},{vote}" + (f",{reviewer}" if reviewer else "") for item, vote in rows
        ]
        (tmp_path / name).write_text("\n".join([head, *lines]) + "\n")
        return tmp_path / name

    return write


def shares(found: Audited) -> list[tuple[int, int, int]]:
    return [(each.yes, each.no, each.doubtful) for each in found.strata]


def test_shares_and_bounds_of_strata_and_of_the_whole(folder: Path, say: Say) -> None:
    found = audited(folder, [say("ann.csv", ["yes", "No ", "n"] + ["no"] * 6, ["no"] * 3)])
    assert shares(found) == [(1, 8, 0), (0, 3, 0)]
    assert found.share == pytest.approx(0.75 / 9)
    assert [each.at_most for each in found.strata] == [finite_upper(1, 9, 300), finite_upper(0, 3, 100)]
    assert found.at_most == stratified_upper([1, 0], [9, 3], [300, 100])
    assert (found.reviewers, found.not_reached, found.skipped) == (("ann",), 0, 0)
    assert (
        audited(folder, [say("ann.csv", ["no"] * 9, ["no"] * 3)], level=0.99).at_most > found.strata[0].share
    )


def test_several_people_and_what_is_doubtful(folder: Path, say: Say) -> None:
    ann = say("1.csv", ["yes", "yes", "no", "unsure", "yes"] + ["no"] * 4, ["no"] * 3, "ann")
    bob = say("2.csv", ["yes", "no", "no", "no", "unsure"] + ["no"] * 4, ["", "no", "no"], "bob")
    found = audited(folder, [ann, bob])
    assert shares(found) == [(2, 6, 1), (0, 3, 0)]
    assert (found.divided, found.unsure, found.reviewers) == (1, 0, ("ann", "bob"))
    assert found.strata[0].share == 2 / 8
    assert found.strata[0].at_most == finite_upper(3, 9, 300)
    unsure = audited(folder, [say("3.csv", ["unsure"] * 9, ["no"] * 3)])
    assert (unsure.share, unsure.unsure) == (None, 9)
    assert unsure.strata[0].at_most == 1.0


def test_votes_that_cannot_be_read_are_said(folder: Path, say: Say, tmp_path: Path) -> None:
    good = say("good.csv", ["no"] * 9, ["no"] * 3)
    text = good.read_text()
    audit = text.splitlines()[1].split(",")[0]
    for name, body, said in (
        ("empty.csv", "", "cannot be read"),
        ("other.csv", text.replace(audit, "audit-0"), "is of the audit 'audit-0'"),
        ("vote.csv", text.replace(",no", ",maybe"), "the vote 'maybe'"),
        ("item.csv", f"audit,item,vote\n{audit},13,no\n", "item '13', which the audit does not have"),
        ("item.csv", f"audit,item,vote\n{audit},1e3,no\n", "item '1e3'"),
        ("columns.csv", "item,vote\n1,no\n", "no column audit"),
        ("none.csv", f"audit,item,vote\n{audit},1,\n", "no vote in it"),
        ("twice.csv", text + text.splitlines()[1].replace("no", "yes") + "\n", "has another vote of item"),
        ("quote.csv", text + '"', "cannot be read"),
    ):
        (tmp_path / name).write_text(body)
        with pytest.raises(UsageError, match=re.escape(said)):
            audited(folder, [tmp_path / name])
    with pytest.raises(UsageError, match="there is no audit"):
        audited(tmp_path / "nowhere", [good])
    with pytest.raises(UsageError, match="`level`"):
        audited(folder, [good], level=0.3)
    excel = f"sep=;\nAudit;Item;Vote\n{audit};1;no\n".encode("utf-16")
    (tmp_path / "excel.csv").write_bytes(excel)
    assert audited(folder, [tmp_path / "excel.csv"]).not_reached == 11
    for damage in ({"items": 3}, {"strata": []}, {"audit": 5}, {"format": "x"}, {"config": None}):
        told = json.loads((folder / "audit.json").read_text())
        (tmp_path / "damaged").mkdir(exist_ok=True)
        (tmp_path / "damaged" / "audit.json").write_text(json.dumps(told | damage))
        with pytest.raises(NewtestError, match="is not what audit-pool writes"):
            audited(tmp_path / "damaged", [good])


def test_the_command(
    pool: Pool, folder: Path, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def typed(*words: str) -> str:
        done = invoke(["audit-pool", *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    told = json.loads(typed("pool", "--by", "kind", "--out", "new", "--json"))
    assert told["items"] == 6
    assert "6 items of 6 rows; open new/index.html" in typed("pool", "--by", "kind", "--out", "new")
    votes = str(say("ann.csv", ["yes"] + ["no"] * 8, ["no"] * 3))
    table = typed("--out", str(folder), "--answers", votes, "--level", "0.999")
    assert "(one-sided, 99.9 %)" in table
    assert "of all 400 rows: 8.33%, at most" in table
    assert json.loads(typed("--out", str(folder), "--answers", votes, "--json"))["at_most"] > 0.0833
    assert isinstance(invoke(["audit-pool", "pool", "--edges", "a"]).exception, UsageError)
