"""kill -9 of each command on pools, at several moments; started again, it ends with the bytes of an undisturbed run.

reshard-pool has its own in test_pool_reshard.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, killed_at_event, killed_when, left_over, newtest
from pool_tiny_model import tiny_model
from servers.images import ImageServer, made_photo, serving

PHOTOS = 8


@dataclass(frozen=True)
class Case:
    """A command, and after how many files it is killed, one time after another, in the same folder."""

    command: tuple[str, ...]
    moments: tuple[int, ...]
    shard_rows: int = 2


CASES = {
    "import-pool": Case(("import-pool", "photos", "--out", "new", "--shard-rows", "2"), (0, 1, 3)),
    "import-pool of tars": Case(("import-pool", "tars"), (0, 1)),
    "filter-pool": Case(
        ("filter-pool", "pool", "--min-words", "5", "--min-size", "10", "--out", "s.npy", "--report", "r"), (1, 2)
    ),
    "filter-pool by language": Case(
        ("filter-pool", "pool", "--english", "--min-words", "5", "--workers", "1", "--out", "s.npy"), (1, 2, 3, 2)
    ),
    "dedup-pool": Case(("dedup-pool", "pool", "--method", "hash"), (1, 3), shard_rows=4),
    "decontaminate-pool": Case(
        ("decontaminate-pool", "pool", "--against", "photos", "--method", "hash"), (1, 4), shard_rows=PHOTOS
    ),
    "balance-pool": Case(("balance-pool", "pool", "--queries", "q.txt", "--cap", "2", "--workers", "1"), (0, 2)),
    "caption-pool": Case(("caption-pool", "labels.csv", "photos.jsonl", "--out", "new"), (0,)),
}  # fmt: skip


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with captions, and what the commands want besides them."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "photos").mkdir()
    for number in range(PHOTOS):
        (folder / "photos" / f"{number}.jpg").write_bytes(made_photo(number))
        (folder / "photos" / f"{number}.txt").write_text(
            f"photo number {number} of a{' red' * (number % 3)} wall"
        )
    (folder / "q.txt").write_text("red wall\nphoto\n")
    (folder / "labels.csv").write_text("file,wnid,photo_id\nb.jpg,n2,2\na.jpg,n1,1\n")
    photos = [{"photo_id": str(number), "title": f"photo {number}"} for number in (1, 2)]
    (folder / "photos.jsonl").write_text("".join(json.dumps(photo) + "\n" for photo in photos))
    return folder


@pytest.fixture(scope="module")
def pools(material: Path) -> Callable[[int], Path]:
    """The photos as a pool with shards of so many rows, as ``pool`` and as ``tars`` without tables."""

    def made(shard_rows: int) -> Path:
        folder = material.parent / f"{material.name}-{shard_rows}"
        if not folder.exists():
            shutil.copytree(material, folder)
            rows = str(shard_rows)
            assert (
                newtest("import-pool", "photos", "--out", "pool", "--shard-rows", rows, cwd=folder).returncode
                == 0
            )
            (folder / "tars").mkdir()
            for tar in (folder / "pool").glob("*.tar"):
                shutil.copy(tar, folder / "tars")
        return folder

    return made


@pytest.mark.parametrize("name", CASES)
def test_started_again_it_ends_with_the_same_bytes(
    name: str, pools: Callable[[int], Path], tmp_path: Path
) -> None:
    case = CASES[name]
    whole = Path(shutil.copytree(pools(case.shard_rows), tmp_path / "whole"))
    before = contents(whole)
    undisturbed = newtest(*case.command, cwd=whole)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert contents(whole) != before
    killed = Path(shutil.copytree(pools(case.shard_rows), tmp_path / "killed"))
    for moment in case.moments:
        killed_at_event(*case.command, cwd=killed, after=moment)
        assert contents(killed).items() <= contents(whole).items(), "half a file has appeared"
    again = newtest(*case.command, cwd=killed)
    assert again.returncode == 0, again.stderr
    assert contents(killed) == contents(whole)
    assert left_over(killed) == []


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(number) for number in range(12)], latency=0.05)) as running:
        yield running


def test_a_killed_download_goes_on_and_asks_for_no_image_twice(server: ImageServer, tmp_path: Path) -> None:
    paths = [*(f"{number}.jpg" for number in range(6)), "status-404/6.jpg", "text.html", "9.jpg", "10.jpg"]
    table = pa.table(
        {"url": [server.url(path) for path in paths], "text": [f"caption {path}" for path in paths]}
    )
    command = ("fetch-pool", "urls.parquet.d", "--allow-private", "--shard-rows", "5", "--connections", "1")
    for place in (tmp_path / "whole", tmp_path / "killed"):
        (place / "urls.parquet.d").mkdir(parents=True)
        pq.write_table(table, place / "urls.parquet.d" / "urls.parquet")
    assert newtest(*command, cwd=tmp_path / "whole").returncode == 0
    server.asked.clear()
    killed = tmp_path / "killed"
    killed_when(lambda: server.asked.total() >= 3, *command, cwd=killed)
    killed_at_event(
        *command, cwd=killed, after=0
    )  # all of the first shard has come, and its tar is not there
    killed_at_event(*command, cwd=killed, after=1)  # its tar is there, its table is not
    killed_when(lambda: server.asked.total() >= 8, *command, cwd=killed)
    again = newtest(*command, "--json", cwd=killed)
    assert json.loads(again.stdout)["success"] == 8, again.stderr
    # Two kills came while a request was open: that one had to be asked for again.
    assert server.asked.total() <= len(paths) + 2
    assert set(server.asked) == {f"/{path}" for path in paths}
    assert contents(killed) == contents(tmp_path / "whole")
    assert left_over(killed) == []
    asked = server.asked.total()
    assert json.loads(newtest(*command, "--json", cwd=killed).stdout)["asked"] == 0
    assert server.asked.total() == asked


@pytest.mark.xdist_group("conse")
def test_killed_while_it_embeds_and_scores_a_pool_ends_with_the_same_bytes(
    pools: Callable[[int], Path], tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(pools(4), tmp_path / "whole"))
    model = tiny_model(tmp_path)
    killed = Path(shutil.copytree(whole, tmp_path / "killed"))
    filtering = (
        "filter-pool",
        "pool",
        "--clip-score",
        "--fraction",
        "0.5",
        "--arch",
        model,
        "--out",
        "s.npy",
    )
    undisturbed = newtest(*filtering, cwd=whole)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert {"s.npy", "s.json"} < set(contents(whole))
    # layer.json, a shard, and dead before the other; then the rest and the scores' layer.json, and dead before scores.
    killed_at_event("embed-pool", "pool", "--model", model, "--workers", "1", cwd=killed, after=2)
    killed_at_event(*filtering, "--workers", "1", cwd=killed, after=4)
    again = newtest(*filtering, cwd=killed)
    assert again.returncode == 0, again.stderr
    assert contents(killed) == contents(whole)
    assert left_over(killed) == []
