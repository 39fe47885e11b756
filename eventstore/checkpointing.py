"""Checkpoints are made while the log grows, and once more when it is closed.

A task follows the log and keeps the tree's frontier, so that a checkpoint costs what has come since the last one.
It goes into the log's own table and, for those who copy it away, as a line into `<log>-checkpoints.jsonl`. Nothing
is signed that does not go on from the last checkpoint: the tree is held against that first.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio
from msgspec import Struct

from core.ports import Clock, StoreUnavailable
from eventstore.checkpoints import Checkpoint, MalformedCheckpoint, Signer, parse_file
from eventstore.merkle import TILE, Frontier
from eventstore.proofs import Select, Unprovable, checkpoints, hashes, tree_at, tree_file
from eventstore.sqlite import SQLiteStore

PAUSE = 1.0
"""Seconds between two looks at how far the log has come; and so at least between two checkpoints."""
LAST = 5.0
"""Seconds the last checkpoint may take."""
AT_ONCE = 16 * TILE
"""Hashes read at one time."""

log = structlog.get_logger("callboard.checkpoints")


class Interval(Struct, frozen=True):
    """A checkpoint is due after so many events, or so many seconds where the log has grown at all. 0 events: never."""

    events: int = 1000
    seconds: float = 60.0


def copies_file(path: Path) -> Path:
    """Where a log's checkpoints are for those who copy them away."""
    return path.with_name(f"{path.name}-checkpoints.jsonl")


class Checkpointer:
    """Makes the checkpoints of the log in `path`, which `store` has open for writing."""

    def __init__(self, store: SQLiteStore, path: Path, clock: Clock, interval: Interval, signer: Signer | None) -> None:
        self._store, self._path, self._clock = store, path, clock
        self._interval, self._signer = interval, signer
        self._frontier: Frontier | None = None
        self._head = b""
        self._noted = 0
        self._noted_at = trio.current_time()
        self._closed = trio.Event()

    async def run(self) -> None:
        """Until closed, or until the log turns out not to be what the last checkpoint says."""
        is_last = False
        while await self._try(is_last=is_last) and not is_last:
            with trio.move_on_after(PAUSE):
                await self._closed.wait()
            is_last = self._closed.is_set()

    def close(self) -> None:
        """The log grows no more: one of what is in none yet, and then no others."""
        self._closed.set()

    async def _try(self, *, is_last: bool) -> bool:
        """Make one if it is due. Whether there can be more."""
        try:
            if self._frontier is None:
                self._frontier = await self._store.look(self._take_up)
            if self._is_due() or (is_last and self._store.head > self._noted):
                await self._make(self._frontier)
        except StoreUnavailable as fault:
            log.warning("no checkpoint could be made now", reason=str(fault))
        except (Unprovable, MalformedCheckpoint) as fault:
            log.error("no checkpoints are made any more", reason=str(fault))  # noqa: TRY400  # no news in the trace
            return False
        return True

    def _is_due(self) -> bool:
        grown = self._store.head - self._noted
        return grown >= self._interval.events or (
            grown > 0 and trio.current_time() - self._noted_at >= self._interval.seconds
        )

    async def _make(self, frontier: Frontier) -> None:
        await self._store.look(lambda select: self._catch_up(select, frontier))
        made = Checkpoint.of(
            self._store.epoch, frontier.size, frontier.root, self._head, self._clock.now(), self._signer
        )
        await self._store.save_note(made.size, made.note)
        self._noted, self._noted_at = made.size, trio.current_time()
        await trio.to_thread.run_sync(self._copy, [made])

    # --- in threads ---------------------------------------------------------------------------------------------

    def _take_up(self, select: Select) -> Frontier:
        """The whole tiles of the last checkpoint's tree; the files beside the log are levelled with that."""
        frontier, noted = Frontier(), checkpoints(select)
        tiles, tree = _bytes(tree_file(self._path)), None
        if noted:
            tree = tree_at(select, noted[-1], tiles)
            frontier.extend_by_tiles(tree.tiles)
            self._noted, self._head = noted[-1].size, noted[-1].head
        whole = b"".join(tree.tiles) if tree is not None else b""
        if tiles != whole:
            _write(tree_file(self._path), whole, "wb")
        self._copy(noted, behind=_last_copied(copies_file(self._path)))
        return frontier

    def _catch_up(self, select: Select, frontier: Frontier) -> None:
        head = self._store.head
        while frontier.size < head:
            contents = hashes(select, frontier.size, min(head, frontier.size + AT_ONCE))
            tiles = frontier.extend(contents)
            self._head = contents[-1]
            if tiles:
                _write(tree_file(self._path), b"".join(tiles), "ab")

    def _copy(self, made: list[Checkpoint], behind: int = 0) -> None:
        lines = b"".join(each.line for each in made if each.size > behind)
        if lines:
            _write(copies_file(self._path), lines, "ab")


def _last_copied(path: Path) -> int:
    """The size in the last line; 0 when there is none. A line that was cut off by the end of a server is taken away."""
    whole, _, torn = _bytes(path).rpartition(b"\n")
    if torn:
        os.truncate(path, len(whole) + bool(whole))
    try:
        return parse_file(whole.rpartition(b"\n")[2].decode())[-1].size if whole else 0
    except (MalformedCheckpoint, UnicodeDecodeError):
        return 0


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _write(path: Path, content: bytes, mode: str) -> None:
    """What is beside the log is derived from it: where it cannot be written, the next start does."""
    try:
        with path.open(mode) as file:
            file.write(content)
    except OSError as fault:
        log.warning("a file beside the log cannot be written", path=str(path), reason=fault.strerror)


@asynccontextmanager
async def keeping_checkpoints(
    store: SQLiteStore, path: Path, clock: Clock, interval: Interval, signer: Signer | None
) -> AsyncIterator[None]:
    """Checkpoints are made inside, and the last one on the way out."""
    checkpointer = Checkpointer(store, path, clock, interval, signer)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checkpointer.run)
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised below: the nursery would wrap what its task has no part in
            failure = error
        finally:
            checkpointer.close()
            nursery.cancel_scope.deadline = trio.current_time() + LAST
    if failure is not None:
        raise failure
