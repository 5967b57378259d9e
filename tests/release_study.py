"""A small study with a revision, made by the catalog's own functions where they are short and by rows elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from servers.images import made_photo

from newtest.catalog import transaction
from newtest.catalog.revisions import Revision, store
from newtest.fetching import fetch_missing
from newtest.study import Study

__all__ = ["EVIL", "drawn_study"]

EVIL = '](javascript:alert(1)) <script>alert("1")</script> | *bold*'
LICENSES = ("by-2.0", "by-nc-sa-2.0", "all-rights-reserved", None)


def drawn_study(
    root: Path, *, per_class: int = 3, simulated: bool = False, fetch: bool = True, votes: bool = True
) -> Study:
    """Classes ``apple`` and ``pear``, ``per_class`` images each, one of them in both; revision ``a-0``."""
    study = Study(root / "study", create=True)
    members = []
    with transaction(study.catalog):
        for wnid in ("apple", "pear"):
            study.catalog.execute(
                "INSERT INTO classes VALUES (?, ?, 'a fruit', '[]', 'test')", (wnid, json.dumps([wnid]))
            )
        for number in range(2 * per_class):
            photo = root / "photos" / f"{number}.jpg"
            photo.parent.mkdir(exist_ok=True)
            photo.write_bytes(made_photo(number))
            wnid = ("apple", "pear")[number // per_class]
            study.catalog.execute(
                "INSERT INTO images (image_id, source, source_id, url, page_url, title, license, owner)"
                " VALUES (?, 'folder', ?, ?, ?, ?, ?, ?)",
                (
                    *(f"i{number:03}", str(number), photo.as_uri(), f"https://example.org/{number}?a=(b)"),
                    *(EVIL if number == 1 else f"photo {number}", LICENSES[number % 4], f"owner {number}"),
                ),
            )
            study.catalog.execute("INSERT INTO candidates VALUES (?, ?)", (f"i{number:03}", wnid))
            members.append((f"i{number:03}", wnid, 8 + number % 3, 10))
        query = {
            "wnid": "apple",
            "text": "red apple",
            "taken_after": "2012-07-11",
            "taken_before": "2013-07-11",
        }
        study.catalog.execute(
            "INSERT INTO searches (search_id, wnid, source, text, query, state)"
            " VALUES ('s', 'apple', 'flickr', ?, ?, 'done')",
            ("red apple", json.dumps(query)),
        )
        study.catalog.execute(
            "INSERT INTO search_results (search_id, rank, image_id) VALUES ('s', 0, 'i000')"
        )
        study.catalog.execute("INSERT INTO vote_batches VALUES ('b', ?, 'test', '2026-01-01')", (
            "simulated" if simulated else "imported",
        ))  # fmt: skip
        study.catalog.execute("INSERT INTO votes VALUES ('i000', 'apple', 'w', 1, NULL, NULL, NULL, 'b')")
    members.append(("i000", "pear", 9, 10))
    if not votes:
        members = [(image_id, wnid, 0, 0) for image_id, wnid, _, _ in members]
    revision = Revision(
        *(
            "a-0",
            json.dumps({"strategy": "matched-frequency", "seed": 7, "per_class": per_class}),
            None,
            None,
        ),
        *("v" * 64, "p" * 64, "m" * 64, simulated, False, "{}", "2026-01-02T03:04:05Z"),
    )
    excluded = [("i005", "apple", "blocked", "blocked")]
    store(study.catalog, revision, members, excluded)
    if fetch:
        fetch_missing(study)
    return study
