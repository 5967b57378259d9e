"""Writing a release: made in a folder of its own, renamed when it is whole, never changed after."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from newtest.catalog.classes import class_of
from newtest.catalog.releases import (
    closeness,
    member_rows,
    put_release,
    search_facts,
    vote_facts,
)
from newtest.catalog.revisions import Revision, blocked_pairs, exclusions_of, find, names
from newtest.crowd.ledger import earned_by_market
from newtest.errors import NotFoundError, ReleaseError, UsageError
from newtest.files import open_bytes, sha256_of
from newtest.progress import UNWATCHED, Progress
from newtest.records import Class
from newtest.releasing.about import About
from newtest.releasing.card import attributions, dataset_card
from newtest.releasing.class_labels import class_labels
from newtest.releasing.croissant import croissant
from newtest.releasing.facts import Facts
from newtest.releasing.formats import IDS, WRITERS, tar_suffix
from newtest.releasing.front_matter import format_card
from newtest.releasing.licenses import allows_redistribution
from newtest.releasing.manifest import write_manifest
from newtest.releasing.members import Member, members_of, read_bytes
from newtest.releasing.second_labels import second_labels_of
from newtest.study import Study, now

__all__ = ["Release", "build_release"]

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Release:
    """A written release. ``forbidden``: ids whose licences forbid passing them on; ``unlicensed``: unknown licences;
    ``blocked``: ids that were blocked after the revision was drawn."""

    path: Path
    images: int
    classes: int
    num_bytes: int
    sums_hash: str
    simulated: bool
    forbidden: tuple[str, ...]
    unlicensed: tuple[str, ...]
    blocked: tuple[str, ...]


def build_release(
    study: Study,
    revision: str,
    out: Path | None = None,
    *,
    formats: Sequence[str] = ("imagefolder",),
    without_bytes: bool = False,
    about: About | None = None,
    progress: Progress = UNWATCHED,
) -> Release:
    """Write the release of a revision to ``out`` (by default ``STUDY/releases/REVISION``), whole or not at all.

    ``without_bytes`` writes ids, hashes and addresses alone, also of images whose bytes are not here. The same revision
    of the same catalog gives the same bytes. ``progress`` counts the images read. Raises UsageError
    (no such revision, unknown format) and ReleaseError (the folder is there, bytes are missing or damaged).
    """
    found = find(study.catalog, revision)
    if found is None:
        known = ", ".join(names(study.catalog)) or "none yet: draw one with newtest sample"
        raise NotFoundError(f"there is no revision {revision!r} in {study.root}; there are: {known}")
    if without_bytes:
        formats = (IDS,)
    for name in formats:
        if name not in WRITERS:
            raise UsageError(f"the format {name!r} is not known; known are {', '.join(WRITERS)}")
    target = (out or study.inside("releases", revision)).absolute()
    with study.exclusive("release"):
        if target.exists() and not (target / SUMS).is_file():
            raise ReleaseError(f"{target} is there already and is not a release; choose another `out`")
        members = members_of(member_rows(study.catalog, revision), revision, without_bytes=formats == (IDS,))
        if not members:
            raise ReleaseError(f"revision {revision} has no members")
        target.parent.mkdir(parents=True, exist_ok=True)
        leftover = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.part")
        for left in filter(lambda path: leftover.fullmatch(path.name), list(target.parent.iterdir())):
            shutil.rmtree(left)  # of a killed run: we hold the stage
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            temporary.mkdir()
            sums_hash = _write(
                study, found, members, temporary, list(dict.fromkeys(formats)), about or About(), progress
            )
            num_bytes = sum(file.stat().st_size for file in _files(temporary))
            if target.exists():
                _require_same(target, sums_hash)
                shutil.rmtree(temporary)
            else:
                # Noted first: a release that takedown does not know of could never be withdrawn.
                put_release(study.catalog, str(target), revision, sums_hash, now())
                temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    ids = {member.row.image_id: allows_redistribution(member.row.license) for member in members}
    blocks = blocked_pairs(study.catalog)
    return Release(
        target,
        len(ids),
        len({member.label for member in members}),
        num_bytes,
        sums_hash,
        found.simulated,
        tuple(sorted(key for key, allowed in ids.items() if allowed is False)),
        tuple(sorted(key for key, allowed in ids.items() if allowed is None)),
        tuple(
            sorted(
                {
                    member.row.image_id
                    for member in members
                    if blocks & {(member.row.image_id, None), (member.row.image_id, member.row.wnid)}
                }
            )
        ),
    )


def _write(
    study: Study,
    revision: Revision,
    members: Sequence[Member],
    out: Path,
    formats: Sequence[str],
    about: About,
    progress: Progress,
) -> str:
    """Write everything, sums last; gives the sha256 of ``SHA256SUMS``."""

    def read(member: Member) -> bytes:
        progress.advance("writing images", 1, len(members) * len(formats))
        return read_bytes(study, member)

    classes = [
        class_of(study.catalog, wnid) or Class(wnid, (wnid,))
        for wnid in sorted({m.row.wnid for m in members})
    ]
    labels = class_labels(classes)
    places = [WRITERS[name](members, labels, read, out) for name in formats]
    labels_of = second_labels_of(study, members, filtered=revision.filtered)
    write_manifest(members, places[0], out, None if labels_of is None else labels_of.of_images)
    excluded = Counter(exclusions_of(study.catalog, revision.name)["reason"])
    facts = Facts(
        revision=revision,
        members=members,
        classes=classes,
        searches=search_facts(study.catalog, revision.name),
        votes=vote_facts(study.catalog, revision.name, filtered=revision.filtered),
        exclusions={str(reason): int(number) for reason, number in excluded.items()},
        compared=closeness(study.catalog),
        paid=earned_by_market(study.catalog, revision.name),
        formats=formats,
        about=about,
        second_labels=None if labels_of is None else labels_of.says,
    )
    manifest_hash = sha256_of(out / "manifest.csv")
    texts = {
        "README.md": dataset_card(facts),
        "ATTRIBUTION.md": attributions(members),
        "classes.csv": _classes_csv(classes),
        "revision.json": _revision_json(revision),
        "croissant.json": croissant(facts, manifest_hash),
    }
    if labels_of is not None:
        texts["second_labels.csv"] = labels_of.table
    suffix = tar_suffix(members)
    # Pictures that the release's own card speaks of need no second one beside them.
    apart = [form for at, form in enumerate(formats) if at > 0 or form in ("webdataset", "parquet")]
    cards = [format_card(form, revision.name, labels, suffix) for form in apart]
    texts |= dict(card for card in cards if card is not None)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="")
    lines = [f"{sha256_of(file)}  {file.relative_to(out).as_posix()}\n" for file in _files(out)]
    (out / SUMS).write_text("".join(lines), encoding="utf-8", newline="")
    for file in _files(out):
        _settle(file)
    return sha256_of(out / SUMS)


def _require_same(target: Path, sums_hash: str) -> None:
    """A release that is finished is not made twice, and the same call again is not a failure. Raises ReleaseError."""
    if sha256_of(target / SUMS) != sums_hash:
        raise ReleaseError(
            f"{target} is there already, with other contents; a release is never changed, choose another `out`"
        )


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _settle(file: Path) -> None:
    """On the disk, and read-only."""
    file.chmod(0o444)
    with open_bytes(file) as handle:
        os.fsync(handle.fileno())


def _classes_csv(classes: Sequence[Class]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "wnid", "name", "lemmas", "gloss"])
    for label, cls in enumerate(classes):
        # One line each: a lone carriage return is not quoted, and readers take it for the end of the row.
        texts = (" ".join(text.split()) for text in (cls.name, "; ".join(cls.lemmas), cls.gloss))
        writer.writerow([label, cls.wnid, *texts])
    return text.getvalue()


def _revision_json(revision: Revision) -> str:
    values = {key: getattr(revision, key) for key in Revision.__dataclass_fields__}
    values["config"] = revision.config_values()
    values["summary"] = revision.summary_values()
    values["seed"] = values["config"].get("seed")
    return json.dumps({"format": 1, **values}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
