"""What follows the log inside the server: the fan-out to audiences, and the board with its checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog
import trio

from actors.backoff import Backoff
from core.messages import Recorded
from core.ports import EventStore, StoreUnavailable
from core.views import Board, SavedBoard

CHECKPOINT_EVERY = 20_000
"""Events between two checkpoints of the board at most."""
CHECKPOINT = "board/1"
"""The checkpoint's name; a new shape of the board gets a new one, and is folded anew from the whole log."""

log = structlog.get_logger("callboard.projector")


async def follow(store: EventStore, after: int, take: Callable[[Recorded], None], backoff: Backoff) -> None:
    """Give `take` every record behind position `after`, in commit order, once; for ever, through the log's failures."""
    failures = 0
    while True:
        subscription = store.subscribe(after=after)
        try:
            async for batch in subscription:
                for record in batch:
                    after = record.position
                    take(record)
                failures = 0
        except StoreUnavailable as reason:
            failures += 1
            log.warning("the log cannot be followed now", reason=str(reason), after=after)
            await trio.sleep(backoff.delay(failures))


class BoardKeeper:
    """Keeps the board level with the log, and its checkpoint not far behind."""

    def __init__(self, store: EventStore, board: Board, backoff: Backoff) -> None:
        self.board = board
        self._store, self._backoff = store, backoff
        self._saved = board.position
        self._moved = trio.lowlevel.ParkingLot()
        self._due = trio.Event()

    def _take(self, record: Recorded) -> None:
        self.board.apply(record)
        if self._moved:
            self._moved.unpark_all()
        if self.board.position - self._saved >= CHECKPOINT_EVERY:
            self._due.set()

    async def keep(self) -> None:
        """For ever: fold the log into the board and save it now and then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, self._store, self.board.position, self._take, self._backoff)
            while True:
                await self._due.wait()
                await self.save()
                self._due = trio.Event()

    async def current(self) -> None:
        """Wait until the board has all that was durable when this was called."""
        head = self._store.head
        while self.board.position < head:
            await self._moved.park()
        await trio.lowlevel.checkpoint()

    async def save(self) -> None:
        """Write the checkpoint. A failure costs time at the next start, and nothing else."""
        if self.board.position == self._saved:
            return
        position, view = self.board.position, msgspec.json.encode(self.board.to_saved())
        try:
            await self._store.save_checkpoint(CHECKPOINT, position, view)
            self._saved = position
        except StoreUnavailable as reason:
            self._saved = position - CHECKPOINT_EVERY // 2
            log.warning("the board's checkpoint could not be saved", reason=str(reason))


async def load_board(store: EventStore, empty: Board, restore: Callable[[SavedBoard], Board]) -> Board:
    """The board as last saved, or the empty one. A checkpoint that is unreadable, or ahead of the log, is dropped."""
    saved = await store.load_checkpoint(CHECKPOINT)
    if saved is None or saved[0] > store.head:
        return empty
    try:
        return restore(msgspec.json.decode(saved[1], type=SavedBoard))
    except ValueError:  # msgspec's errors are ValueErrors too
        return empty
