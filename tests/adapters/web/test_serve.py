"""Hypercorn as a child of our nursery."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
import trio

from adapters.server.serve import serve


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The smallest ASGI application: it says yes."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"yes"})


async def test_it_starts_with_the_urls_that_were_really_bound(nursery: trio.Nursery) -> None:
    shutdown = trio.Event()
    urls = await nursery.start(serve, app, ["127.0.0.1:0", "[::1]:0"], shutdown)
    assert [url.rpartition(":")[0] for url in urls] == ["http://127.0.0.1", "http://[::1]"]
    async with httpx.AsyncClient() as http:
        for url in urls:
            assert (await http.get(url)).text == "yes"
    shutdown.set()


async def test_it_returns_once_it_is_told_to_stop() -> None:
    shutdown = trio.Event()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            (url,) = await nursery.start(serve, app, ["127.0.0.1:0"], shutdown)
            shutdown.set()
    port = int(url.rpartition(":")[2])
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", port)


async def test_it_takes_nobody_new_and_drains_before_it_stops(nursery: trio.Nursery) -> None:
    shutdown, drained = trio.Event(), trio.Event()
    answers: list[str] = []

    async with httpx.AsyncClient() as there, httpx.AsyncClient() as late:

        async def drain() -> None:
            answers.append((await there.get(urls[0])).text)
            with pytest.raises(httpx.ConnectError):
                await late.get(urls[0])
            drained.set()

        urls = await nursery.start(partial(serve, app, ["127.0.0.1:0"], shutdown, drain=drain))
        await there.get(urls[0])
        shutdown.set()
        with trio.fail_after(5):
            await drained.wait()
    assert answers == ["yes"]


async def test_an_address_in_use_is_a_plain_os_error() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await serve(app, [f"127.0.0.1:{port}"], trio.Event())
