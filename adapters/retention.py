"""How long texts are kept: rules that a server follows by itself, looking at the whole log now and then.

Ended streams go to archives, where all who read the log still find them; data subjects that were silent for long are
forgotten, as `callboard forget` does it. Both are on record like everything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio
from msgspec import Struct

from actors.system import System
from adapters.archiving import DAY, Archiver
from adapters.auditing import stream_at
from adapters.forgetting import Forget, recorded_by
from adapters.web.answers import Problem, accepted
from core.audit import RecordArchive
from core.decider import AnyDecider
from core.identifiers import Category
from core.ports import StoreUnavailable
from eventstore.archives import explained
from eventstore.retention import silent_since
from eventstore.sealing import Vault
from eventstore.sqlite import SQLiteStore

PAUSE = 3600.0
"""Seconds between two looks."""
PRINCIPAL = "retention"
"""Who does it, in stamps."""

log = structlog.get_logger("callboard.retention")


class Rules(Struct, frozen=True):
    """In days, 0 for never: `archive_after` the last event of an ended stream, `forget_after` a subject's last word."""

    archive_after: float = 0
    forget_after: float = 0


class Keeper:
    """Follows the rules over the log of a running system, in the file `path`."""

    def __init__(
        self, rules: Rules, system: System, store: SQLiteStore, path: Path, deciders: Mapping[Category, AnyDecider],
        forget: Forget,
    ) -> None:  # fmt: skip
        self._rules, self._system, self._store, self._path = rules, system, store, path
        self._archiver = Archiver(store, path, deciders, self._record)
        self._forget_subject = forget

    async def run(self) -> None:
        """For ever. What could not be done now is done at the next look."""
        while True:
            for rule in (self._archive, self._forget):
                try:
                    await rule()
                except (StoreUnavailable, Problem, OSError) as fault:
                    log.warning("a rule of retention could not be followed now", reason=str(fault))
            await trio.sleep(PAUSE)

    def _before(self, days: float) -> int:
        return self._system.clock.now() - int(days * DAY)

    async def _archive(self) -> None:
        if self._rules.archive_after:
            async for archived in self._archiver.archive(self._before(self._rules.archive_after)):
                log.info("archived", archive=archived.name, streams=archived.streams, events=archived.events)

    async def _forget(self) -> None:
        vault = self._store.opener
        if self._rules.forget_after and isinstance(vault, Vault):
            for subject in await self._silent(vault, self._before(self._rules.forget_after)):
                recorded = recorded_by(self._system, self._system.stamp(principal=PRINCIPAL))
                done = await self._forget_subject(subject, recorded)
                log.info("forgotten", keys=done.keys, streams=done.streams, blobs=done.blobs)

    async def _silent(self, vault: Vault, before: int) -> list[str]:
        try:
            return await trio.to_thread.run_sync(silent_since, self._path, vault.ring, before)
        except sqlite3.Error as fault:
            raise StoreUnavailable(f"the log cannot be read: {explained(fault)}") from fault

    async def _record(self, command: RecordArchive) -> None:
        stamp = self._system.stamp(principal=PRINCIPAL)
        accepted(await self._system.ask(stream_at(stamp.time), command, stamp))


@asynccontextmanager
async def retaining(keeper: Keeper | None) -> AsyncIterator[None]:
    """Rules are followed while it is entered."""
    async with trio.open_nursery() as nursery:
        if keeper is not None:
            nursery.start_soon(keeper.run)
        yield
        nursery.cancel_scope.cancel()
