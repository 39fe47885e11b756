"""The WebSocket shell, with the conversations dialect on real sockets."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed

from adapters.web.app import sockets_of
from core.messages import Recorded
from eventstore.memory import MemoryStore


async def test_the_greeting_comes_first_and_the_own_connection_second(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        first, second = await socket.frames(2)
    assert first["type"] == "state_update"
    assert first["payload"]["current_state"] == "idle"
    assert first["payload"]["transcript"] == {"final_transcript": "", "interim_transcript": None}
    assert (second["type"], second["payload"]) == ("connection_status", {"status": "connected", "client_count": 1})


async def test_an_unknown_conversation_is_named_then_closed_with_1008(server: Any) -> None:
    async with server.talk(server.system.identifiers.new()) as socket:
        error = await socket.frame()
        assert error["payload"]["error_type"] == "conversation_not_found"
        assert (await socket.closed())[0] == 1008


async def test_all_hear_a_transcript_its_sender_too(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as one, server.talk(id) as other:
        await one.frames(3)
        await other.frames(2)
        await one.send("transcript_update", {"final_transcript": "hello", "confidence": 0.9})
        heard = [await one.frame(), await other.frame()]
    assert [frame["type"] for frame in heard] == ["transcript_update"] * 2
    assert heard[0] == heard[1]


async def test_the_others_hear_who_comes_and_goes(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as staying:
        await staying.frames(2)
        async with server.talk(id):
            assert (await staying.frame())["payload"] == {"status": "connected", "client_count": 2}
        assert (await staying.frame())["payload"] == {"status": "disconnected", "client_count": 1}


async def test_a_broken_frame_is_answered_to_its_sender_alone(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as one, server.talk(id) as other:
        await one.frames(3)
        await other.frames(2)
        await one.wire.send_message("{no json")
        assert (await one.frame())["payload"]["error_type"] == "invalid_json"
        await one.send("speech_event", {"event_type": "speech_start", "data": {}})
        assert (await other.frame())["type"] == "speech_event"


async def test_an_empty_binary_frame_is_a_frame(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        await socket.wire.send_message(b"")
        assert (await socket.frame())["payload"]["error_type"] == "invalid_json"


async def test_an_ended_conversation_says_so_and_closes_with_1000(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        await server.http.put(f"/api/v2/conversations/{id}/end")
        assert (await socket.frame())["payload"]["current_state"] == "ended"
        assert await socket.closed() == (1000, "Conversation ended")
    async with server.talk(id) as late:
        assert (await late.frame())["payload"]["current_state"] == "ended"
        assert await late.closed() == (1000, "Conversation ended")


async def test_what_was_missed_is_shown_on_resume_and_nothing_twice(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        greeting, status = await socket.frames(2)
    for text in ("one", "two", "three"):
        await server.http.post(f"/api/conversations/{id}/transcript", json={"final_transcript": text})
    async with server.talk(id, f"?since={status['seq']}&epoch={greeting['epoch']}") as socket:
        again, *missed = await socket.frames(6)
        await socket.send("transcript_update", {"final_transcript": "four"})
        live = await socket.frame()
    assert again["recovered"] is True
    assert again["payload"]["transcript"]["final_transcript"] == ""
    shown = [frame["payload"].get("accumulated_transcript", frame["payload"].get("status")) for frame in missed]
    assert shown == ["disconnected", "one", "one two", "one two three", "connected"]
    seqs = [frame["seq"] for frame in (*missed, live)]
    assert seqs == list(range(seqs[0], seqs[0] + 6))


async def test_a_resume_from_another_log_gets_a_fresh_greeting(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id, "?since=1&epoch=another") as socket:
        assert (await socket.frame())["recovered"] is False


async def test_commands_sent_while_resuming_are_answered_after_the_backlog(server: Any) -> None:
    id = await server.opened()
    for n in range(50):
        await server.http.post(f"/api/conversations/{id}/transcript", json={"final_transcript": f"t{n}"})
    async with server.talk(id, f"?since=1&epoch={server.system.store.epoch}") as socket:
        await socket.send("heartbeat")
        types = [frame["type"] for frame in await socket.frames(53)]
    assert types == ["state_update", *["transcript_update"] * 50, "connection_status", "heartbeat_response"]


async def test_a_backlog_larger_than_the_outlet_still_arrives(start: Any, small_outlet: Any) -> None:
    server = await start(limits=small_outlet)
    id = await server.opened()
    for n in range(12):
        body = {"final_transcript": f"{n}" * 5000}
        await server.http.post(f"/api/conversations/{id}/transcript", json=body)
    async with server.talk(id, f"?since=1&epoch={server.system.store.epoch}") as socket:
        frames = await socket.frames(14)
    assert [frame["seq"] for frame in frames[1:]] == list(range(2, 15))


async def test_a_client_that_does_not_read_is_closed_with_4008_and_the_others_hear_all(
    start: Any, small_outlet: Any
) -> None:
    server = await start(limits=small_outlet)
    id = await server.opened()
    async with server.talk(id) as slow, server.talk(id) as quick:
        await quick.frames(2)
        for n in range(250):
            await quick.send("speech_event", {"event_type": f"noise {n}", "data": {"bytes": "x" * 60_000}})
            assert (await quick.frame("speech_event"))["payload"]["event_type"] == f"noise {n}"
        await server.until(id, lambda state: len(state.clients) == 1)
        code, reason = await slow.closed()
    assert (code, reason) == (4008, "too slow; resume with since")


async def test_a_frame_beyond_the_limit_closes_with_1009(start: Any, small_frames: Any) -> None:
    server = await start(settings=small_frames)
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        await socket.wire.send_message("x" * 5000)
        assert (await socket.closed())[0] == 1009


async def test_a_text_is_measured_in_bytes(start: Any, small_frames: Any) -> None:
    server = await start(settings=small_frames)
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        await socket.wire.send_message("€" * 1500)
        assert (await socket.closed())[0] == 1009


async def test_a_client_that_vanishes_is_left_without_a_word(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        await socket.stream.aclose()
        await server.until(id, lambda state: not state.clients)


async def test_a_shutdown_tells_the_clients_to_come_back(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        server.shutdown.set()
        assert (await socket.closed())[0] == 1012


class GatedStore(MemoryStore):
    """A store whose streams cannot be read once its gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_closed, self.asked = False, trio.Event()

    async def read_stream(self, *args: Any, **options: Any) -> list[Recorded]:
        if self.gate_closed:
            self.asked.set()
            await trio.sleep_forever()
        return await super().read_stream(*args, **options)


async def flood(socket: Any) -> None:
    while True:
        await socket.send("heartbeat")


async def test_more_than_may_wait_for_a_resume_closes_with_4008(start: Any, small_frames: Any) -> None:
    store = GatedStore()
    server = await start(settings=small_frames, store=store)
    id = await server.opened()
    store.gate_closed = True
    async with server.talk(id, f"?since=1&epoch={store.epoch}") as socket:
        await store.asked.wait()
        with pytest.raises(ConnectionClosed):
            await flood(socket)
        assert (await socket.closed())[0] == 4008


async def test_a_client_that_leaves_while_it_resumes_is_gone(start: Any) -> None:
    store = GatedStore()
    server = await start(store=store)
    id = await server.opened()
    store.gate_closed = True
    async with server.talk(id, f"?since=1&epoch={store.epoch}"):
        await store.asked.wait()
    await server.until(id, lambda state: not state.clients)


async def test_who_comes_while_the_server_drains_is_told_to_come_back_too(server: Any) -> None:
    id = await server.opened()
    await sockets_of(server.app).drain()
    async with server.talk(id) as socket:
        assert (await socket.closed())[0] == 1012


async def test_the_sockets_of_an_app_are_counted(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        assert len(sockets_of(server.app)) == 1
    await server.until(id, lambda state: not state.clients)
