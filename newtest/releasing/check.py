"""Checking a set before others trust it: one function a defect, each gives findings with the items' names.

Errors are defects of the set; warnings are what its makers should know and decide about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Literal

from newtest.files import sha256_of
from newtest.releasing.archives import contents_of
from newtest.releasing.evidence import Evidence
from newtest.releasing.licenses import allows_redistribution
from newtest.releasing.sets import SetToCheck

__all__ = ["Finding", "check_set"]


@dataclass(frozen=True)
class Finding:
    """``items`` are the names of all images, pairs (``a ~ b``), classes or files concerned."""

    check: str
    severity: Literal["error", "warning"]
    message: str
    items: tuple[str, ...]


USUAL_VOTES = 10
"""Votes per image of ImageNetV2 (Recht et al. 2019)."""


def check_set(found: SetToCheck, evidence: Evidence, *, min_votes: int | None = None) -> list[Finding]:
    """All findings that need no decoding, in the order of the checks (``close_bytes`` in copies.py looks at pixels).

    ``min_votes``: what a member needs; without it what the set's own revision asked for, and else 10.
    """
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _balance(found),
        lambda: _twice(found),
        lambda: _blocked(found, evidence),
        lambda: _near_duplicates(found, evidence),
        lambda: _same_pixels(found),
        lambda: _bytes(found),
        lambda: _archives(found),
        lambda: _folder_names(found),
        lambda: _class_names(found),
        lambda: _licenses(found),
        lambda: _votes(found, min_votes),
    )
    return [finding for check in checks for finding in check()]


def _error(check: str, items: Iterable[str], message: str) -> Iterator[Finding]:
    if items := tuple(items):
        yield Finding(check, "error", message.format(n=len(items)), items)


def _warning(check: str, items: Iterable[str], message: str) -> Iterator[Finding]:
    if items := tuple(items):
        yield Finding(check, "warning", message.format(n=len(items)), items)


def _balance(found: SetToCheck) -> Iterator[Finding]:
    """Classes whose number of images is not the commonest (or the larger of equally common ones), empty folders too."""
    if not found.members:
        yield from _error("balance", [found.name], "the set holds no images")
        return
    sizes = Counter(member.wnid for member in found.members)
    usual, _ = max(Counter(sizes.values()).items(), key=lambda size: (size[1], size[0]))
    odd = [f"{wnid} ({sizes[wnid]})" for wnid in sorted({*sizes, *found.folders}) if sizes[wnid] != usual]
    yield from _error("balance", odd, f"classes that do not hold {usual} images like the others: {{n}}")


def _twice(found: SetToCheck) -> Iterator[Finding]:
    pairs = Counter((member.image_id, member.wnid) for member in found.members)
    again = [f"{image_id} in {wnid}" for (image_id, wnid), number in sorted(pairs.items()) if number > 1]
    yield from _error("ids twice", again, "images that are there more than once in a class: {n}")
    classes: dict[str, set[str]] = defaultdict(set)
    for member in found.members:
        classes[member.image_id].add(member.wnid)
    shared = [
        f"{key} in {', '.join(sorted(wnids))}" for key, wnids in sorted(classes.items()) if len(wnids) > 1
    ]
    yield from _error(
        "ids twice", shared, "images in several classes, where a model can get one label right: {n}"
    )


def _blocked(found: SetToCheck, evidence: Evidence) -> Iterator[Finding]:
    reasons = (
        (
            member,
            evidence.blocked.get(
                (member.image_id, None), evidence.blocked.get((member.image_id, member.wnid))
            ),
        )
        for member in found.members
    )
    blocked = [
        f"{member.image_id} ({reason or 'no reason given'})"
        for member, reason in reasons
        if reason is not None
    ]
    yield from _error("blocked", sorted(blocked), "blocked members: {n}")


def _near_duplicates(found: SetToCheck, evidence: Evidence) -> Iterator[Finding]:
    members = {member.image_id for member in found.members}
    originals = evidence.reference.keys() - members
    pairs = sorted(evidence.pairs)
    inside = [f"{a} ~ {b}" for a, b in pairs if a in members and b in members]
    yield from _error("near-duplicates", inside, "known pairs of near-duplicates inside the set: {n}")
    across = [(a, b) if a in members else (b, a) for a, b in pairs if (a in members) != (b in members)]
    touching = [f"{a} ~ {b}" for a, b in across if b in originals]
    yield from _error("near-duplicates", touching, "known near-duplicates of reference images: {n}")
    together, to_originals = _through(members, originals, evidence)
    message = "members that are near-duplicates of each other through images outside the set: {n}"
    yield from _error("near-duplicates", together, message)
    message = "members that are near-duplicates of reference images through other images: {n}"
    yield from _error("near-duplicates", to_originals, message)
    same = sorted(members & evidence.reference.keys())
    yield from _error("near-duplicates", same, "members that are images of the reference set itself: {n}")


def _through(members: set[str], originals: Set[str], evidence: Evidence) -> tuple[list[str], list[str]]:
    """Members that are one component with each other, or with reference images, by way of images that are neither.

    Sampling takes at most one of a component, and none of one that touches the original. Pairs that are known anyway
    are not told again.
    """
    near: dict[str, set[str]] = defaultdict(set)
    for a, b in evidence.pairs:
        near[a].add(b)
        near[b].add(a)
    seen: set[str] = set()
    together, to_originals = [], []
    for start in sorted(near.keys() - members - originals):
        if start in seen:
            continue
        touched, waiting, way = set[str](), [start], [start]
        seen.add(start)
        while waiting:
            for other in sorted(near[waiting.pop()]):
                if other in members or other in originals:
                    touched.add(other)
                elif other not in seen:
                    seen.add(other)
                    waiting.append(other)
                    way.append(other)
        inside, outside = sorted(touched & members), sorted(touched & originals)
        through = way[0] if len(way) == 1 else f"{way[0]} and {len(way) - 1} more"
        if any(b not in near[a] for at, a in enumerate(inside) for b in inside[at + 1 :]):
            together.append(f"{' ~ '.join(inside)} (through {through})")
        if any(b not in near[a] for a in inside for b in outside):
            to_originals.append(f"{' ~ '.join([*inside, *outside])} (through {through})")
    return together, to_originals


def _same_pixels(found: SetToCheck) -> Iterator[Finding]:
    """Of a set of arrays: pictures that are equal, whose hashes are those of their pixels."""
    if found.kind != "arrays":
        return
    rows: dict[str, list[str]] = defaultdict(list)
    for member in found.members:
        if member.sha256:
            rows[member.sha256].append(member.image_id)
    equal = [" ~ ".join(ids) for ids in rows.values() if len(ids) > 1]
    yield from _error("copies", equal, "groups of images with equal pixels: {n}")


def _bytes(found: SetToCheck) -> Iterator[Finding]:
    """Bytes against the set's own hashes, and files that the hashes do not cover."""
    expected = dict(found.sums or {})
    if found.sums is None:
        expected = {member.file: member.sha256 for member in found.members if member.file and member.sha256}
    changed = []
    for file, sha256 in sorted(expected.items()):
        try:
            if not file.is_file():  # a device or a pipe could be read for ever
                changed.append(f"{file} (missing)")
            elif sha256_of(file) != sha256:
                changed.append(str(file))
        except OSError as error:
            changed.append(f"{file} ({error.strerror})")
    yield from _error("bytes", changed, "files that are not what their hashes say: {n}")
    unlisted = [member.image_id for member in found.members if member.file and member.file not in expected]
    if found.sums is not None:
        yield from _error("bytes", unlisted, "images without a line in SHA256SUMS: {n}")
        other = [m.image_id for m in found.members if m.file and expected.get(m.file, m.sha256) != m.sha256]
        yield from _error("bytes", other, "images whose hash in the manifest is not that of SHA256SUMS: {n}")
    yield from _warning("bytes", map(str, found.extra_files), "files that do not belong to the release: {n}")
    if found.kind == "revision":
        absent = [member.image_id for member in found.members if member.sha256 is None]
        yield from _error("bytes", absent, "members without bytes (run newtest fetch): {n}")


def _archives(found: SetToCheck) -> Iterator[Finding]:
    """Each image inside tars and Parquet files against the manifest: the hash of an archive says nothing of what
    was packed into it.
    """
    if not found.archives:
        return
    expected = {(member.image_id, member.wnid): member.sha256 or "" for member in found.members}
    contents = contents_of(found.archives, expected)
    yield from _error("bytes", contents.unreadable, "archives that cannot be read to their end: {n}")
    yield from _error(
        "bytes", contents.changed, "images in archives that are not what the manifest says: {n}"
    )
    yield from _error("bytes", contents.missing, "members that the archives do not hold: {n}")
    yield from _error("bytes", contents.strange, "images in archives that are not members: {n}")


def _folder_names(found: SetToCheck) -> Iterator[Finding]:
    """ImageNetV2's folders "0".."999", sorted as strings, gave thousands of users wrong labels."""
    numbers = [name for name in found.folders if name.isascii() and name.isdigit()]
    if len(numbers) == len(found.folders) and sorted(numbers) != sorted(numbers, key=int):
        misplaced = [a for a, b in zip(sorted(numbers), sorted(numbers, key=int), strict=True) if a != b]
        message = "class folders that loaders sort as text and not as numbers, which gives wrong labels: {n}"
        yield from _error("folder names", misplaced, message + "; pad with zeros, or name them by wnid")
    same: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(found.folders)):
        same[name.casefold()].append(name)
    equal = [", ".join(names) for names in same.values() if len(names) > 1]
    yield from _error(
        "folder names", equal, "class folders that become one where names have no case (macOS, Windows): {n}"
    )


def _class_names(found: SetToCheck) -> Iterator[Finding]:
    same: dict[str, list[str]] = defaultdict(list)
    for wnid, name in sorted(found.names.items()):
        same[name.casefold()].append(wnid)
    equal = [f"{name}: {', '.join(wnids)}" for name, wnids in sorted(same.items()) if len(wnids) > 1]
    yield from _warning(
        "class names", equal, "names that stand for several classes (tell them apart in prompts): {n}"
    )


def _licenses(found: SetToCheck) -> Iterator[Finding]:
    if not found.tells_licenses:
        return
    allowed = {member.image_id: allows_redistribution(member.license) for member in found.members}
    forbidden = [key for key, may in sorted(allowed.items()) if may is False]
    yield from _error("licences", forbidden, "images whose licence forbids redistribution: {n}")
    unknown = [key for key, may in sorted(allowed.items()) if may is None]
    yield from _warning("licences", unknown, "images without a licence that newtest knows: {n}")


def _votes(found: SetToCheck, min_votes: int | None) -> Iterator[Finding]:
    def fewer(least: int) -> list[str]:
        return [
            f"{member.image_id} ({member.num_shown})"
            for member in found.members
            if member.num_shown is not None and member.num_shown < least
        ]

    own = found.min_votes
    least = min_votes if min_votes is not None else own if own is not None else USUAL_VOTES
    yield from _error("votes", fewer(least), f"members with fewer than {least} votes: {{n}}")
    if min_votes is None and own is not None and own < USUAL_VOTES:
        few = fewer(USUAL_VOTES)
        yield from _warning(
            "votes", few, f"members with fewer than {USUAL_VOTES} votes (asked for: {own}): {{n}}"
        )
