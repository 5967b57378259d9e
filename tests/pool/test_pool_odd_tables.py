"""Tables of odd making: uids in several forms, two columns of one name, upper-case names, nothing to balance by."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from pool_tiny_model import tiny_model
from servers.images import made_photo

from newtest.errors import PoolError, UsageError
from newtest.pool.balance import ANY, Balancing
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.uids import canonical

CUT = made_photo(2)[: len(made_photo(2)) // 2]
UIDS = [uuid.UUID(int=(7 << 100) + k) for k in range(3)]


def test_uids_of_one_column_may_be_written_in_several_forms(tmp_path: Path) -> None:
    texts = [UIDS[0].hex, str(UIDS[1]), UIDS[2].hex.upper()]
    pq.write_table(pa.table({"uid": texts, "text": list("abc")}), tmp_path / "0.parquet")
    pool = open_pool(tmp_path)
    (batch,) = pool.batches(pool.shards[0], ["uid"])
    assert batch["uid"].to_pylist() == [uid.hex for uid in UIDS]
    assert canonical(UIDS[0]) == UIDS[0].hex
    if hasattr(pa, "uuid"):
        column = pa.array([uid.bytes for uid in UIDS], pa.uuid())
        pq.write_table(pa.table({"uid": column}), tmp_path / "0.parquet")
        (batch,) = pool.batches(pool.shards[0], ["uid"])
        assert batch["uid"].to_pylist() == [uid.hex for uid in UIDS]


def test_two_columns_of_one_name_are_one_sentence_where_they_are_read(tmp_path: Path) -> None:
    columns = [pa.array([uid.hex for uid in UIDS]), pa.array(list("abc")), pa.array(list("def"))]
    pq.write_table(pa.Table.from_arrays(columns, names=["uid", "text", "text"]), tmp_path / "0.parquet")
    pool = open_pool(tmp_path)
    assert [batch.num_rows for batch in pool.batches(pool.shards[0], ["uid"])] == [3]
    with pytest.raises(PoolError, match="two columns called 'text'"):
        list(pool.batches(pool.shards[0], ["uid", "text"]))


def test_a_table_in_upper_case_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uid": [UIDS[0].hex]}), tmp_path / "A.PARQUET")
    with pytest.raises(PoolError, match=r"but A.PARQUET: call it A.parquet"):
        open_pool(tmp_path)


def test_nothing_to_balance_by_is_a_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uid": [UIDS[0].hex], "text": ["a"]}), tmp_path / "0.parquet")
    with pytest.raises(UsageError, match="there is no query to balance by"):
        Balancing({ANY: []}, 10)


def test_embedding_says_why_rows_have_no_score(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    table = pa.table(
        {
            "jpg": [made_photo(1), CUT, None, made_photo(3)],
            "text": ["a photo", "cut", "gone", None],
        }
    )
    pq.write_table(table, tmp_path / "pool" / "0.parquet")
    done = newtest("embed-pool", "pool", "--model", tiny_model(tmp_path), "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["failed"] == 3
    assert told["reasons"] == {"truncated": 1, "no image": 1, "no caption": 1}
