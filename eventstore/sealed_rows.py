"""Decisions as rows to insert where encryption is on: as `eventstore.rows` makes them, with personal text sealed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from core.identifiers import StreamName
from core.messages import Decision
from eventstore.catalog import COMMANDS, EVENTS
from eventstore.chain import Row
from eventstore.ciphers import Cipher
from eventstore.codec import events
from eventstore.personal import PERSONAL_COMMANDS, PERSONAL_EVENTS
from eventstore.rows import to_rows
from eventstore.sealing import Vault
from eventstore.subjects import First, Subjects, is_shared, owner

_PERSONAL = {
    cls for name, cls in (*EVENTS.items(), *COMMANDS.items()) if name in PERSONAL_EVENTS.keys() | PERSONAL_COMMANDS
}
STATE, COMMAND = 3, 10
"""Where a row of `to_rows` has its payload and its command."""


class SealedRows:
    """For a store that writes. `first` reads the beginning of a stream."""

    def __init__(self, vault: Vault, first: Callable[[str], Awaitable[First | None]]) -> None:
        self._vault, self._subjects = vault, Subjects(first)

    async def to_rows(
        self, stream: StreamName, decisions: Sequence[Decision], version: int
    ) -> tuple[list[Row], list[str]]:
        """As eventstore.rows.to_rows. The keys are durable on return. Raises StoreUnavailable."""
        rows, ids = to_rows(stream, decisions, version)
        forgettings = self._vault.forgettings
        subjects = [await self._subject(stream, decision, decisions[0], version) for decision in decisions]
        ciphers = await self._vault.ciphers(filter(None, subjects), forgettings)
        of_rows = self._of_rows(decisions, [ciphers[subject] if subject else None for subject in subjects])
        return [self._sealed(cipher, row) if cipher else row for cipher, row in zip(of_rows, rows, strict=True)], ids

    async def _subject(self, stream: StreamName, decision: Decision, first: Decision, version: int) -> str | None:
        """None where there is nothing of anybody in the decision: nobody gets a key for that."""
        if not _is_personal(decision):
            return None
        if version or is_shared(stream):
            return await self._subjects.of(stream, decision.stamp)
        # Not remembered: somebody else may begin the stream before this is durable.
        name, payload = events.encode(first.events[0])
        return owner(stream, (name, payload.decode(), first.stamp.principal))

    def _of_rows(self, decisions: Sequence[Decision], ciphers: Sequence[Cipher | None]) -> Iterator[Cipher | None]:
        for decision, cipher in zip(decisions, ciphers, strict=True):
            for _ in decision.events:
                yield cipher

    def _sealed(self, cipher: Cipher, row: Row) -> Row:
        state, command = self._vault.seals(cipher, row[:3], row[STATE], row[COMMAND])
        return (*row[:STATE], state, *row[STATE + 1 : COMMAND], command)


def _is_personal(decision: Decision) -> bool:
    return type(decision.command) in _PERSONAL or any(type(event) in _PERSONAL for event in decision.events)
