"""A label made on one device and shown on another of the same session (dialect `shipping`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import json

from adapters.demo.ear import Ear, listening
from adapters.demo.scenes import Trace
from adapters.demo.server import Server
from adapters.demo.stage import Stage, expect, short_scene
from core.identifiers import Category, StreamName
from core.messages import Recorded
from core.session import ToolCallSucceeded

PARCEL: dict[str, Any] = {
    "carrier": "UPS", "service_type": "Ground", "weight": 5,
    "shipper_name": "Ada Lind", "shipper_street": "1 Harbor St", "shipper_city": "Portland", "shipper_state": "ME",
    "shipper_zip": "04101",
    "recipient_name": "Ben Lind", "recipient_street": "2 Beacon St", "recipient_city": "Boston",
    "recipient_state": "MA", "recipient_zip": "02108",
}  # fmt: skip


async def play(stage: Stage, server: Server) -> Trace:
    """Raises DemoFailed."""
    url = f"ws://127.0.0.1:{server.port}/ws"
    async with short_scene(stage, "A label made on one device, shown on another"), listening(url) as phone:
        session_id = await _session_of(phone)
        async with listening(f"{url}?session_id={session_id}") as laptop:
            expect(await _session_of(laptop) == session_id, "the laptop joins the phone's session")
            label = await _make_label(stage, phone, laptop)
            await _fetch(stage, server, label["label_url"])

    def holds(records: Sequence[Recorded]) -> bool:
        made = [record.event for record in records if isinstance(record.event, ToolCallSucceeded)]
        return len(made) == 1 and label["label_url"].encode() in json.encode(made[0])

    return Trace(StreamName.of(Category.SESSION, session_id), "one label, made once", holds)


async def _session_of(ear: Ear) -> str:
    await ear.send("ping")
    return str((await ear.until(lambda frame: frame["type"] == "pong"))["session_id"])


async def _make_label(stage: Stage, phone: Ear, laptop: Ear) -> dict[str, Any]:
    """What the laptop is shown of it."""
    stage.line("phone", "calls create_label", f"{_place('shipper')} → {_place('recipient')}, by {PARCEL['carrier']}")
    call = {"tool_name": "create_label", "tool_call_id": "label-1", "parameters": PARCEL}
    await phone.send("client_tool_call", client_tool_call=call)
    answer = await phone.until(lambda frame: frame["type"] == "client_tool_result")
    expect(not answer["is_error"], f"the label is made, not {answer['result']}")
    shown = await laptop.until(lambda frame: frame["type"] == "contextual_update")
    expect(shown["text"] == "label_created", "the laptop is shown the label")
    label: dict[str, Any] = shown["data"]
    stage.line(
        "laptop", "hears label_created", f"{label['tracking_number']}, there by {label['estimated_delivery'][:10]}"
    )
    expect(label == answer["result"], "both devices have the same label")
    return label


async def _fetch(stage: Stage, server: Server, label_url: str) -> None:
    sheet = await server.fetch(label_url)
    expect(sheet.startswith(b"%PDF"), f"{label_url} is a PDF")
    stage.say(f"the laptop fetched {label_url[:20]}….pdf: a PDF of {len(sheet):,} bytes")


def _place(who: str) -> str:
    return f"{PARCEL[f'{who}_city']} {PARCEL[f'{who}_state']}"
