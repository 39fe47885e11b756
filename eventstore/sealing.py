"""The vault: personal text is sealed before it is written, and opened when it is read.

A sealed value is an object in its place, `{"sealed":"<key id>.<base64 of nonce and ciphertext>","is":"string"}`:
AES-256-GCM with a key of the data subject, bound to stream, version, name and place in the payload, so that it opens
nowhere else. What is inside is the value byte for byte. Once its key is destroyed it reads as what stands for its type
(ERASED), so that folds go on working. Empty values are not sealed: they say nothing.

The chain is made over what is stored, the sealed form, and so holds whatever is forgotten.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import partial
from typing import Protocol, TypeVar

import trio
from cryptography.exceptions import InvalidTag
from msgspec import DecodeError, Struct, json

from core.ports import StoreUnavailable
from eventstore.ciphers import EMPTY, Cipher, place_of
from eventstore.codec import Undecodable, stored_command
from eventstore.fields import Change, Tree, changed, tree_of
from eventstore.keyring import DERIVED, KeyRing
from eventstore.personal import PERSONAL_COMMANDS, PERSONAL_EVENTS

ERASED = {"string": b'"[erased]"', "number": b"0", "boolean": b"false", "array": b"[]", "object": b"{}"}
"""What is read in place of a value whose key was destroyed, by what it was."""
MOST_KEYS = 20_000
"""Keys remembered, by id and by subject."""

T = TypeVar("T")

_MARK, _RAW_MARK = '{"sealed":"', b'{"sealed":"'
_EVENT_TREES: Mapping[str, Tree] = {name: tree_of(paths) for name, paths in PERSONAL_EVENTS.items()}
_COMMAND_TREES: Mapping[str, Tree] = {name: tree_of(paths) for name, paths in PERSONAL_COMMANDS.items()}


class Missing(Enum):
    """Why there is no cipher: its key was destroyed, or is none of this log's and never was."""

    DESTROYED = 1
    UNKNOWN = 2


class _Sealed(Struct, forbid_unknown_fields=True, rename={"kind": "is"}):
    sealed: str
    kind: str


_to_sealed = json.Decoder(_Sealed).decode


class Opener(Protocol):
    """Opens what the columns of the log hold. Blocks; for threads."""

    def event(self, stream: str, version: int, name: str, state: str) -> str | bytes:
        """The payload. Raises Undecodable when what is sealed in it is not what was sealed there."""

    def command(self, stream: str, version: int, command: str | None) -> str | bytes | None:
        """The column of commands. Raises Undecodable."""

    def view(self, name: str, position: int, view: bytes) -> bytes | None:
        """A checkpoint; None when it cannot be opened any more."""

    def is_erased(self, text: str) -> bool:
        """Whether a column of the log has anything sealed in it whose key was destroyed."""

    def close(self) -> None:
        """Let the keys go."""


class Locked:
    """Opens nothing: the log has sealed text, and nobody has said with which master key."""

    def event(self, stream: str, version: int, name: str, state: str) -> str:  # noqa: ARG002  # the protocol's
        return self._refused(state)

    def command(self, stream: str, version: int, command: str | None) -> str | None:  # noqa: ARG002  # as above
        return None if command is None else self._refused(command)

    def view(self, name: str, position: int, view: bytes) -> bytes | None:  # noqa: ARG002  # as above
        return None if view.startswith(_RAW_MARK) else view

    def is_erased(self, text: str) -> bool:  # noqa: ARG002  # as above
        return False

    def close(self) -> None:
        """There is nothing to let go."""

    def _refused(self, text: str) -> str:
        if _MARK in text:
            raise Undecodable("what people said in this log is sealed; set CALLBOARD_ENCRYPTION_KEY to its key's file")
        return text


class Vault:
    """Seals and opens with the keys of one ring. Opening is for threads; `seals` never blocks."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self.forgettings = 0
        self._by_id: dict[str, Cipher | Missing] = {}
        self._by_subject: dict[str, Cipher] = {}
        self._wanted: set[str] = set()
        self._making = trio.Lock()

    # --- opening ------------------------------------------------------------------------------------------------

    def event(self, stream: str, version: int, name: str, state: str) -> str | bytes:
        if _MARK not in state:
            return state
        tree = _EVENT_TREES.get(name, {})
        return changed(state, tree, partial(self._opened, place_of(stream, version, name, "event")))

    def command(self, stream: str, version: int, command: str | None) -> str | bytes | None:
        if command is None or _MARK not in command:
            return command
        said = stored_command(command)
        tree = _COMMAND_TREES.get(said.name, {})
        body = changed(bytes(said.body), tree, partial(self._opened, place_of(stream, version, said.name, "command")))
        return _as_command(said.name, body)

    def view(self, name: str, position: int, view: bytes) -> bytes | None:
        if not view.startswith(_RAW_MARK):
            return view
        sealed = _to_sealed(view)
        key_id, _, text = sealed.sealed.partition(".")
        cipher = self._cipher(key_id)
        try:
            if isinstance(cipher, Missing):
                return None
            return cipher.open(_view_place(name, position), b64decode(text), sealed.kind)
        except InvalidTag:
            return None

    def is_erased(self, text: str) -> bool:
        return any(self._cipher(key_id) is Missing.DESTROYED for key_id in key_ids_in(text))

    def _opened(self, place: str, at: str, value: bytes) -> bytes:
        if not value.startswith(_RAW_MARK):
            return value
        try:
            sealed = _to_sealed(value)
        except DecodeError:
            return value
        key_id, _, text = sealed.sealed.partition(".")
        cipher = self._cipher(key_id)
        if cipher is Missing.UNKNOWN:
            return value  # written by somebody before there was encryption, who only made it look like ours
        try:
            if cipher is Missing.DESTROYED:
                return ERASED[sealed.kind]
            return cipher.open(place + at, b64decode(text), sealed.kind)
        except (InvalidTag, KeyError, ValueError):
            where = place.replace("\0", " ")
            raise Undecodable(f"what is sealed at {where}{at} is not what was sealed there") from None

    def _cipher(self, key_id: str) -> Cipher | Missing:
        """The key with this id."""
        try:
            return self._by_id[key_id]
        except KeyError:
            before, cipher = self.forgettings, self._looked_up(key_id)
        if self.forgettings == before:  # what was destroyed while it was looked up is not remembered
            _remember(self._by_id, key_id, cipher)
        return cipher

    def _looked_up(self, key_id: str) -> Cipher | Missing:
        found = self.ring.find(key_id)
        if found is not None:
            return Cipher(found)
        return Missing.DESTROYED if self.ring.is_destroyed(key_id) else Missing.UNKNOWN

    # --- sealing ------------------------------------------------------------------------------------------------

    async def ciphers(self, subjects: Iterable[str], forgettings: int) -> Mapping[str, Cipher]:
        """The subjects' newest keys, made if need be: durable on return. Raises StoreUnavailable.

        It does so, too, when something was forgotten since `forgettings` was read: what is about to be sealed may
        tell of that.
        """
        wanted = set(subjects)
        while self.forgettings == forgettings and (missing := wanted - self._by_subject.keys()):
            self._wanted |= missing
            async with self._making:
                if self._wanted:
                    await self._make()
        if self.forgettings != forgettings:
            raise StoreUnavailable("something was forgotten meanwhile; ask again")
        return {subject: self._by_subject[subject] for subject in wanted}

    async def _make(self) -> None:
        """Look up or make the keys of all who wait for one, in one transaction."""
        before, subjects = self.forgettings, tuple(self._wanted)
        self._wanted.clear()
        made = await trio.to_thread.run_sync(self.ring.ensure, subjects)
        if self.forgettings == before:
            for subject, key in made.items():
                _remember(self._by_subject, subject, Cipher(key))

    def seals(self, cipher: Cipher, row: tuple[str, int, str], state: bytes, command: bytes | None) -> tuple[
        bytes, bytes | None
    ]:  # fmt: skip
        """An event's payload and command as they are stored. `row` is its stream, version and name."""
        tree = _EVENT_TREES.get(row[2])
        if tree is not None:
            state = changed(state, tree, _sealing(cipher, place_of(*row, "event")))
        return state, None if command is None else _sealed_command(cipher, row, command)

    async def sealed_view(self, name: str, position: int, view: bytes) -> bytes:
        """A checkpoint as it is stored: what was derived from what is forgotten must not be opened again either."""
        if not view:
            return view
        cipher = (await self.ciphers((DERIVED,), self.forgettings))[DERIVED]
        return await trio.to_thread.run_sync(cipher.seal, _view_place(name, position), view)

    # --- forgetting -------------------------------------------------------------------------------------------------

    async def destroy(self, key_ids: Iterable[str]) -> None:
        """Destroy these keys, and the one of all that is derived; from now on nothing of that is opened here."""
        async with self._making:  # nobody gets a new key for what was read under the old one
            try:
                await trio.to_thread.run_sync(self.ring.destroy, tuple(key_ids))
            finally:
                self.drop()  # where it failed, too: nothing may be sealed with a key that may be gone

    async def renew(self, subject: str) -> None:
        """What is sealed for the subject from now on has a new key; the old ones go on opening what they sealed."""
        await trio.to_thread.run_sync(self.ring.renew, subject)
        self._by_subject.pop(subject, None)

    def drop(self) -> None:
        """Remember no keys."""
        self.forgettings += 1
        self._by_id.clear()
        self._by_subject.clear()

    def close(self) -> None:
        self.drop()
        self.ring.close()


def key_ids_in(text: str) -> set[str]:
    """The ids of the keys with which something in a column of the log is sealed, as far as they are ours at all."""
    return {piece.partition(".")[0] for piece in text.split(_MARK)[1:]}


def has_clear_text(name: str, state: str, command: str | None) -> bool:
    """Whether anything personal in these columns of the log is not sealed."""
    found: list[bytes] = []

    def look(at: str, value: bytes) -> bytes:  # noqa: ARG001  # a Change
        if value not in EMPTY and not value.startswith(_RAW_MARK):
            found.append(value)
        return value

    changed(state, _EVENT_TREES.get(name, {}), look)
    if command is not None:
        said = stored_command(command)
        changed(bytes(said.body), _COMMAND_TREES.get(said.name, {}), look)
    return bool(found)


def _remember(kept: dict[str, T], key: str, value: T) -> None:
    if len(kept) >= MOST_KEYS:
        kept.clear()
    kept[key] = value


def _sealing(cipher: Cipher, place: str) -> Change:
    return lambda at, value: cipher.seal(place + at, value)


def _sealed_command(cipher: Cipher, row: tuple[str, int, str], command: bytes) -> bytes:
    said = stored_command(command)
    tree = _COMMAND_TREES.get(said.name)
    if tree is None:
        return command
    place = place_of(row[0], row[1], said.name, "command")
    return _as_command(said.name, changed(bytes(said.body), tree, _sealing(cipher, place)))


def _as_command(name: str, body: bytes) -> bytes:
    return b'{"name":"%s","body":%s}' % (name.encode(), body)


def _view_place(name: str, position: int) -> str:
    return place_of("", position, name, "view")
