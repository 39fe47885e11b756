"""Whatever the servers behind a gateway do, the client gets the frame that ends what it asked for, in each dialect."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection

from adapters import bootstrap
from adapters.clients.wire import open_wire
from adapters.config import from_environment
from adapters.demo.retell_caller import Talk, calling
from adapters.gateways.forecast import OpenMeteo
from adapters.gateways.http_carrier import HTTPCarrier
from adapters.gateways.language_model import OpenAIModel
from adapters.gateways.offline_partner import OfflinePartner
from tests.adapters.gateways import model_server
from tests.adapters.gateways.model_server import DONE, FOREVER, STREAM, Move, piece, refusal
from tests.adapters.gateways.test_http_carrier import LABEL, RATES
from tests.adapters.gateways.test_shipments import PARAMETERS, ROUTE
from tests.adapters.gateways.weather_server import MAKATI, SUNNY

PATIENCE = 10.0
PROMISING = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"
Answers = Sequence[Sequence[Move]]

FAILING: dict[str, Answers] = {
    "stalls at once": [[FOREVER]],
    "closes at once": [[]],
    "cut off in its headers": [[b"HTTP/1.1 200 OK\r\ncontent-"]],
    "too many": [[refusal("429 Too Many Requests", "retry-after: 0")]],
    "too many for long": [[refusal("429 Too Many Requests", "retry-after: 3600")]],
    "broken": [[refusal("500 Internal Server Error")]],
    "says no": [[refusal("400 Bad Request")]],
    "nonsense": [[refusal("200 OK", body=b"<html>")]],
    "not even HTTP": [[b"\x00\x01\r\n\r\n"]],
    "refused": [],
}
"""What servers of all kinds do; nobody listens where there is not even an answer."""
WHOLE = [STREAM, piece("Hel"), piece("lo"), piece(None, "stop"), DONE]
OF_MODELS: dict[str, Answers] = {
    **FAILING,
    "stalls before the first word": [[STREAM, FOREVER]],
    "stalls behind a word": [[STREAM, piece("Hel"), FOREVER]],
    "cut off behind a word": [[STREAM, piece("Hel")]],
    "nonsense behind a word": [[STREAM, piece("Hel"), b"data: <html>\n\n"]],
    "says nothing": [[STREAM, piece(None, "stop"), DONE]],
}
HALFWAY: dict[str, Answers] = {"stalls halfway": [[PROMISING, FOREVER]], "cut off halfway": [[PROMISING]]}


class Swapped:
    """A gateway that is another one in each case."""

    name = "swapped"

    def __init__(self) -> None:
        self.now: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


@asynccontextmanager
async def answering(answers: Answers) -> AsyncIterator[str]:
    """The URL of a server that does so; of none where there is nothing to do."""
    if answers:
        async with model_server.serving(*answers) as server:
            yield server.url
        return
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def model_at(url: str) -> OpenAIModel:
    return OpenAIModel("sk", url, "tiny", first_piece_timeout=0.1, piece_timeout=0.1, attempts=2, backoff=0.001)


def carrier_at(url: str) -> HTTPCarrier:
    return HTTPCarrier(url, timeout=0.2, attempts=2, backoff=0.001)


def forecast_at(url: str) -> OpenMeteo:
    return OpenMeteo(geocoding_url=url, forecast_url=url, timeout=0.1, attempts=2, backoff=0.001)


class Callboard:
    """A running server, and what it asks outside."""

    def __init__(self) -> None:
        self.url, self.model, self.forecast, self.carrier = "", Swapped(), Swapped(), Swapped()

    async def run(self, store: Path, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        settings = {
            "CALLBOARD_BIND": "127.0.0.1:0", "CALLBOARD_STORE": f"sqlite:///{store}", "OBFUSCATED_WS_PATH": "calls",
            "CALLBOARD_FORECAST": "open-meteo", "CALLBOARD_CARRIER": "http", "SHIPVOX_API_URL": "http://127.0.0.1:1",
        }  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "settle_interpreter", lambda: None)  # a setting of the whole process
            patch.setattr(bootstrap, "language_model", lambda *_: self.model)
            patch.setattr(bootstrap, "OpenMeteo", lambda **_: self.forecast)
            patch.setattr(bootstrap, "HTTPCarrier", lambda *_: self.carrier)
            async with trio.open_nursery() as nursery:
                [url] = await nursery.start(partial(bootstrap.serve, from_environment(settings, {}), trio.Event()))
                self.url = url.replace("http", "ws")
                task_status.started()


@pytest.fixture
async def callboard(nursery: trio.Nursery, tmp_path: Path) -> Callboard:
    callboard = Callboard()
    await nursery.start(callboard.run, tmp_path / "gateways.db")
    return callboard


async def first(wire: WebSocketConnection, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(await wire.get_message())
        if is_it(frame):
            return frame


# --- how a question is asked in each dialect; True: it was answered, False: it was said to have failed ---


async def ask_on_a_channel(url: str, name: str, text: str = "Hi") -> bool:
    async with open_wire(url) as wire:
        for type, payload in (("subscribe", {}), ("ask", {"message": text})):
            await wire.send_message(json.dumps({"type": type, "payload": {"channel": name, **payload}}))
        end = await first(wire, lambda frame: frame["payload"].get("status") in ("completed", "error"))
    return bool(end["payload"]["status"] == "completed")


async def ask_in_a_conversation(url: str, name: str) -> bool:  # as the others
    async with httpx.AsyncClient(base_url=url.replace("ws", "http"), timeout=PATIENCE) as http:
        id = (await http.post("/api/v2/conversations", json={})).json()["id"]
        async with open_wire(f"{url}/api/ws/conversations/{id}") as wire:
            await http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Hi"})
            end = await first(wire, lambda frame: frame["type"] in ("ai_response", "error"))
    return bool(end["type"] == "ai_response")


async def ask_in_a_call(url: str, name: str, text: str = "Hi") -> bool:
    """Whoever calls hears words in any case."""
    async with calling(f"{url}/calls", Talk(name)) as caller:
        await caller.describe()
        return bool(await caller.answer(await caller.say(text)))


async def buy_a_label(url: str, name: str) -> bool:
    fields = {"tool_name": "create_label", "tool_call_id": name, "parameters": PARAMETERS}
    async with open_wire(f"{url}/ws") as wire:
        await wire.send_message(json.dumps({"type": "client_tool_call", "client_tool_call": fields}))
        end = await first(wire, lambda frame: frame["type"] == "client_tool_result")
    return end["is_error"] is False


async def ask_for_rates(url: str, name: str) -> bool:
    asked = {"origin_zip": ROUTE["from_zip"], "destination_zip": ROUTE["to_zip"], "weight": 5}
    async with open_wire(f"{url}/ws") as wire:
        await wire.send_message(json.dumps({"type": "get_rates", "requestId": name, "payload": asked}))
        end = await first(wire, lambda frame: frame["type"] in ("quote_ready", "error"))
    return bool(end["type"] == "quote_ready")


Ask = Callable[[str, str], Awaitable[bool]]


async def ends_of(
    callboard: Callboard, ask: Ask, gateway: Swapped, at: Callable[[str], object], cases: Mapping[str, Answers]
) -> dict[str, bool | str]:
    """How each case ended for the client."""
    ends: dict[str, bool | str] = {}
    for number, (case, answers) in enumerate(cases.items()):
        async with answering(answers) as url:
            gateway.now = at(url)
            with trio.move_on_after(PATIENCE):
                ends[case] = await ask(callboard.url, f"c{number}")
            ends.setdefault(case, "no end")
    return ends


@pytest.mark.parametrize(
    ("ask", "is_told"), [(ask_on_a_channel, True), (ask_in_a_conversation, True), (ask_in_a_call, False)]
)
async def test_whatever_the_language_model_does_there_is_an_end(ask: Ask, is_told: bool, callboard: Callboard) -> None:
    cases = {**OF_MODELS, "answers": [WHOLE], "answers at the second try": [*FAILING["broken"], WHOLE]}
    ends = await ends_of(callboard, ask, callboard.model, model_at, cases)
    assert ends == {case: case.startswith("answers") or not is_told for case in cases}


@pytest.mark.parametrize("ask", [ask_on_a_channel, ask_in_a_call])
async def test_whatever_the_forecast_does_the_answer_comes(ask: Callable[..., Any], callboard: Callboard) -> None:
    callboard.model.now = OfflinePartner(pause=0.0)
    cases = {**FAILING, **HALFWAY, "answers": [[MAKATI], [SUNNY]], "knows half": [[MAKATI], *FAILING["nonsense"]]}
    asking = partial(ask, text="What is the weather in Makati?")
    ends = await ends_of(callboard, asking, callboard.forecast, forecast_at, cases)
    assert ends == dict.fromkeys(cases, True)


@pytest.mark.parametrize(("ask", "whole"), [(buy_a_label, LABEL), (ask_for_rates, RATES)])
async def test_whatever_the_carrier_does_there_is_an_end(ask: Ask, whole: Sequence[Move], callboard: Callboard) -> None:
    cases: dict[str, Answers] = {**FAILING, **HALFWAY, "answers": [whole], "answers at last": [[], whole]}
    ends = await ends_of(callboard, ask, callboard.carrier, carrier_at, cases)
    assert ends == {case: case.startswith("answers") for case in cases}
