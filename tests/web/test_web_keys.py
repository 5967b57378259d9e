from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.web.keys import Keys

KEYS = Keys(b"k" * 32)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200))
def test_a_sealed_name_opens_to_itself_and_to_nothing_else(name: str) -> None:
    token = KEYS.seal("image", name)
    assert KEYS.open("image", token) == name
    assert KEYS.open("other", token) is None
    assert Keys(b"x" * 32).open("image", token) is None
    assert token == KEYS.seal("image", name)


def test_a_sealed_name_tells_neither_its_text_nor_its_length() -> None:
    original = KEYS.seal("image", "ILSVRC2012_val_00020867.JPEG")
    candidate = KEYS.seal("image", "685e0acb61bfac5c6b8c3a81890fc5dc3af3d2ac")
    assert len(original) == len(candidate)
    assert original[:8] != candidate[:8]
    assert set(original) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=160))
def test_a_made_up_token_opens_nothing(token: str) -> None:
    assert KEYS.open("image", token) is None
    assert KEYS.link_id("worker", token) is None


@pytest.mark.parametrize("position", [0, 20, 60, 100])
def test_a_changed_token_opens_nothing(position: int) -> None:
    token = KEYS.seal("image", "abc")
    changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
    assert KEYS.open("image", changed) is None


def test_tags_bind_their_purpose_and_the_cut_between_their_parts() -> None:
    token = KEYS.tag("csrf", "ab", "c")
    assert KEYS.is_tag(token, "csrf", "ab", "c")
    assert not KEYS.is_tag(token, "csrf", "a", "bc")
    assert not KEYS.is_tag(token, "link", "ab", "c")
    assert not KEYS.is_tag("", "csrf", "ab", "c")


def test_a_link_gives_its_id_back_and_a_guess_gives_none() -> None:
    link_id, token = KEYS.new_link("worker")
    assert KEYS.link_id("worker", token) == link_id
    assert KEYS.link("worker", link_id) == token
    assert KEYS.link_id("worker", link_id + "A" * 22) is None
    assert KEYS.link_id("reviewer", token) is None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Keys(b"short")


def test_tokens_are_aes_siv_of_the_padded_name_under_keys_of_the_purpose() -> None:
    """RFC 5297, put together by hand: links that a running study gave away must open in later versions."""

    def derived(purpose: bytes) -> bytes:
        return hmac.new(b"k" * 32, b"derive\x00" + purpose, hashlib.sha256).digest()

    cipher = AESSIV(derived(b"image/siv/1") + derived(b"image/siv/2"))
    sealed = cipher.encrypt(b"\x00\x00\x00\x03abc" + b"\x00" * 57, None)
    assert base64.urlsafe_b64decode(KEYS.seal("image", "abc") + "==") == sealed
    forged = cipher.encrypt(b"\x00\x00\x00\x03abc" + b"\x00" * 57, [b"something else"])
    assert KEYS.open("image", base64.urlsafe_b64encode(forged).rstrip(b"=").decode()) is None
