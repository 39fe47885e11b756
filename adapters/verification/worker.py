"""The process that verifies a log for a server (adapters/apart.py): it is asked a Question, and says how far it is,
then the verdict. It needs no key, as the chain is over what is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio
from msgspec import msgpack

from adapters import apart
from adapters.opening import open_history
from adapters.setting_values import StoreAddress
from adapters.verification.findings import ALTERED_CHECKPOINTS, Findings, copied, distinct, trouble_of_archives
from adapters.verification.messages import Fails, Holds, Message, Progress, Question
from core.ports import StoreUnavailable
from eventstore.checkpoints import MalformedCheckpoint
from eventstore.proofs import checkpoints
from eventstore.sqlite import BEFORE_ALL, SQLiteStore
from eventstore.turns import take_turns

PAGE = 2000
"""Events read at a time."""
TELLING = 0.1
"""Seconds between two tellings how far it is, at least."""

_encode = msgpack.Encoder().encode


def answer(question: bytes, tell: apart.Tell) -> None:
    """Say all messages, each as soon as it is there."""
    asked = msgpack.decode(question, type=Question)
    take_turns(Path(asked.path))
    trio.run(verify, asked, lambda message: tell(_encode(message)))


async def verify(question: Question, tell: Callable[[Message], None]) -> None:
    """Tell how far it is, again and again, and then the verdict on all that was in the log at first."""
    path = Path(question.path)
    try:
        async with open_history(StoreAddress(path)) as store:
            findings = Findings(distinct([*await store.look(checkpoints), *copied(path, store.epoch)]))
            await _read(store, findings, question.rest, tell)
            tell(await _verdict(store, findings, path))
    except MalformedCheckpoint as fault:
        tell(Fails(f"{ALTERED_CHECKPOINTS}: {fault}."))
    except (StoreUnavailable, OSError) as fault:
        if isinstance(fault, BrokenPipeError):
            raise
        tell(Fails(f"Nothing can be said of it: {fault}."))


async def _read(store: SQLiteStore, findings: Findings, rest: float, tell: Callable[[Message], None]) -> None:
    total, after = await store.poll(), BEFORE_ALL  # no checkpoint that was read before is of more events
    tell(Progress(0, total))
    told = trio.current_time()
    while rows := await store.read_rows(after=after, limit=PAGE):
        if not findings.take(rows) or findings.chain.position >= total:
            break
        after = findings.chain.position
        if trio.current_time() - told >= TELLING:
            told = trio.current_time()
            tell(Progress(after, total))
        await trio.sleep(rest)


async def _verdict(store: SQLiteStore, findings: Findings, path: Path) -> Holds | Fails:
    trouble = findings.trouble() or await trouble_of_archives(store, path)
    if trouble is None:
        return Holds(findings.chain.position, findings.chain.head.hex(), findings.attested())
    event = trouble.event
    if event is None and trouble.position is not None:
        standing = await store.read_rows(after=trouble.position - 1, limit=1)
        event = f"{standing[0][1]}@{standing[0][2]}" if standing else None
    return Fails(f"{trouble.what}{trouble.told}", trouble.position, event)


if __name__ == "__main__":
    apart.answer(answer)
