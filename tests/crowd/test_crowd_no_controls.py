"""Found by a newcomer: the owner's page told a sensitivity of 50 % of people who had seen no control."""

from __future__ import annotations

import pytest

from newtest.crowd.server.owner_studies import SeveralStudies


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([0, 0, 0, 0], ("", "", False)),
        ([9, 9, 0, 0], ("91 %", "", False)),
        ([0, 0, 0, 9], ("", "91 %", False)),
        ([8, 9, 1, 9], ("82 %", "82 %", False)),
    ],
)
def test_a_share_of_controls_that_nobody_saw_is_not_told(
    counts: list[int], shown: tuple[str, str, bool]
) -> None:
    assert SeveralStudies("ana", counts=counts).quality == shown
