"""Pairs are spread over reviewers who work at the same time, and nothing that waits is withheld."""

from __future__ import annotations

from newtest.review.handing_out import HandingOut

PAIRS = [("a", "b"), ("a", "c"), ("b", "c"), ("d", "e"), ("d", "f")]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_two_reviewers_get_different_pairs() -> None:
    out = HandingOut()
    assert out.take("ana", PAIRS, 2) == PAIRS[:2]
    assert out.take("bob", PAIRS, 2) == PAIRS[2:4]
    assert out.take("ana", PAIRS, 2) == PAIRS[:2]  # the page was loaded again
    assert out.take("cia", PAIRS, 2) == PAIRS[4:]


def test_the_last_pairs_go_to_everybody() -> None:
    out = HandingOut()
    out.take("ana", PAIRS, 9)
    assert out.take("bob", PAIRS, 3) == PAIRS[:3]
    assert out.take("bob", [], 3) == []


def test_who_does_nothing_loses_them_and_who_works_keeps_them() -> None:
    clock = Clock()
    out = HandingOut(seconds=60, clock=clock)
    out.take("ana", PAIRS, 2)
    clock.now = 50
    out.renew("ana")
    clock.now = 100
    assert out.take("bob", PAIRS, 2) == PAIRS[2:4]
    clock.now = 111
    assert out.take("cia", PAIRS, 2) == PAIRS[:2]


def test_what_was_put_off_comes_last_and_others_may_have_it() -> None:
    out = HandingOut()
    assert out.take("ana", PAIRS, 2) == PAIRS[:2]
    out.put_off("ana", PAIRS[:2])
    assert out.take("ana", PAIRS, 9) == PAIRS[2:]
    assert out.take("bob", PAIRS, 2) == PAIRS[:2]
    assert out.take("ana", [*PAIRS[:2]], 9) == PAIRS[:2]
