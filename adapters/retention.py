"""How long texts are kept: rules that a server follows by itself, looking at the whole log once a day.

Ended streams go to archives, where all who read the log still find them; data subjects that were silent for long are
forgotten, as `callboard forget` does it. Both are on record like everything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio
from msgspec import Struct

from actors.system import System
from adapters.archiving import DAY, Archiver
from adapters.forgetting import Forget
from adapters.web.accesses import record_by
from core.audit import Command
from core.decider import AnyDecider
from core.identifiers import Category
from eventstore.retention import heard_since, silent_since
from eventstore.sealing import Vault
from eventstore.sqlite import SQLiteStore

PAUSE = 86_400.0
"""Seconds between two looks, which are at the whole log. So there is an archive a day at most, or a few large ones."""
AT_ONCE = 50
"""Subjects forgotten between two looks at who was heard of meanwhile."""
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
        self._forget_subjects = forget

    async def run(self) -> None:
        """For ever. What could not be done now is done at the next look."""
        while True:
            for rule in (self._archive, self._forget):
                try:
                    await rule()
                except Exception as fault:  # a rule's fault must end neither the other nor the server
                    log.warning("a rule of retention could not be followed now", reason=str(fault), exc_info=fault)
            await trio.sleep(PAUSE)

    def _before(self, days: float) -> int:
        return self._system.clock.now() - int(days * DAY)

    async def _archive(self) -> None:
        if self._rules.archive_after:
            async for archived in self._archiver.archive(self._before(self._rules.archive_after)):
                log.info("archived", archive=archived.name, streams=archived.streams, events=archived.events)

    async def _forget(self) -> None:
        """Some at a time, and nobody of whom anything was heard since the look."""
        vault = self._store.opener
        if not self._rules.forget_after or not isinstance(vault, Vault):
            return
        before = self._before(self._rules.forget_after)
        silent = await trio.to_thread.run_sync(silent_since, self._path, vault.ring, before)
        for start in range(0, len(silent.subjects), AT_ONCE):
            heard = await trio.to_thread.run_sync(heard_since, self._path, silent.head)
            some = [subject for subject in silent.subjects[start : start + AT_ONCE] if subject not in heard]
            for done in await self._forget_subjects(some, self._record):
                log.info("forgotten", keys=done.keys, streams=done.streams, blobs=done.blobs)

    async def _record(self, command: Command) -> None:
        await record_by(self._system, self._system.stamp(principal=PRINCIPAL), command)


@asynccontextmanager
async def retaining(keeper: Keeper | None) -> AsyncIterator[None]:
    """Rules are followed while it is entered."""
    async with trio.open_nursery() as nursery:
        if keeper is not None:
            nursery.start_soon(keeper.run)
        yield
        nursery.cancel_scope.cancel()
