from __future__ import annotations

from functools import partial

import pytest
import trio

from adapters.clients.wire import CannotConnect, open_wire


async def listening(nursery: trio.Nursery, says: bytes | None) -> str:
    """A peer that answers whatever comes with these bytes, or with silence; its URL."""

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        if says is not None:
            await stream.send_all(says)
        await trio.sleep_forever()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(partial(trio.serve_listeners, answer, [listener]))
    return f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"


@pytest.mark.parametrize(
    "says", [None, b"220 mail.example ESMTP\r\n", b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"]
)
async def test_a_peer_that_is_no_websocket_server_is_told_within_the_time(
    nursery: trio.Nursery, says: bytes | None
) -> None:
    url = await listening(nursery, says)
    with trio.fail_after(3), pytest.raises(CannotConnect):
        async with open_wire(url, within=0.3):
            pass


async def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(CannotConnect, match="nobody answers"):
        async with open_wire("ws://127.0.0.1:9/"):
            pass
