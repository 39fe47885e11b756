"""The master key: 32 random bytes in a file of its own, which wraps the keys of the data subjects."""

from __future__ import annotations

import binascii
import os
import re
import secrets
from base64 import b64decode
from pathlib import Path

from msgspec import Struct

KEY_BYTES = 32
MOST_BYTES = 4096
"""Of a key's file that are looked at."""

_HEX = re.compile(r"[0-9a-fA-F]{64}")


class BadMasterKey(ValueError):
    """The file cannot be used as a master key; the message says why and what to do, and nothing of what is in it."""


class MasterKey(Struct, frozen=True):
    """Never shown: neither printed nor logged."""

    secret: bytes

    def __repr__(self) -> str:
        return "MasterKey(…)"


def read_master_key(path: Path) -> MasterKey:
    """The key in the file, written in hex or base64. Raises BadMasterKey."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("ascii").strip()
    except OSError as fault:
        remedy = "; `callboard keys new FILE` makes one" if isinstance(fault, FileNotFoundError) else ""
        raise BadMasterKey(f"{path} cannot be read: {fault.strerror}{remedy}") from None
    except UnicodeDecodeError:
        raise BadMasterKey(_complaint(path)) from None
    secret = _decoded(text)
    if len(secret) != KEY_BYTES:
        raise BadMasterKey(_complaint(path))
    return MasterKey(secret)


def make_master_key(path: Path) -> None:
    """Write a new key into a new file that only its owner may read. Raises BadMasterKey when there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadMasterKey(
            f"{path} is there already, and what its key has wrapped would be lost; name another"
        ) from None
    except OSError as fault:
        raise BadMasterKey(f"{path} cannot be written: {fault.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _decoded(text: str) -> bytes:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _complaint(path: Path) -> str:
    wanted = "write 32 random bytes in hex or base64, as `callboard keys new FILE` does"
    return f"{path} holds no key; {wanted}"
