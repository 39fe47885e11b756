"""What a channel of ours carries, published on somebody else's server too: the seed's own deployment.

It follows the log, and goes no further in it than what the other server was sent: while that is away the log is the
buffer, and nothing is dropped. After a crash the last messages may arrive twice, as the other side may know no ids.
"""

from __future__ import annotations

import structlog
import trio

from actors.backoff import Backoff
from adapters.clients.channels import WebSocketManager
from core.channel import Published, stream_of
from core.ports import EventStore, StoreUnavailable

log = structlog.get_logger("callboard.mirror")


async def mirror(store: EventStore, channel: str, manager: WebSocketManager, backoff: Backoff) -> None:
    """For ever, from where it was; the first time, from the log's end. Raises what ends the manager's talk for good."""
    stream, checkpoint = stream_of(channel), f"mirror/1 {channel} {manager.uri} {manager.channel}"
    after, failures = store.head, 0
    is_known = False
    while True:
        try:
            if not is_known:
                saved = await store.load_checkpoint(checkpoint)
                after, is_known = after if saved is None else min(saved[0], store.head), True
                await store.save_checkpoint(checkpoint, after, b"")
            async for batch in store.subscribe(after=after):
                failures = 0
                for record in batch:
                    if record.stream == stream and isinstance(record.event, Published):
                        manager.publish(record.event.payload)
                        await manager.flushed()
                        await store.save_checkpoint(checkpoint, record.position, b"")
                    after = record.position
        except StoreUnavailable as reason:
            failures += 1
            log.warning("the log cannot be followed now", reason=str(reason))
            await trio.sleep(backoff.delay(failures))
