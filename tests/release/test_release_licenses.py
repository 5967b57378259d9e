from __future__ import annotations

import pytest

from newtest.releasing.licenses import allows_redistribution, license_url


@pytest.mark.parametrize(
    ("name", "allowed", "url"),
    [
        ("by-2.0", True, "https://creativecommons.org/licenses/by/2.0/"),
        ("CC BY-SA 4.0", True, "https://creativecommons.org/licenses/by-sa/4.0/"),
        (
            "https://creativecommons.org/licenses/by-nc-nd/3.0/de/",
            True,
            "https://creativecommons.org/licenses/by-nc-nd/3.0/",
        ),
        ("cc0-1.0", True, "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("pdm", True, "https://creativecommons.org/publicdomain/mark/1.0/"),
        ("us-government", True, None),
        ("by", True, None),
        ("CC BY-SA", True, None),
        ("Attribution License", True, None),
        ("CC BY 4.0, not for training", None, None),
        ("all-rights-reserved", False, None),
        ("All Rights Reserved", False, None),
        ("(c) 2012 A. Owner, all rights reserved.", False, None),
        ("Some rights reserved", None, None),
        ("No rights reserved", None, None),
        ("unknown-flickr-license-17", None, None),
        ("by the owner's leave", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_what_a_licence_lets_a_release_do(name: str | None, allowed: bool | None, url: str | None) -> None:
    assert allows_redistribution(name) is allowed
    assert license_url(name) == url
