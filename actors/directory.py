"""Who is awake: finds or activates the actor of a stream, and lets idle ones go.

Look-up (or activation) and putting a letter into the mailbox are one synchronous step, and so is passivation: Trio
switches tasks only at `await`, so no letter can fall into an actor that is leaving.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.actor import Actor
from actors.background import Starter
from actors.mailbox import Letter
from core.identifiers import StreamName
from core.messages import Busy, Unavailable


class Directory:
    """The actors that are awake."""

    def __init__(self, nursery: Starter, build: Callable[[StreamName, Callable[[Actor], None]], Actor]) -> None:
        self._nursery, self._build = nursery, build
        self._actors: dict[StreamName, Actor] = {}
        self._closing = False
        self._emptied = trio.Event()
        self.restarts = self.turned_away = 0

    def __len__(self) -> int:
        return len(self._actors)

    def actors(self) -> list[Actor]:
        """Those awake now."""
        return list(self._actors.values())

    def find(self, stream: StreamName) -> Actor | None:
        """The stream's, if it is awake."""
        return self._actors.get(stream)

    def __contains__(self, stream: StreamName) -> bool:
        return stream in self._actors

    def post(self, stream: StreamName, letter: Letter) -> None:
        """Give the letter to the stream's actor; settled at once when that cannot be."""
        if self._closing:
            letter.settle(Unavailable("the server is stopping"))
            return
        actor = self._actors.get(stream) or self._activate(stream)
        if not actor.mailbox.put(letter):
            self.turned_away += 1
            letter.settle(Busy())

    def _activate(self, stream: StreamName) -> Actor:
        actor = self._actors[stream] = self._build(stream, self._forget)
        self._nursery.start_soon(actor.run)
        return actor

    def _forget(self, actor: Actor) -> None:
        self.restarts += actor.restarts
        if self._actors.get(actor.stream) is actor:
            del self._actors[actor.stream]
        if self._closing and not self._actors:
            self._emptied.set()

    async def passivate_idle(self, after: float) -> None:
        """For ever: let actors go that had nothing to do for `after` seconds."""
        while True:
            await trio.sleep(after / 4)
            self.passivate(idle_since=trio.current_time() - after)

    def passivate(self, idle_since: float) -> None:
        """Let every actor go that has been idle since that (Trio) time."""
        for actor in self.actors():
            if actor.last_active <= idle_since:
                self.let_go(actor.stream)

    def let_go(self, stream: StreamName) -> None:
        """Let the stream's actor go, if it is awake and has nothing to do."""
        actor = self._actors.get(stream)
        if actor is not None and actor.is_idle():
            del self._actors[stream]
            actor.mailbox.close()

    async def close(self) -> None:
        """Take no more letters, stop effects, and wait until every mailbox is empty and every actor has left."""
        self._closing = True
        for actor in self.actors():
            actor.effects.stop()
            actor.mailbox.close()
        if self._actors:
            await self._emptied.wait()
