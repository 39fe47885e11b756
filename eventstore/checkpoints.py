"""What a checkpoint says, and how it is written.

A checkpoint is the state of the log in five lines, to be kept by others. An empty line comes after them, and behind
that the signatures, if there are any.

    callboard/4f0c8d2e9a71b356
    4000
    iTl1hIhh…=
    head 58b63a0c…
    time 1700000000000000

    — callboard 7p1zVg…

The lines are: the log's name with its epoch; how many events there are; the root of the Merkle tree over their
chain hashes (RFC 9162, base64); the chain hash of the last one (hexadecimal); when this was written down (µs UTC).
The format is that of c2sp.org/tlog-checkpoint and c2sp.org/signed-note, so that tools for transparency logs can
read and witness it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Protocol, Self

from msgspec import Struct, json

NAME = "callboard"
"""The log's name, before its epoch, and that of the keys that sign."""

_BODY = re.compile(
    rf"{NAME}/(?P<epoch>[^\s/]+)\n(?P<size>[1-9][0-9]{{0,18}})\n(?P<root>[A-Za-z0-9+/]{{43}}=)\n"
    r"head (?P<head>[0-9a-f]{64})\ntime (?P<time>[0-9]{1,18})\n"
)
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_SIGNATURE = re.compile(rf"— \S+ ({_BASE64})\n")
_SIGNATURES = re.compile(rf"(?:— \S+ {_BASE64}\n)*")


class MalformedCheckpoint(ValueError):
    """A text that is no checkpoint."""


class Signer(Protocol):
    """Signs checkpoints. Answers the line that goes behind the text."""

    def signature_line(self, text: str) -> str: ...


class Checkpoint(Struct, frozen=True):
    """The log with its first `size` events, seen at `time` (µs UTC). `note` is the whole as it is written."""

    epoch: str
    size: int
    root: bytes
    head: bytes
    time: int
    note: str

    @classmethod
    def of(cls, epoch: str, size: int, root: bytes, head: bytes, time: int, signer: Signer | None) -> Self:
        """A new one; signed if there is somebody who does."""
        text = f"{NAME}/{epoch}\n{size}\n{b64encode(root).decode()}\nhead {head.hex()}\ntime {time}\n"
        signature = "" if signer is None else signer.signature_line(text)
        return cls(epoch, size, root, head, time, f"{text}\n{signature}")

    @classmethod
    def parse(cls, note: str) -> Self:
        """Raises MalformedCheckpoint."""
        text, empty, rest = note.partition("\n\n")
        match = _BODY.fullmatch(f"{text}\n")
        if match is None or not empty or not _SIGNATURES.fullmatch(rest):
            raise MalformedCheckpoint("this is no checkpoint of a log")
        root, head = b64decode(match["root"]), bytes.fromhex(match["head"])
        return cls(match["epoch"], int(match["size"]), root, head, int(match["time"]), note)

    @property
    def is_signed(self) -> bool:
        """By whomever."""
        return not self.note.endswith("\n\n")

    @property
    def text(self) -> str:
        """What is signed."""
        return self.note.partition("\n\n")[0] + "\n"

    @property
    def signatures(self) -> list[bytes]:
        """Each behind the four bytes that tell its key."""
        return [b64decode(match[1]) for match in _SIGNATURE.finditer(self.note)]

    @property
    def line(self) -> bytes:
        """As it stands in the file beside the log."""
        return json.encode({"size": self.size, "head": self.head.hex(), "checkpoint": self.note}) + b"\n"


class _Line(Struct):
    checkpoint: str


def parse_file(content: str) -> list[Checkpoint]:
    """The checkpoints in a file: one as it is, or a line of JSON for each. Raises MalformedCheckpoint."""
    if not content.lstrip().startswith("{"):
        return [Checkpoint.parse(f"{content.rstrip()}\n" if "—" in content else f"{content.strip()}\n\n")]
    try:
        lines = [json.decode(line, type=_Line) for line in content.splitlines() if line.strip()]
    except ValueError:
        raise MalformedCheckpoint("a line is no JSON object with a checkpoint") from None
    return [Checkpoint.parse(line.checkpoint) for line in lines]
