"""What the voice platform tells of a call beside its socket: POST /webhook, signed with the platform's API key.

The path is to be open to whoever has no token: the signature is what lets in. Without a key none is checked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from quart import Blueprint, Response, request

from actors.system import System
from adapters.protocols import wire
from adapters.web.answers import accepted, answer, unprocessable
from adapters.web.correlation import current_correlation
from adapters.web.described import JSON, Content, described
from core.call import MAX_CONTENT, ReceiveWebhook
from core.extent import extent
from core.identifiers import Category, MalformedStreamName, StreamName

SIGNATURE = "x-retell-signature"
MOST_AGE = 5 * 60 * 1000
"""Milliseconds a signature's time may be off, either way."""
PRINCIPAL = "retell"
ROOM = MAX_CONTENT - 1000
"""Of a call's extent, what is kept of it; the rest of MAX_CONTENT is for the event, and the names of what is not."""

_SIGNATURE = re.compile(r"v=([0-9]{1,16}),d=([0-9a-f]{64})")

log = structlog.get_logger("callboard.retell")


class Webhook(Struct):
    """`data` is what `call` was called once."""

    event: str
    call: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


class Received(Struct, frozen=True):
    received: bool


class Unsigned(Struct, frozen=True):
    message: str


def retell_blueprint(system: System, api_key: str | None) -> Blueprint:
    """POST /webhook. What is told twice, because an answer was lost, is one event of the call."""
    blueprint = Blueprint("retell", __name__)

    @blueprint.post("/webhook")
    @described(Received, 409, 503, body=Webhook, others={401: Content(JSON, Unsigned)}, signed_by=SIGNATURE)
    async def receive() -> Response:
        """What the voice platform tells of a call. Told twice, it is one event."""
        body = bytes(await request.data)
        now = system.clock.now()
        if api_key is not None and not is_signed(body, request.headers.get(SIGNATURE, ""), api_key, now):
            log.warning("a webhook without a good signature was refused")
            return answer(Unsigned("Unauthorized"), 401)
        stream, event, call = told_by(body)
        stamp = system.stamp(principal=PRINCIPAL, correlation_id=current_correlation())
        accepted(await system.ask(stream, ReceiveWebhook(event, fitting(call), now), stamp))
        return answer(Received(True))

    return blueprint


def is_signed(body: bytes, signature: str, api_key: str, now: int) -> bool:
    """Whether the signature is of this body, by the key, and of about `now` (µs UTC since the epoch)."""
    parts = _SIGNATURE.fullmatch(signature)
    if parts is None or abs(now // 1000 - int(parts[1])) > MOST_AGE:
        return False
    return hmac.compare_digest(digest_of(body, parts[1], api_key), parts[2])


def digest_of(body: bytes, time: str, api_key: str) -> str:
    """What signs `body` at `time`, ms since the epoch in decimal digits."""
    return hmac.new(api_key.encode(), body + time.encode(), hashlib.sha256).hexdigest()


def told_by(body: bytes) -> tuple[StreamName, str, dict[str, Any]]:
    """Which call the webhook is about, what happened, and all it says of it. Raises Problem 422."""
    try:
        webhook = msgspec.json.decode(body, type=Webhook)
        call = webhook.data if webhook.call is None else webhook.call
        wire.check_depth(call, "call")
    except (msgspec.DecodeError, UnicodeError, RecursionError, wire.WrongField) as error:
        raise unprocessable((("body",), f"That is no webhook: {error}")) from None
    call_id = (call or {}).get("call_id")
    if call is None or not isinstance(call_id, str):
        raise unprocessable((("body", "call", "call_id"), "Field required"))
    try:
        return StreamName.of(Category.CALL, call_id), webhook.event, call
    except MalformedStreamName as error:
        raise unprocessable((("body", "call", "call_id"), str(error))) from None


def fitting(call: dict[str, Any]) -> dict[str, Any]:
    """The call as far as it is kept: of a long one the largest fields are left out, and named under `left_out`.

    Those are transcripts, word by word. The log has what was said; that the call has ended must not be lost with them.
    """
    left_out: list[str] = []
    while extent(call) > ROOM and (names := [name for name in call if name != "call_id"]):
        largest = max(names, key=lambda name: extent((name, call[name])))
        call = {name: value for name, value in call.items() if name != largest}
        left_out.append(largest[:40])
    return {**call, "left_out": left_out[:10]} if left_out else call
