"""The heart beat of all links: one task that pings, and gives up on the silent."""

from __future__ import annotations

import structlog
import trio

from adapters.server.link import Link

BEAT = 0.5
"""Seconds between two beats."""
BEATS_PER_TURN = 500
"""Links looked at before other tasks get their turn."""

log = structlog.get_logger("callboard.link")


class Pulse:
    """`links` are those that live. `run` is the task."""

    def __init__(self) -> None:
        self.links: set[Link] = set()

    async def run(self) -> None:
        while True:
            await trio.sleep(BEAT)
            await self._beat(trio.current_time())

    async def _beat(self, now: float) -> None:
        """Once, and keep none of the links until the next time."""
        for n, link in enumerate(tuple(self.links), start=1):
            try:
                link.beat(now)
            except Exception:  # one link's fault must not keep the others from beating
                log.exception("a link failed")
                link.abort()
            if n % BEATS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
