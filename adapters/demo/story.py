"""The story the demo tells, scene by scene; every claim it prints was checked the moment before."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

import trio
from rich.console import Console

from adapters import timeline, verifying
from adapters.demo import DemoFailed
from adapters.demo.device import Device
from adapters.demo.scenes import Trace, call, label, speech, weather
from adapters.demo.server import Server
from adapters.demo.stage import Stage, expect
from adapters.opening import open_history
from adapters.protocols.conversations import CONVERSATIONS_WITH_DELTAS
from adapters.setting_values import StoreAddress
from core.conversation import conversation
from core.identifiers import Category, StreamName
from core.messages import Recorded

LONGEST = 28.0
"""Seconds the whole story may take; beyond it the demo has failed."""

FIRST = "Hello! I went sailing yesterday, and the wind was stronger than we thought."
SECOND = "My brother was afraid of the waves, but he wants to come again on Sunday."


async def tell(console: Console, pace: float, kept: Path | None = None) -> None:
    """Tell it all; the log stays where it is to be `kept`. Raises DemoFailed once something is not as promised."""
    with tempfile.TemporaryDirectory(prefix="callboard-demo-", ignore_cleanup_errors=True) as folder:
        with trio.move_on_after(LONGEST) as scope:
            await Story(console, pace, kept or Path(folder) / "callboard.db").tell()
        if scope.cancelled_caught:
            raise DemoFailed(f"the demo did not end within {LONGEST:.0f} s")


class Story:
    """The server, the two devices, and the scenes."""

    def __init__(self, console: Console, pace: float, log: Path) -> None:
        self._console, self._stage, self._pace, self._log = console, Stage(console), pace, log
        self._traces: list[Trace] = []
        self._server = Server(log)
        self._id = ""
        self._printed = ""
        self._phone: Device
        self._laptop: Device

    async def tell(self) -> None:
        async with self._running_server():
            await self._open()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._phone.run)
                nursery.start_soon(self._laptop.run)
                await self._meet()
                await self._talk()
                await self._err()
                await self._speak_other_dialects()
                await self._crash_in_the_middle_of_an_answer()
                await self._end()
        await self._look_back()

    @asynccontextmanager
    async def _running_server(self) -> AsyncIterator[None]:
        await self._server.start()
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):  # bounded: a server that does not stop is killed
                await self._server.stop()

    # --- the scenes -------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._stage.scene("A server, a fresh log, two devices")
        server = self._server
        self._stage.say(f"callboard serve is process {server.pid} on port {server.port}, its log {self._log.name}")
        opened = await self._server.call("POST", "/api/v2/conversations", {"topic": "sailing", "user_id": "ada"})
        self._id = opened["id"]
        self._phone = Device(self._server.port, self._id)
        self._laptop = Device(self._server.port, self._id, self._print_answer)

    async def _meet(self) -> None:
        await self._phone.until("connection_status", client_count=2)
        await self._laptop.until("connection_status", client_count=2)
        self._stage.say("phone and laptop listen to the same conversation")
        await trio.sleep(self._pace)

    async def _talk(self) -> None:
        self._stage.scene("Speech and a streamed answer")
        words = FIRST.split()
        for count in (2, 5, 9):
            await self._phone.say("transcript_update", interim_transcript=" ".join(words[:count]), confidence=0.8)
        await self._phone.say("transcript_update", final_transcript=FIRST, confidence=0.96)
        heard = await self._laptop.until("transcript_update", accumulated_transcript=FIRST)
        self._stage.line("phone", "speaks", FIRST)
        self._stage.say(f"the laptop has the transcript, as event {heard['seq']}")
        before_phone, before = len(self._phone.frames), len(self._laptop.frames)
        answered = await self._ask(FIRST)
        heard = await self._laptop.until("ai_response", before)
        await self._laptop.until("state_update", before, current_state="waiting_for_user")
        await self._phone.until("state_update", before_phone, current_state="waiting_for_user")
        expect(answered["ai_response"] == heard["payload"]["content"], "REST and the sockets tell the same answer")
        await trio.sleep(self._pace)

    async def _ask(self, content: str, key: str | None = None) -> dict[str, Any]:
        path = f"/api/v2/conversations/{self._id}/messages"
        answered: dict[str, Any] = await self._server.call("POST", path, {"content": content}, key)
        return answered

    async def _err(self) -> None:
        self._stage.scene("What is wrong is refused, and nobody else is disturbed")
        before_phone, before_laptop = len(self._phone.frames), len(self._laptop.frames)
        await self._phone.say("state_change_request", state="speaking")
        self._stage.line("phone", "asks for", "state speaking, while the conversation waits for the user")
        await self._phone.send('{"type": "speech_event", oops')
        self._stage.line("phone", "sends", '{"type": "speech_event", oops')
        error = await self._phone.until("error", before_phone, error_type="invalid_json")
        self._stage.line("phone", "hears", f"error {error['payload']['error_type']}: {error['payload']['message']}")
        expect(len(self._phone.frames) == before_phone + 1, "an illegal transition changes nothing and shows nothing")
        expect(len(self._laptop.frames) == before_laptop, "the laptop hears nothing of either")
        self._stage.say("the refusal is in the log, with its reason; the laptop heard nothing")
        await trio.sleep(self._pace)

    async def _speak_other_dialects(self) -> None:
        """On the same server, which is still the one that will be killed."""
        for play in (weather.play, label.play, speech.play, call.play):
            self._traces.append(await play(self._stage, self._server))
            await trio.sleep(self._pace)

    async def _crash_in_the_middle_of_an_answer(self) -> None:
        self._stage.scene("kill -9 in the middle of an answer")
        self._stage.line("user", "asks", SECOND)
        before, key = len(self._laptop.frames), str(uuid4())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask_in_vain, key)
            await self._laptop.until("ai_response_delta", before, times=5)
            self._stage.cut_off()
            await self._server.kill()
        place = f"event {self._laptop.seq} of the conversation"
        self._stage.say(f"the server is gone, after {place}, without a goodbye")
        await self._come_back(before, key)

    async def _ask_in_vain(self, key: str) -> None:
        try:
            await self._ask(SECOND, key)
        except (OSError, HTTPException):
            return
        raise DemoFailed("the answer was there before the server could be killed")

    async def _come_back(self, before: int, key: str) -> None:
        since = " and ".join(map(str, sorted({self._phone.seq, self._laptop.seq})))
        await self._server.start()
        self._stage.say(f"started again as process {self._server.pid}; both devices come back with ?since={since}")
        answer = (await self._ask(SECOND, key))["ai_response"]
        for device in (self._phone, self._laptop):
            heard = await device.until("ai_response", before)
            expect(heard["payload"]["content"] == answer, "both devices get the whole answer")
            expect(device.greetings[-1]["recovered"], "a resumed device is told that nothing is missing")
        self._stage.say("the request was sent again with its Idempotency-Key: asked once, answered once")
        await trio.sleep(self._pace)

    async def _end(self) -> None:
        self._stage.scene("The end of it")
        ended = await self._server.call("PUT", f"/api/v2/conversations/{self._id}/end")
        expect(ended["status"] == "ended", "the conversation is ended")

    async def _look_back(self) -> None:
        address = StoreAddress(self._log)
        stream = StreamName.of(Category.CONVERSATION, self._id)
        async with open_history(address) as store:
            records = await store.read_stream(stream)
            left = [(trace, await store.read_stream(trace.stream)) for trace in self._traces]
        for name, device in (("phone", self._phone), ("laptop", self._laptop)):
            self._compare(name, device, records)
        self._stage.scene(f"callboard replay {stream[:26]}…")
        self._console.print(timeline.tell(records, conversation, states=False))
        self._stage.scene("callboard replay, of the others")
        for trace, events in left:
            expect(trace.holds(events), f"{trace.stream} has {trace.promise}")
            self._stage.say(f"{trace.stream}: {len(events)} events, {trace.promise}")
        self._stage.scene("callboard verify")
        expect(await verifying.verify(address, self._console), "the chain holds")

    def _compare(self, name: str, device: Device, records: list[Recorded]) -> None:
        """What the device was sent, through two connections, against what the log says it had to be sent."""
        joined = device.greetings[0]["seq"]
        shown, state = [], conversation.initial
        for record in records:
            state = conversation.fold(state, (record.event,))
            frame = CONVERSATIONS_WITH_DELTAS.render(record, state)
            if frame is not None and record.version >= joined:
                shown.append((record.version, frame.body.decode()))
        expect(device.heard == shown, f"the {name} got every frame once, in order, byte for byte as the log has it")
        told = f"{len(shown)} frames over {len(device.greetings)} connections"
        self._stage.say(f"the {name} got {told}: no gap, no repeat, each byte for byte as the log has it")

    # --- the console ------------------------------------------------------------------------------------------

    def _print_answer(self, frame: dict[str, Any]) -> None:
        """The answer, as the laptop gets it: piece by piece, and what is left of it with the whole."""
        match frame["type"], frame["payload"]:
            case "ai_response_delta", {"index": None}:
                self._stage.begin_answer("laptop hears")
                self._printed = ""
            case "ai_response_delta", {"delta": delta}:
                self._print_piece(delta)
            case "ai_response", {"content": content}:
                self._print_piece(content.removeprefix(self._printed))
                self._stage.end_answer()
            case _:
                pass  # the story tells of the others itself

    def _print_piece(self, text: str) -> None:
        self._printed += text
        self._stage.piece(text)
