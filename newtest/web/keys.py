"""Everything that is derived from one secret: CSRF tokens, opaque names, signed links.

Tokens are HMAC-SHA256 and names are sealed with AES-SIV, under keys that are themselves derived per purpose, so that a
token made for one purpose is worthless for another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

__all__ = ["Keys"]

_TAG_BYTES = 16
_PADDED_TO = 64


class Keys:
    """A secret of at least 16 bytes, and what can be made of it. Nothing in it changes: tokens outlive a restart."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("a secret of at least 16 bytes is required")
        self._secret = secret
        self._ciphers: dict[str, AESSIV] = {}

    def derive(self, purpose: str) -> bytes:
        """32 bytes that belong to ``purpose`` alone."""
        return _mac(self._secret, b"derive\x00" + purpose.encode())

    def tag(self, purpose: str, *parts: str) -> str:
        """A token of 22 characters that only the holder of the secret can make for these parts."""
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return _encode(_mac(self.derive(purpose), message)[:_TAG_BYTES])

    def is_tag(self, token: str, purpose: str, *parts: str) -> bool:
        """Whether ``token`` is the tag of these parts; takes the same time whatever is wrong with it."""
        return hmac.compare_digest(token.encode(), self.tag(purpose, *parts).encode())

    def seal(self, purpose: str, name: str) -> str:
        """An opaque, URL-safe token for ``name``; of its length it tells only how many times 64 bytes.

        The same name always gives the same token, so pages can be cached: AES-SIV (RFC 5297) of ``cryptography``,
        without a nonce.
        """
        plain = len(name.encode()).to_bytes(4, "big") + name.encode()
        plain += b"\x00" * (-len(plain) % _PADDED_TO)
        return _encode(self._cipher(purpose).encrypt(plain, None))

    def open(self, purpose: str, token: str) -> str | None:
        """The name that was sealed, or None for anything that ``seal`` did not make for this purpose."""
        data = _decode(token)
        if data is None or len(data) <= _TAG_BYTES or (len(data) - _TAG_BYTES) % _PADDED_TO:
            return None
        try:
            plain = self._cipher(purpose).decrypt(data, None)
        except InvalidTag:
            return None
        return plain[4 : 4 + int.from_bytes(plain[:4], "big")].decode()

    def _cipher(self, purpose: str) -> AESSIV:
        if purpose not in self._ciphers:
            key = self.derive(purpose + "/siv/1") + self.derive(purpose + "/siv/2")
            self._ciphers[purpose] = AESSIV(key)
        return self._ciphers[purpose]

    def new_link(self, purpose: str) -> tuple[str, str]:
        """A fresh unguessable link: its id, to be stored so that it can be revoked, and its token, to be
        given away."""
        link_id = secrets.token_hex(12)
        return link_id, self.link(purpose, link_id)

    def link(self, purpose: str, link_id: str) -> str:
        """The token of a link whose id is known: 24 hex digits of id and 22 characters of signature."""
        return link_id + self.tag(purpose, link_id)

    def link_id(self, purpose: str, token: str) -> str | None:
        """The id of a link whose signature holds, else None: a guess never reaches the database."""
        link_id, signature = token[:24], token[24:]
        return link_id if self.is_tag(signature, purpose, link_id) else None


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(token: str) -> bytes | None:
    try:
        data = base64.b64decode(
            token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if _encode(data) == token else None
