"""The reference store: what it does, every other one must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from core.identifiers import StreamName
from core.messages import Decision, Recorded
from core.ports import DuplicateCommand, WrongExpectedVersion
from eventstore.subscription import LogSubscription, Tail


class MemoryStore:
    """A log in memory: nothing survives the process, so nothing is durable. For tests and `--store memory:`."""

    def __init__(self, epoch: str = "memory") -> None:
        self.epoch, self.forgettings = epoch, 0
        self._log: list[Recorded] = []
        self._streams: dict[StreamName, list[Recorded]] = {}
        self._outcomes: dict[tuple[StreamName, str], list[Recorded]] = {}
        self._commands: dict[StreamName, dict[int, Any]] = {}
        self._checkpoints: dict[str, tuple[int, bytes]] = {}
        self._tail = Tail(head=0)

    @property
    def head(self) -> int:
        return self._tail.head

    async def append(
        self, stream: StreamName, decisions: Sequence[Decision], *, expected_version: int
    ) -> tuple[Recorded, ...]:
        await trio.lowlevel.checkpoint()
        self._refuse_repeats(stream, decisions)
        version = len(self._streams.get(stream, ()))
        if version != expected_version:
            raise WrongExpectedVersion(stream, expected_version, version)
        commands = self._commands.setdefault(stream, {})
        for decision in decisions:
            commands[version + 1], version = decision.command, version + len(decision.events)
        records = tuple(self._record(stream, decision, event) for decision in decisions for event in decision.events)
        self._tail.extend(records)
        return records

    def _refuse_repeats(self, stream: StreamName, decisions: Sequence[Decision]) -> None:
        seen = set()
        for decision in decisions:
            command_id = decision.stamp.command_id
            if command_id is not None and (command_id in seen or (stream, command_id) in self._outcomes):
                raise DuplicateCommand(stream, command_id)
            seen.add(command_id)

    def _record(self, stream: StreamName, decision: Decision, event: Any) -> Recorded:
        events = self._streams.setdefault(stream, [])
        record = Recorded(len(self._log) + 1, stream, len(events) + 1, event, decision.stamp)
        self._log.append(record)
        events.append(record)
        if decision.stamp.command_id is not None:
            self._outcomes.setdefault((stream, decision.stamp.command_id), []).append(record)
        return record

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        await trio.lowlevel.checkpoint()
        return self._streams.get(stream, [])[after:][:limit]

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        await trio.lowlevel.checkpoint()
        return self._log[after : after + limit]

    async def read_events(self, stream: StreamName, *, after: int = 0) -> list[Any]:
        return [record.event for record in await self.read_stream(stream, after=after)]

    async def read_outcome(self, stream: StreamName, command_id: str) -> tuple[Recorded, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(self._outcomes.get((stream, command_id), ()))

    async def read_commands(self, stream: StreamName) -> dict[int, Any]:
        await trio.lowlevel.checkpoint()
        return dict(self._commands.get(stream, {}))

    def subscribe(self, *, after: int = 0) -> LogSubscription:
        return LogSubscription(self._tail, lambda after, limit: self.read_all(after=after, limit=limit), after)

    async def load_checkpoint(self, name: str) -> tuple[int, bytes] | None:
        await trio.lowlevel.checkpoint()
        return self._checkpoints.get(name)

    async def save_checkpoint(self, name: str, position: int, view: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._checkpoints[name] = (position, view)

    def close(self) -> None:
        """End every subscription; what was appended stays readable."""
        self._tail.close("the log is closed")
