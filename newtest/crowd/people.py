"""From a submission to the person that a recruiting site knows, and back; and how a person is forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from newtest.catalog import transaction
from newtest.catalog.people import Arrival, arrivals, delete_person, open_people, put_arrival
from newtest.catalog.workers import forget_worker
from newtest.crowd.answers import to_xml
from newtest.errors import UsageError
from newtest.reading.jsons import parse_json
from newtest.study import Study, now
from newtest.web.keys import Keys

__all__ = ["Forgotten", "Person", "forget", "people", "person_of", "recruited_key", "remember", "unfilled"]

FIELDS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
MAX_ID = 100


@dataclass(frozen=True)
class Person:
    """A submission on the recruiting site, and the worker who made it here."""

    worker: str
    person: str
    """The site's id of the person (``PROLIFIC_PID``)."""
    study: str
    submission: str
    """The site's id of the submission (``SESSION_ID``)."""
    arrived_at: str


@dataclass(frozen=True)
class Forgotten:
    """What was deleted of one person."""

    submissions: int
    links: int
    votes: int


def unfilled(given: Mapping[str, str]) -> str | None:
    """The first of the site's three ids that is missing, too long, or still a placeholder such as
    ``{{%PROLIFIC_PID%}}``; None when all are ids."""
    for name in FIELDS:
        value = given.get(name, "")
        if not 0 < len(value) <= MAX_ID or not value.isprintable() or set("{}%") & set(value):
            return name
    return None


def recruited_key(study: Study, person: str) -> str:
    """The worker that a person of the recruiting site is."""
    return study.worker_key(f"recruited:{person}")


def remember(study: Study, given: Mapping[str, str]) -> None:
    """Note who came with which submission, sealed under the study's key."""
    ids = {name: given[name] for name in FIELDS}
    arrival = Arrival(
        recruited_key(study, ids["PROLIFIC_PID"]),
        study.worker_key(f"submission:{ids['SESSION_ID']}"),
        _keys(study).seal("person", json.dumps(ids, sort_keys=True)),
        now(),
    )
    with open_people(study.root) as connection:
        put_arrival(connection, arrival)


def people(study: Study) -> list[Person]:
    """Everybody who came from the recruiting site and was not forgotten, oldest submission first."""
    if not (study.root / "people.sqlite").exists():
        return []
    keys = _keys(study)
    found = []
    with open_people(study.root) as connection:
        for arrival in arrivals(connection):
            plain = keys.open("person", arrival.sealed)
            if plain is None:
                raise UsageError(
                    f"{study.root}: people.sqlite was sealed under another key than study.key: put the key back from a "
                    "copy"
                )
            ids = parse_json(plain)
            person, site_study, submission = (str(ids[name]) for name in FIELDS)
            found.append(Person(arrival.worker, person, site_study, submission, arrival.arrived_at))
    return found


def person_of(study: Study, worker: str) -> str | None:
    """What the recruiting site calls a worker; None for one who did not come from there, or was forgotten."""
    if not (study.root / "people.sqlite").exists():
        return None
    with open_people(study.root) as connection:
        sealed = [one.sealed for one in arrivals(connection, worker=worker)]
    plain = _keys(study).open("person", sealed[0]) if sealed else None
    return None if plain is None else str(parse_json(plain)["PROLIFIC_PID"])


def forget(study: Study, person: str, *, votes: bool = False) -> Forgotten:
    """Delete who a person is: the site's ids, and the labels of personal links, which stop working.

    ``person`` is the site's id, the owner's own name for somebody invited, or a worker's key. With ``votes`` their
    votes and answers go too. Raises UsageError when the study knows no such person.
    """
    keys = [recruited_key(study, person), study.worker_key(f"invited:{person}"), person]
    with study.exclusive("votes"), open_people(study.root) as connection:
        submissions = sum(delete_person(connection, key) for key in keys)
        with transaction(study.catalog):
            gone = [
                forget_worker(study.catalog, key, answer=to_xml([]) if votes else None, at=now())
                for key in keys
            ]
    found = Forgotten(submissions, sum(one[0] for one in gone), sum(one[1] for one in gone))
    if found == Forgotten(0, 0, 0):
        raise UsageError(
            f"{study.root}: nobody is known here as {person!r}; newtest annotate people lists those who came"
        )
    return found


def _keys(study: Study) -> Keys:
    return Keys(study.secret_for("people"))
