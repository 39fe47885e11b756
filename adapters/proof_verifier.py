#!/usr/bin/env python3
"""Check a proof that Callboard made, with nothing but Python (3.9 or newer) and this one file.

    python3 proof_verifier.py proof.json [--public-key HEX|FILE] [--checkpoint FILE] [--file EXPORT]

It needs neither the server nor its database, and imports nothing of Callboard: copy it wherever you like, and read it.
Exit code 0: what the proof is said to show is shown; 1: it is not; 2: there is no such file, a key is no key, or a file
of checkpoints has none.

THE LOG. Each event has a position (1, 2, 3, …) and the columns in NAMES. Its chain hash is

    SHA-256(chain hash of the event before it ‖ MessagePack array of the columns)

where the payload and the command are binary, other texts strings, what is absent nil, and the first event follows 32
zero bytes. The chain hashes are the leaves of a Merkle tree as RFC 9162 (2.1) defines it: leaf SHA-256(0x00 ‖ chain
hash), node SHA-256(0x01 ‖ left ‖ right).

A CHECKPOINT is a text (c2sp.org/tlog-checkpoint): the log's name and epoch, the number of events, the tree's root
(base64), `head ` and the last chain hash (hex), `time ` and µs UTC; each line ended by a line feed, then an empty line,
then, where it is signed, a line `— callboard ` with base64 of four bytes that tell the key and of an Ed25519 signature
(RFC 8032) under the text before the empty line.

A PROOF is a JSON object; all hashes in it are hexadecimal. "proof" says which it is:

callboard.event/1: "event" has the columns by NAMES, "previous" the chain hash before it, "path" what RFC 9162 (2.1.3)
says, and "checkpoint" the one that it leads to.

callboard.consistency/1: "old" and "checkpoint" are two checkpoints, "path" what RFC 9162 (2.1.4) says: that the log
only grew between them. Anybody can write both, so hold the older against what you noted (--checkpoint), or have both
signed (--public-key); without either it is only said what root to compare.

callboard.export/1: "file" has name, SHA-256, format (jsonl, csv or parquet) and whether it is compressed (gzip), of a
file with one event in each row, by NAMES; "runs" are [first position, last position, chain hash before] of events
without a gap; "nodes" the largest subtrees in which no exported event is, from left to right. "stored", where there is
one, has by position the payload and the command as the log has them, where the file shows what is sealed there: they
differ only in objects {"sealed": …, "is": …}.
"""

# long because: it is the one file that an auditor copies.

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
import sys
from base64 import b64decode, b64encode
from datetime import datetime, timedelta, timezone
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, Iterable, Iterator  # noqa: UP035  # as Python 3.9 has it

NAMES = (
    "position", "stream", "version", "event", "payload", "time", "correlation", "causation", "command_id", "principal",
    "origin", "command",
)  # fmt: skip
SHOWN = (*NAMES, "hash")  # the columns of an export
FORMATS, BINARY = ("jsonl", "csv", "parquet"), ("payload", "command")
NUMBERS, NULLABLE = ("position", "version", "time"), ("causation", "command_id", "command")
BODY = re.compile(r"(\S+)\n([1-9]\d*)\n([A-Za-z0-9+/]{43}=)\nhead ([0-9a-f]{64})\ntime (\d+)\n", re.ASCII)
SIGNATURE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+=*)")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017  # as Python 3.9 has it
KEY = re.compile(r"[0-9a-fA-F]{64}")


class NotProved(Exception):
    """Why the proof does not show what it is said to show."""


def demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotProved(otherwise)


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object: readers differ in which of two values they take, so that a name must not stand in it twice."""
    read = dict(pairs)
    demand(len(read) == len(pairs), "a name stands twice in one JSON object")
    return read


# --- Ed25519: RFC 8032, 5.1.7. Nothing is secret here, so it need not take the same time for all values ---------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]  # (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z


def add(one: Point, two: Point) -> Point:
    a, b = (one[1] - one[0]) * (two[1] - two[0]) % P, (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(factor: int, point: Point) -> Point:
    product: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            product = add(product, point)
        point, factor = add(point, point), factor >> 1
    return product


def point_of(encoded: bytes) -> Point | None:
    y = int.from_bytes(encoded, "little")
    is_odd, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and is_odd):
        return None
    return ((x := P - x if x & 1 != is_odd else x), y, 1, x * y % P)


def is_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether the holder of the key wrote the signature under the text."""
    key, s = point_of(public), int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or s >= L:
        return False
    k = int.from_bytes(sha512(signature[:32] + public + text).digest(), "little") % L
    generator = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    assert generator is not None  # noqa: S101  # RFC 8032 says so
    x, y, z, _ = add(times(s, generator), times(k, (P - key[0], key[1], 1, P - key[3])))
    x, y = x * pow(z, P - 2, P) % P, y * pow(z, P - 2, P) % P
    return signature[:32] == (y | (x & 1) << 255).to_bytes(32, "little")


# --- checkpoints ----------------------------------------------------------------------------------------------------


class Checkpoint:
    """A checkpoint, read from its text."""

    def __init__(self, note: str) -> None:
        self.text, _, signatures = note.partition("\n\n")
        self.text += "\n"
        match = BODY.fullmatch(self.text)
        if match is None:
            raise NotProved("the checkpoint is not written as one")
        self.log, self.size, self.root = match[1], int(match[2]), b64decode(match[3])
        self.head, self.time = bytes.fromhex(match[4]), int(match[5])
        self.signatures = [b64decode(found[2]) for found in SIGNATURE.finditer(signatures)]

    def __str__(self) -> str:
        return f"the checkpoint of {said_time(self.time)} ({said_size(self.size)})"

    def signer(self, public: bytes | None) -> str:
        """What is to be said of its signature. Raises NotProved where it is not signed by the key, if there is one."""
        if public is None:
            return "is signed, which was not checked: no public key was given" if self.signatures else "is not signed"
        id = sha256(b"callboard\n\x01" + public).digest()[:4]
        ours = [signature[4:] for signature in self.signatures if signature[:4] == id]
        demand(bool(ours), f"{self} is not signed by the key {public.hex()[:16]}…")
        demand(all(is_signed(public, self.text.encode(), one) for one in ours), f"the signature under {self} is false")
        return f"is signed by the key {public.hex()[:16]}…"


def said_size(events: int) -> str:
    return f"{events:,} event{'s' * (events > 1)}"


def said_time(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d %H:%M:%S UTC")


# --- hashes ---------------------------------------------------------------------------------------------------------


def packed(value: Any) -> bytes:
    """MessagePack (its specification), in the shortest form, for the few types there are."""
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        if -32 <= value < 0:
            return bytes([256 + value])
        first = 0xCC if value >= 0 else 0xD0
        for power, size in enumerate((1, 2, 4, 8)):
            if -(1 << 8 * size - 1) <= value < 0 or 0 <= value < 1 << 8 * size:
                return bytes([first + power]) + value.to_bytes(size, "big", signed=value < 0)
    content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if isinstance(value, str) and len(content) < 32:
        return bytes([0xA0 + len(content)]) + content
    first = 0xD9 if isinstance(value, str) else 0xC4
    power = 0 if len(content) < 1 << 8 else 1 if len(content) < 1 << 16 else 2
    return bytes([first + power]) + len(content).to_bytes(1 << power, "big") + bytes(content)


def chain_hash(previous: bytes, event: dict[str, Any]) -> bytes:
    """The hash of an event that follows the one with the hash `previous`."""
    demand(set(NAMES) <= set(event) <= set(SHOWN), "the event has other columns than the log")
    columns = [event[name] for name in NAMES]
    demand(not any(isinstance(value, bool) for value in columns), "the event has columns of another kind than the log")
    for name in BINARY:
        if event[name] is not None:
            columns[NAMES.index(name)] = event[name].encode("utf-8", "surrogateescape")
    return sha256(previous + bytes([0x90 + len(columns)]) + b"".join(map(packed, columns))).digest()


def leaf(content: bytes) -> bytes:
    return sha256(b"\0" + content).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


# --- the proofs -----------------------------------------------------------------------------------------------------


def included_root(index: int, size: int, hash_: bytes, path: list[bytes]) -> bytes:
    """RFC 9162, 2.1.3.2: the root that the path leads to from the leaf at `index`, from 0."""
    demand(index < size, "the event lies behind the checkpoint")
    rest, last = index, size - 1
    for step in path:
        demand(last > 0, "the path is too long")
        if rest & 1 or rest == last:
            hash_ = node(step, hash_)
            while rest and not rest & 1:
                rest, last = rest >> 1, last >> 1
        else:
            hash_ = node(hash_, step)
        rest, last = rest >> 1, last >> 1
    demand(last == 0, "the path is too short")
    return hash_


def consistent_roots(old: int, new: int, old_root: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """RFC 9162, 2.1.4.2: the roots of the first `old` leaves and of all that the path leads to."""
    if old == new:
        demand(not path, "the path is too long")
        return old_root, old_root
    steps = [old_root, *path] if old & (old - 1) == 0 else path
    demand(bool(steps), "the path is too short")
    rest, last = old - 1, new - 1
    while rest & 1:
        rest, last = rest >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        demand(last > 0, "the path is too long")
        if rest & 1 or rest == last:
            before, after = node(step, before), node(step, after)
            while rest and not rest & 1:
                rest, last = rest >> 1, last >> 1
        else:
            after = node(after, step)
        rest, last = rest >> 1, last >> 1
    demand(last == 0, "the path is too short")
    return before, after


def surrounded_root(runs: list[Any], size: int, leaves: Iterator[bytes], nodes: Iterator[bytes]) -> bytes:
    """The root above the leaves in the runs and the subtrees without any of them, both taken from left to right."""

    def visit(start: int, end: int, low: int, high: int) -> bytes:
        while low < high and runs[low][1] <= start:
            low += 1
        while low < high and runs[high - 1][0] > end:
            high -= 1
        if low == high:
            return next(nodes)
        if end - start == 1:
            return leaf(next(leaves))
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        left = visit(start, middle, low, high)
        return node(left, visit(middle, end, low, high))

    try:
        return visit(0, size, 0, len(runs))
    except StopIteration:
        raise NotProved("there are fewer events, or fewer hashes in the proof, than the proof says") from None


def check_event(proof: dict[str, Any], checkpoint: Checkpoint) -> str:
    event = proof["event"]
    demand(set(event) == set(NAMES), "the event has other columns than the log")
    position, hash_ = event["position"], chain_hash(bytes.fromhex(proof["previous"]), event)
    path = [bytes.fromhex(step) for step in proof["path"]]
    demand(position >= 1, "there is no such position")
    root = included_root(position - 1, checkpoint.size, leaf(hash_), path)
    demand(root == checkpoint.root, "the event, as it stands in the proof, is not in the log of the checkpoint")
    name = f"{event['stream']}@{event['version']} ({event['event']}, {said_time(event['time'])})"
    return f"Proved: {name} is in the log {checkpoint.log} at position {position:,}, as it stands in the proof."


def check_consistency(proof: dict[str, Any], old: Checkpoint, new: Checkpoint, is_anchored: bool) -> str:
    demand(old.size <= new.size, "the older checkpoint has more events than the newer")
    roots = consistent_roots(old.size, new.size, old.root, [bytes.fromhex(step) for step in proof["path"]])
    demand(roots == (old.root, new.root), f"the log does not begin with the {old.size:,} events it once had")
    epochs = "" if old.log == new.log else f" In between it was restored: it was {old.log}."
    if is_anchored:
        return f"Proved: the log {new.log} begins with all of {old}; it only grew.{epochs}"
    begins = f"The log {new.log} at {said_size(new.size)} begins with a log of {said_size(old.size)} whose root is"
    return f"{begins} {b64encode(old.root).decode()}: compare this root with what you noted.{epochs}"


def check_export(proof: dict[str, Any], checkpoint: Checkpoint, file: Path) -> str:
    digest = sha256()
    with file.open("rb") as content:
        for piece in iter(lambda: content.read(1 << 20), b""):
            digest.update(piece)
    demand(digest.hexdigest() == proof["file"]["sha256"], f"{file} is not the file that was proved: its digest differs")
    ends = [end for first, last, _ in proof["runs"] for end in (first - 1, last)]
    demand(ends == sorted(ends) and all(first <= last for first, last, _ in proof["runs"]), "the runs are out of order")
    demand(not ends or (ends[0] >= 0 and ends[-1] <= checkpoint.size), "a run lies outside the checkpoint")
    rows = rows_of(file, proof["file"]["format"], proof["file"]["compressed"])
    shown: list[int] = []
    leaves, nodes = hashes_of(proof, rows, shown), iter([bytes.fromhex(each) for each in proof["nodes"]])
    root = surrounded_root(proof["runs"], checkpoint.size, leaves, nodes)
    demand(root == checkpoint.root, f"the events in {file} are not those of the log of the checkpoint")
    demand(next(rows, None) is None and next(nodes, None) is None, "there is more in the file than the proof tells of")
    count = sum(last - first + 1 for first, last, _ in proof["runs"])
    told = f" In {len(shown):,} of them the log has sealed what the file shows: that is not proved, the rest is."
    return f"Proved: all {count:,} events in {file} are in the log {checkpoint.log}.{told if shown else ''}"


def hashes_of(proof: dict[str, Any], rows: Iterator[dict[str, Any]], shown: list[int]) -> Iterator[bytes]:
    """The chain hashes of the rows. The positions of those that show what is sealed go to `shown`."""
    for first, last, before in proof["runs"]:
        hash_ = bytes.fromhex(before)
        for position in range(first, last + 1):
            row, stored = next(rows, {}), proof.get("stored", {}).get(str(position), {})
            demand(row.get("position") == position, f"the event at position {position:,} is not in its place")
            if stored:
                shown.append(position)
            hash_ = chain_hash(hash_, as_stored(row, stored))
            is_recorded = row.get("hash", hash_.hex()) == hash_.hex()
            demand(is_recorded, f"the event at position {position:,} is not in the file as it was recorded")
            yield hash_


def as_stored(row: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """The row as the log has it, which may differ from what is shown only where something is sealed."""
    told = f"the event at position {row['position']:,} differs from the log in more than what is sealed"
    demand(set(stored) <= set(BINARY), told)
    for name, text in stored.items():
        demand(is_sealed_alike(literal_json(text), literal_json(row[name])), told)
    return {**row, **stored}


def is_sealed_alike(stored: Any, shown: Any) -> bool:
    """Whether two JSON values are the same but for what is sealed in the first."""
    if is_sealed(stored):
        return True
    if type(stored) is not type(shown):
        return False
    if isinstance(stored, dict):
        return stored.keys() == shown.keys() and all(is_sealed_alike(stored[name], shown[name]) for name in stored)
    if isinstance(stored, list):
        return len(stored) == len(shown) and all(map(is_sealed_alike, stored, shown))
    return bool(stored == shown)


def is_sealed(value: Any) -> bool:
    is_marked = isinstance(value, dict) and set(value) == {"sealed", "is"}
    return is_marked and all(type(each) is str for each in value.values())


class Number(str):
    """A number as it is written: 0.1 and 0.10000000000000000001 are not the same text, but the same float."""


def literal_json(text: str) -> Any:
    return json.loads(
        text, object_pairs_hook=without_doubles, parse_int=Number, parse_float=Number, parse_constant=Number
    )


def rows_of(file: Path, format: str, compressed: bool = False) -> Iterator[dict[str, Any]]:
    """The events in a file, in its order."""
    if format == "parquet":
        yield from parquet_rows(file)
        return
    demand(format in FORMATS, f"exports as {format} are not known here")
    csv.field_size_limit(1 << 30)
    ends = "" if format == "csv" else "\n"
    with gzip.open(file, "rb") if compressed else file.open("rb") as content:
        lines = io.TextIOWrapper(content, "utf-8", "surrogateescape", newline=ends)
        decode = json.JSONDecoder(object_pairs_hook=without_doubles).decode
        yield from csv_rows(lines) if format == "csv" else map(decode, lines)


def csv_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    rows = csv.DictReader(lines)
    demand_columns(rows.fieldnames)
    return map(cells_read, rows)


def demand_columns(names: Iterable[str] | None) -> None:
    """Names that stand twice, or that the log does not have, would show what is not proved."""
    demand(tuple(names or ()) == SHOWN, "the file has other columns than an export")


def cells_read(row: dict[str, Any]) -> dict[str, Any]:
    """CSV knows texts alone: an empty cell is null where there can be one, an apostrophe guards what follows it."""
    empty = {name: None if name in NULLABLE else "" for name in row}
    read = {name: cell[1:] if cell.startswith("'") else cell or empty[name] for name, cell in row.items()}
    return {**read, **{name: int(row[name]) for name in NUMBERS}}


def parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped,unused-ignore]  # the one format that Python cannot read by itself
    except ImportError:
        raise NotProved("exports as parquet are read with pyarrow, which is not installed") from None
    written = parquet.ParquetFile(file)
    demand_columns(written.schema_arrow.names)
    for batch in written.iter_batches():
        yield from ({**row, "time": (row["time"] - EPOCH) // timedelta(microseconds=1)} for row in batch.to_pylist())


def check(
    proof: dict[str, Any], public: bytes | None = None, noted: str | None = None, file: Path | None = None
) -> list[str]:
    """What is proved, in sentences. Raises NotProved; ValueError where there is no checkpoint in `noted`.

    `public`: the key that must have signed the checkpoint; both, where there are two. `noted`: the text of a file of
    checkpoints, one of which it must be; of two, the older. `file`: where the export is.
    """
    known = None if noted is None else checkpoints_in(noted)
    try:
        checkpoint, kind = Checkpoint(proof["checkpoint"]), proof["proof"]
        held = [checkpoint]
        if kind == "callboard.event/1":
            shown = check_event(proof, checkpoint)
        elif kind == "callboard.consistency/1":
            held = [Checkpoint(proof["old"]), checkpoint]
            shown = check_consistency(proof, held[0], checkpoint, not (public is None and known is None))
        else:
            demand(kind == "callboard.export/1", "this is a proof of another kind than this program knows")
            shown = check_export(proof, checkpoint, file or Path(proof["file"]["name"]))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as fault:
        raise NotProved(f"the proof is not written as one: {fault!r}") from None
    signatures = [f"T{str(each)[1:]} {each.signer(public)}." for each in held]
    if known is not None:
        demand(held[0].text in known, f"{held[0]} is not the one noted")
        signatures[0] += " It is the one noted."
    return [shown, *signatures]


def checkpoints_in(noted: str) -> set[str]:
    """The texts, without signatures, of the checkpoints in a file: as they are written, or in lines of JSON.

    Raises ValueError where there is none, or anything else.
    """
    try:
        if noted.lstrip().startswith("{"):
            notes = [
                json.loads(line, object_pairs_hook=without_doubles)["checkpoint"]
                for line in noted.splitlines()
                if line.strip()
            ]
        else:
            unsigned = "\n".join(line for line in noted.split("\n") if not line.startswith("— "))
            notes = [f"{text.strip()}\n\n" for text in unsigned.split("\n\n") if text.strip()]
        known = {Checkpoint(note).text for note in notes}
    except (NotProved, KeyError, TypeError, AttributeError, ValueError) as fault:
        raise ValueError(f"what was noted is no checkpoint, nor several: {fault}") from None
    if not known:
        raise ValueError("what was noted has no checkpoint in it")
    return known


def public_key(text: str) -> bytes:
    """The key: 64 hexadecimal digits, or a file with them, or with the key in PEM. Raises ValueError, OSError."""
    if KEY.fullmatch(text):
        return bytes.fromhex(text)
    content = Path(text).read_text(encoding="utf-8").strip()
    if content.startswith("-----BEGIN PUBLIC KEY-----"):
        encoded = b64decode("".join(content.splitlines()[1:-1]))
        if len(encoded) == 44 and encoded.startswith(bytes.fromhex("302a300506032b6570032100")):  # RFC 8410
            return encoded[12:]
    if not KEY.fullmatch(content):
        raise ValueError(f"{text} is no Ed25519 public key: 64 hexadecimal digits, or a file with them or in PEM")
    return bytes.fromhex(content)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Check a proof that Callboard made.")
    parser.add_argument("proof", help="the proof, a JSON file")
    parser.add_argument("--public-key", metavar="HEX|FILE", help="the key that must have signed the checkpoints")
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="checkpoints you noted; the proof's, or its older, must be one of them"
    )
    parser.add_argument("--file", metavar="EXPORT", help="the exported file, if it is not here by its name")
    asked = parser.parse_args(arguments)
    try:
        public = None if asked.public_key is None else public_key(asked.public_key)
        noted = None if asked.checkpoint is None else Path(asked.checkpoint).read_text(encoding="utf-8")
        written = Path(asked.proof).read_text(encoding="utf-8", errors="surrogateescape")
        proof = json.loads(written, object_pairs_hook=without_doubles)
        for sentence in check(proof, public, noted, Path(asked.file) if asked.file else None):
            sys.stdout.write(sentence + "\n")
    except NotProved as fault:
        sys.stdout.write(f"Not proved: {fault}.\n")
        return 1
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"proof_verifier: {fault}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
