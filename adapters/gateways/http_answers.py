"""What the gateways over HTTP share: the trust they connect with, and answers that may have no end."""

from __future__ import annotations

import ssl
from functools import cache
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import httpx


@cache
def tls_settings() -> ssl.SSLContext:
    """Whom to trust. Dear to load, and so loaded once: ask for it in a thread."""
    import httpx

    return httpx.create_ssl_context()


async def read_up_to(response: httpx.Response, most: int) -> bytes | None:
    """The whole body of a streamed answer; None for one of more than `most` bytes, which is not read on.

    The reading is cancelled from within: raising there would leave the library's generators suspended.
    """
    body = bytearray()
    with trio.CancelScope() as scope:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > most:
                scope.cancel()
    return None if len(body) > most else bytes(body)
