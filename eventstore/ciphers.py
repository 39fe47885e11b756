"""One subject's key at work: a JSON value becomes an object that only this key opens, and only in its own place."""

from __future__ import annotations

import os
from base64 import b64encode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.keyring import SubjectKey

EMPTY = frozenset({b'""', b"[]", b"{}", b"null"})
"""Values that say nothing, and are not sealed."""
NONCE = 12
"""Bytes; random ones, as one key seals far fewer than the 2³² values that allow that (NIST SP 800-38D, 8.3)."""

_KINDS = {b'"': "string", b"[": "array", b"{": "object", b"t": "boolean", b"f": "boolean"}


class Cipher:
    """A subject's key, ready for use."""

    __slots__ = ("_gcm", "key_id")

    def __init__(self, key: SubjectKey) -> None:
        self.key_id, self._gcm = key.id, AESGCM(key.secret)

    def seal(self, place: str, value: bytes) -> bytes:
        """The object that stands for a JSON value from now on; the value itself where that is empty."""
        if value in EMPTY:
            return value
        kind = _KINDS.get(value[:1], "number")
        nonce = os.urandom(NONCE)
        text = nonce + self._gcm.encrypt(nonce, value, _bound(place, kind))
        return b'{"sealed":"%s.%s","is":"%s"}' % (self.key_id.encode(), b64encode(text), kind.encode())

    def open(self, place: str, sealed: bytes, kind: str) -> bytes:
        """The JSON value. Raises InvalidTag when that was sealed in another place or with another key."""
        return self._gcm.decrypt(sealed[:NONCE], sealed[NONCE:], _bound(place, kind))


def _bound(place: str, kind: str) -> bytes:
    return f"{place}\0{kind}".encode()


def place_of(stream: str, version: int, name: str, part: str) -> str:
    """Where values are sealed: none of these has a zero in it, so that no two places are written alike."""
    return f"{stream}\0{version}\0{name}\0{part}"
