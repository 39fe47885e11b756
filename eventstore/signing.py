"""Ed25519 keys that sign checkpoints, in files as `openssl genpkey -algorithm ed25519` writes them (PEM, PKCS #8)."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from eventstore.checkpoints import NAME, Checkpoint

ED25519 = b"\x01"
"""The signature's kind in c2sp.org/signed-note."""


class BadKey(ValueError):
    """A file that holds no key of ours. The message says what is wrong with it and what to do."""


class SigningKey:
    """Signs checkpoints: an `eventstore.checkpoints.Signer`. `public` are the 32 bytes others check by."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = key_id(self.public)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in the file. Raises BadKey."""
        wanted = "make one with `callboard proof key new FILE`"
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as fault:
            raise BadKey(f"{path} cannot be read: {fault.strerror}; {wanted}") from None
        except TypeError:
            raise BadKey(f"the key in {path} has a password; write it without, and guard the file") from None
        except Exception:  # noqa: BLE001  # the library has many names for this
            raise BadKey(f"{path} holds no private key in PEM; {wanted}") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise BadKey(f"the key in {path} is not an Ed25519 key; {wanted}")
        return cls(private)

    @classmethod
    def new(cls, path: Path) -> Self:
        """A new key in a new file that its owner alone may read. Raises OSError, also when there is one."""
        private = Ed25519PrivateKey.generate()
        content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with open(
            path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as file:  # its mode from the start
            file.write(content)
        return cls(private)

    def signature_line(self, text: str) -> str:
        """The signature under a text, as c2sp.org/signed-note has it."""
        return f"— {NAME} {b64encode(self.id + self._private.sign(text.encode())).decode()}\n"


def key_id(public: bytes) -> bytes:
    """Four bytes that tell a key from others."""
    return sha256(NAME.encode() + b"\n" + ED25519 + public).digest()[:4]


def is_signed_by(checkpoint: Checkpoint, public: bytes) -> bool | None:
    """Whether its signature by this key is true; None where it has none by this key."""
    signatures = [each[4:] for each in checkpoint.signatures if each[:4] == key_id(public)]
    if not signatures:
        return None
    try:
        for signature in signatures:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, checkpoint.text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
