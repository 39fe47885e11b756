"""Clients that never give up: they come back after every loss, and send again what was not acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import trio
from msgspec import json
from trio_websocket import ConnectionClosed, WebSocketConnection

from adapters.clients.wire import CannotConnect, open_wire

WINDOW = 4
"""Commands one typist has under way at a time."""


@dataclass
class Typist:
    """One device that dictates numbered words into a conversation.

    `seen` are the frames from the log it was shown, as version and text, over all its connections in order.
    """

    name: str
    url: str
    pending: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[int, str]] = field(default_factory=list)
    greetings: list[dict[str, Any]] = field(default_factory=list)
    told: int = 0
    resent: int = 0
    _room: trio.Condition = field(default_factory=trio.Condition)
    _stopping: bool = False

    async def run(self) -> None:
        """Dictate until `stop`, and until all that was told is acknowledged."""
        while not self._stopping or self.pending:
            try:
                async with open_wire(self.url + self._since()) as wire:
                    await self._talk(wire)
            except* (ConnectionClosed, CannotConnect):
                await trio.sleep(0.02)

    def stop(self) -> None:
        """Tell nothing new."""
        self._stopping = True

    def _since(self) -> str:
        if not self.greetings:
            return ""
        last = self.seen[-1][0] if self.seen else self.greetings[0]["seq"]
        return f"?since={last}&epoch={self.greetings[0]['epoch']}"

    async def _talk(self, wire: WebSocketConnection) -> None:
        self.greetings.append(json.decode(await wire.get_message()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._dictate, wire, nursery.cancel_scope)
            nursery.start_soon(self._listen, wire)

    async def _dictate(self, wire: WebSocketConnection, done: trio.CancelScope) -> None:
        for command_id, word in list(self.pending.items()):
            self.resent += 1
            await self._tell(wire, command_id, word)
        while not self._stopping:
            self.told += 1
            word = f"{self.name}-{self.told}"
            self.pending[f"id-{word}"] = word
            await self._tell(wire, f"id-{word}", word)
            async with self._room:
                while len(self.pending) >= WINDOW and not self._stopping:
                    await self._room.wait()
        async with self._room:
            while self.pending:
                await self._room.wait()
        done.cancel()

    async def _tell(self, wire: WebSocketConnection, command_id: str, word: str) -> None:
        frame = {"type": "transcript_update", "command_id": command_id, "payload": {"final_transcript": word}}
        await wire.send_message(json.encode(frame).decode())

    async def _listen(self, wire: WebSocketConnection) -> None:
        while True:
            text = str(await wire.get_message())
            frame = json.decode(text)
            if "seq" in frame:
                self.seen.append((frame["seq"], text))
            self._note_acknowledged(frame)
            async with self._room:
                self._room.notify_all()

    def _note_acknowledged(self, frame: dict[str, Any]) -> None:
        """A frame with one of our ids that is no error says that the command is done."""
        command_id = frame.get("command_id", "")
        if frame["type"] != "error" and command_id in self.pending:
            self.acknowledged[command_id] = self.pending.pop(command_id)
