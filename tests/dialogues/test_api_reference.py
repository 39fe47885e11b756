"""The AsyncAPI document against the traffic of all dialogues.

That every frame is exactly one message of the document is checked where dialogues are played, on stages and over real
sockets; here, that every message occurs, and that the document lets nothing else through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest

from adapters.dialects import references
from adapters.protocols.channels import dialect_for
from core.identifiers import Category
from tests.dialogues import test_channels_dialogues as channels
from tests.dialogues import test_console_dialogues as console
from tests.dialogues import test_conversations_dialogues as conversations
from tests.dialogues import test_retell_dialogues as retell
from tests.dialogues import test_shipping_dialogues as shipping
from tests.dialogues import test_streams_dialogues as streams
from tests.dialogues.console_stage import ConsoleStage
from tests.dialogues.conversations_stage import ConversationsStage
from tests.dialogues.dialogue import Closed, Connect, Names, Step, read_dialogue
from tests.dialogues.playing import play
from tests.dialogues.retell_stage import RetellStage
from tests.dialogues.shipping_stage import ShippingStage
from tests.dialogues.stage import Stage
from tests.dialogues.streams_stage import StreamsStage
from tests.dialogues.traffic import Traffic, document, traffic_of

NONSENSE: Any = [[[]]]
"""Of no field's type."""

Cast = tuple[ModuleType, Callable[[], Stage], Mapping[str, str]]
CASTS: Mapping[str, Cast] = {
    "channels": (channels, lambda: Stage(dialect_for, Category.CHANNEL, "", ""), {}),
    "console": (console, ConsoleStage, {}),
    "conversations": (
        conversations,
        lambda: ConversationsStage(conversations.CONVERSATION),
        {"conversation": conversations.CONVERSATION, "epoch": "epoch-1"},
    ),
    "retell": (retell, lambda: RetellStage(retell.CALL), {"call": retell.CALL}),
    "shipping": (shipping, ShippingStage, {}),
    "streams": (streams, lambda: StreamsStage(streams.SESSION), {"session": streams.SESSION, "epoch": "epoch-1"}),
}

each_dialect = pytest.mark.parametrize("dialect", sorted(CASTS))


def steps_of(dialect: str) -> list[Step]:
    module = CASTS[dialect][0]
    return [line.step for path in module.FILES for line in read_dialogue(path, module.envelope)]


@cache
def played(dialect: str) -> Traffic:
    """The traffic of all of a dialect's dialogues."""
    module, stage, names = CASTS[dialect]
    for path in module.FILES:
        play(read_dialogue(path, module.envelope), stage(), Names(dict(names)), path.name)
    return traffic_of(dialect)


def test_the_document_has_all_dialects_that_have_dialogues() -> None:
    assert {reference.name for reference, _ in references()} == CASTS.keys()


@each_dialect
def test_every_message_of_the_document_occurs(dialect: str) -> None:
    traffic = played(dialect)
    assert traffic.names() - traffic.seen.keys() == set()


@each_dialect
def test_a_frame_with_a_field_renamed_or_mistyped_is_no_message(dialect: str) -> None:
    traffic, tried = played(dialect), 0
    for message, frame in traffic.examples.items():
        action, schema = message.partition(".")[0], document()["components"]["messages"][f"{dialect}.{message}"]
        for change, spoilt in spoil(frame, schema["payload"], is_strict=action == "send"):
            assert traffic.kinds_of(action, spoilt) == [], f"{message} with {change}"
            tried += 1
    assert tried > 3 * len(traffic.examples)


def spoil(frame: Any, schema: Any, *, is_strict: bool) -> Iterator[tuple[str, Any]]:
    """The frame with one field wrong, in every way that must not pass, and what is wrong with it."""
    schema = resolved(schema)
    names_all = is_strict and schema.get("additionalProperties") is not True
    for name, inner in schema.get("properties", {}).items():
        if name not in frame:
            continue
        rest = {key: value for key, value in frame.items() if key != name}
        if names_all or name in schema["required"]:
            yield f"{name} renamed", {**rest, f"{name}_": frame[name]}
        if says_something(inner):
            yield f"{name} mistyped", {**rest, name: NONSENSE}
        if isinstance(frame[name], dict):
            for change, spoilt in spoil(frame[name], inner, is_strict=is_strict):
                yield f"{name}.{change}", {**rest, name: spoilt}


def resolved(schema: Any) -> Any:
    """The object's schema behind a reference, and beside null."""
    schema = next((one for one in schema.get("anyOf", ()) if "$ref" in one), schema)
    return document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def says_something(schema: Mapping[str, Any]) -> bool:
    return not schema.keys() <= {"default", "description", "title"}


def test_what_is_spoilt_is_what_was_meant() -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}
    assert dict(spoil({"a": 1, "b": 2}, schema, is_strict=False)) == {
        "a renamed": {"a_": 1, "b": 2},
        "a mistyped": {"a": NONSENSE, "b": 2},
    }
    assert "b renamed" in dict(spoil({"a": 1, "b": 2}, schema, is_strict=True))
    assert "b renamed" not in dict(spoil({"a": 1, "b": 2}, schema | {"additionalProperties": True}, is_strict=True))


def test_a_frame_that_is_no_message_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic = Traffic("retell")
    traffic.sent(b'{"response_type":"ping_pong","timestamp":5}')
    assert traffic.seen == {"send.ping_pong": 1}
    for frame in (b'{"response_type":"ping_pong","timestamp":5,"seq":1}', b'{"response_type":"ping_pong"}'):
        with pytest.raises(AssertionError, match="the document calls it"):
            traffic.sent(frame)
    traffic.received('{"interaction_type": "telepathy"}')
    Traffic("streams").received('{"type": "audio", "data": "%%%"}')
    monkeypatch.setattr("tests.dialogues.traffic.UNSAYABLE", ())
    with pytest.raises(AssertionError, match=r"\['audio'\], and it is refused"):
        Traffic("streams").received('{"type": "audio", "data": "%%%"}')


@each_dialect
def test_every_close_of_a_dialogue_is_in_the_document(dialect: str) -> None:
    closes = {str(step.code) for step in steps_of(dialect) if isinstance(step, Closed)}
    (reference,) = (reference for reference, _ in references() if reference.name == dialect)
    assert closes <= {str(code) for code in reference.closes}
    assert closes <= document()["channels"][dialect]["x-close-codes"].keys()


@each_dialect
def test_every_field_of_the_query_is_in_a_dialogue(dialect: str) -> None:
    addresses: Sequence[str] = [step.address for step in steps_of(dialect) if isinstance(step, Connect)]
    asked = {name for address in addresses for name, _ in parse_qsl(address.partition("?")[2])}
    known = document()["channels"][dialect]["bindings"]["ws"]["query"]["properties"].keys()
    assert known - {"token"} <= asked
