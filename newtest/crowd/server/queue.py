"""One queue per person over all studies of a server: what they hold, what they may take, and taking it.

With one study each function is one call of ``newtest.crowd.server.leases``. With several, what the person has been
shown elsewhere bars HITs: no image of a class comes twice, whichever study it is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from newtest.catalog import leases as lease_rows
from newtest.catalog import open_hits
from newtest.catalog.open_hits import OpenGroup, Seen
from newtest.crowd.server import leases
from newtest.crowd.server.leases import Taken, Work, WorkList
from newtest.crowd.server.persons import Member, Person

__all__ = ["Offer", "Queue", "queue_of", "take_next", "whose", "work_in"]


@dataclass(frozen=True)
class Offer:
    """HITs of one kind, from every study that has such at the same terms."""

    key: str
    """What the form sends: the group, and for a second kind of the same name its terms."""
    group: OpenGroup
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Queue:
    """Everything on a worker's first page."""

    held: tuple[Work, ...]
    offers: tuple[Offer, ...]
    done: int
    last_group: str | None
    """The kind of what they did last."""
    paused: bool
    """By the owner, in every study: nothing can be begun at the moment."""

    @property
    def open(self) -> int:
        """HITs that they hold or may take."""
        return sum(offer.group.available for offer in self.offers) + len(self.held)


async def queue_of(person: Person, now: float) -> Queue:
    """What a person holds and may take."""
    lists = await _lists(person, now)
    last = max((one.last for one in lists if one.last), key=lambda last: last[1], default=None)
    return Queue(
        held=tuple(sorted((w for one in lists for w in one.held), key=lambda w: w.lease.accepted_at)),
        offers=tuple(_offers(person, lists)),
        done=sum(one.done for one in lists),
        last_group=None if last is None else last[0],
        paused=all(one.paused for one in lists),
    )


async def take_next(person: Person, key: str, now: float) -> Taken:
    """Lease the next HIT of an offer to a person, from the first study that has one, or say why not."""
    if len(person.members) == 1:
        (member,) = person.members
        return await member.shared.database.write(leases.take, member.worker, key, now)
    async with person.taking:
        queue = await queue_of(person, now)
        offer = next((offer for offer in queue.offers if offer.key == key), None)
        if offer is None:
            return Taken(None, "halted" if queue.paused else "taken")
        taken = Taken(None, "taken")
        for member in offer.members:
            elsewhere = len(queue.held) - len(
                await member.shared.database.read(lease_rows.lease_of, member.worker)
            )
            seen = await _seen_elsewhere(person, member)
            taken = await member.shared.database.write(
                leases.take, member.worker, offer.group.group, now, seen, elsewhere
            )
            if taken.assignment_id is not None or taken.why == "held":
                break
        return taken


async def whose(person: Person, assignment_id: str) -> Member | None:
    """In which study an assignment of theirs is; None where there is none."""
    if len(person.members) == 1:
        return person.members[0]
    for member in person.members:
        lease = await member.shared.database.look(lease_rows.find_lease, assignment_id)
        if lease is not None:
            return member if lease.worker == member.worker else None
    return None


async def work_in(member: Member, assignment_id: str, now: float) -> Work | None:
    """A worker's own assignment, whatever its state; None when it is not theirs or does not exist."""
    return await member.shared.database.write(leases.work_of, member.worker, assignment_id, now)


async def _lists(person: Person, now: float) -> list[WorkList]:
    lists = []
    for member in person.members:
        seen = await _seen_elsewhere(person, member)
        lists.append(await member.shared.database.write(leases.overview, member.worker, now, seen))
    return lists


async def _seen_elsewhere(person: Person, member: Member) -> list[Seen]:
    found: list[Seen] = []
    for other in person.members:
        if other is not member:
            found += await other.shared.database.read(open_hits.seen_by, other.worker)
    return found


def _offers(person: Person, lists: list[WorkList]) -> Iterator[Offer]:
    found: dict[tuple[str, str, int], Offer] = {}
    for member, one in zip(person.members, lists, strict=True):
        for group in one.groups:
            terms = (group.group, group.reward, group.duration)
            if (known := found.get(terms)) is not None:
                more = replace(known.group, available=known.group.available + group.available)
                found[terms] = replace(known, group=more, members=(*known.members, member))
            else:
                first = all(group.group != name for name, _, _ in found)
                key = group.group if first else f"{group.group}@{group.reward}/{group.duration}"
                found[terms] = Offer(key, group, (member,))
    yield from found.values()
