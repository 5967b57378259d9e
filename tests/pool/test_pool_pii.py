"""Captions with personal data: published examples, near misses, and 10,000 real captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.engines import LocalEngine
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.filters import MinChars, Rule
from newtest.pool.filtering.pii import NoPii, kinds_of
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.filtering.select import select
from newtest.pool.storage.pool import open_pool


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe+x@mail.example.org today", 0),
        ("Computer Repair 402-505-6600", 1),
        ("(212) 555-0123", 1),
        ("Reservations: +30 697 435 0179", 1),
        ("Scrap cars 07794523511", 1),
        ("tel: 911 014 146", 1),
        ("237 W Main St, Boonton", 2),
        ("409 HOBART AVENUE Virginia Beach", 2),
        ("SSN 219-09-9999", 3),
        ("CPF 529.982.247-25", 3),
        ("DNI 12345678Z", 3),
        ("IBAN GB82 WEST 1234 5698 7654 32", 3),
        ("DE89370400440532013000", 3),
        ("card 4111 1111 1111 1111", 3),
    ],
)
def test_each_kind_is_found(text: str, kind: int) -> None:
    assert [at for at, found in enumerate(kinds_of(text)) if found] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "@handle on Flickr", "logo@2x.home.png", "Palo Alto Adult School@2x", "9780306813931: a book",
        "Stock Photo 600-06382904", "1994 1995 1996-2003 KAWASAKI", "SSN 000-12-3456", "666-12-3456",
        "CPF 529.982.247-26", "CPF 111.111.111-11", "DNI 12345678A", "GB82 WEST 1234 5698 7654 33",
        "card 4111 1111 1111 1112", "Main Street at night", "32.3 Acres Firetower Road", "", "\u0663\u0664 \u00b2",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert kinds_of(text) == (False,) * 4


def test_rows_without_a_caption_stay_and_each_row_counts_once() -> None:
    table = pa.table({"text": [None, "", "a@b.org 402-505-6600", "a cat", "402-505-6600"]})
    verdict = NoPii().keep(table)
    assert verdict.kept.tolist() == [True, True, False, True, False]
    assert verdict.dropped == (1, 1, 0, 0)
    assert NoPii().keep(table.slice(0, 0)).dropped == (0, 0, 0, 0)


def test_a_rule_that_always_counts_drops_rows_that_another_rule_keeps(tmp_path: Path) -> None:
    texts = ["a cat", "call 402-505-6600", "a long caption of a cat", None]
    pq.write_table(
        pa.table({"uid": [f"{row:032x}" for row in range(4)], "text": texts}), tmp_path / "00000.parquet"
    )
    pool = open_pool(tmp_path)
    pii, long = Rule("pii", (NoPii(),), always=True), Rule("long", (MinChars(10),))
    for combine, rows in (("or", [2]), ("and", [2])):
        kept = select(pool, FilterPlan((pii, long), combine), LocalEngine())  # type: ignore[arg-type]
        assert kept.uids["f1"].tolist() == rows
    alone = run(pool, Recipe(pii=True, combine="or"), LocalEngine(), 1)
    assert alone.uids["f1"].tolist() == [0, 2, 3]
    assert alone.manifest["dropped_by_reason"] == [
        {"rule": "pii", "filter": "NoPii", "reason": "telephone number", "rows": 1}
    ]


def test_the_counts_of_the_docs_are_those_of_the_real_captions(data: Path) -> None:
    texts = pd.read_parquet(data / "pool" / "urls_captions_10000.parquet", columns=["TEXT"])["TEXT"]
    found = np.array([kinds_of(text or "") for text in texts])
    assert found.sum(axis=0).tolist() == [0, 6, 44, 0]
    assert int(found.any(axis=1).sum()) == 49


@pytest.mark.parametrize("text", ["a." * 50_000, "1 A " * 50_000, "@a." * 50_000, "AA11 AAAA" * 20_000])
def test_a_long_caption_ends(text: str) -> None:
    assert kinds_of(text) == (False,) * 4
