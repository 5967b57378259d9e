"""Votes from elsewhere: MTurk's batch results, its API's JSON, Label Studio's exports.

Each reader gives a table that ``newtest.votes.import_votes`` takes, with what it left out and why.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from newtest.catalog import publications
from newtest.crowd.external import Tally, table_of_votes
from newtest.crowd.label_studio import Question, read_label_studio
from newtest.crowd.mturk_files import HitShown, read_api_json, read_batch_csv, read_hits
from newtest.errors import VotesError
from newtest.reading.failures import Unreadable
from newtest.study import Study
from newtest.votes.tables import VotesTable

__all__ = ["FORMATS", "External", "ExternalFormat", "read_external"]

ExternalFormat = Literal["mturk-csv", "mturk-json", "label-studio"]
FORMATS: tuple[ExternalFormat, ...] = get_args(ExternalFormat)


@dataclass(frozen=True)
class External:
    """What helps to read a file: a table of HITs (MTurk), which control is the answer (Label Studio)."""

    hits: Path | None = None
    question: Question = field(default_factory=Question)


def read_external(
    study: Study, path: Path, format_name: ExternalFormat, external: External | None = None
) -> VotesTable:
    """The votes in a file of one of ``FORMATS``; ``left_out`` counts the answers that gave no vote, by reason.

    Raises VotesError for a file that is another, that holds no vote, or with a HIT that nobody knows.
    """
    external = external or External()
    tally = Tally()
    try:
        if format_name == "label-studio":
            return table_of_votes(path, read_label_studio(path, external.question, tally), tally)
        hits = dict(_hits_of(study.catalog))
        if external.hits is not None:
            hits.update(read_hits(external.hits))
        reader = read_batch_csv if format_name == "mturk-csv" else read_api_json
        return table_of_votes(path, reader(path, hits, tally), tally)
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise VotesError(f"{path}: cannot be read ({error})") from error


def _hits_of(catalog: sqlite3.Connection) -> Iterator[tuple[str, HitShown]]:
    """The study's own published HITs, by the market's id and by the annotation."""
    for market_hit_id, hit_id, wnid, images in publications.published_images(catalog):
        controls = [role if role in ("positive", "negative") else None for _, role in images]
        shown = HitShown(wnid, [image for image, _ in images], controls)
        yield market_hit_id, shown
        yield f"newtest:{hit_id}", shown
