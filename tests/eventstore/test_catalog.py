"""The catalog: every class has a name, every name ever stored an example that is read and folded for ever."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from core import audit, call, channel, conversation, delivery, session
from core.decider import AnyDecider, CommandRejected, Rejected
from core.messages import Decision
from eventstore.catalog import COMMANDS, EVENTS
from eventstore.codec import Codec, commands, events
from eventstore.sqlite import SQLiteStore
from eventstore.upcasters import UPCASTERS, next_version
from tests.eventstore.logs import stamp, stream

GOLDEN = Path(__file__).parent.parent / "golden_events"
CATALOG = {**EVENTS, **COMMANDS}
MODULES: dict[str, Any] = {
    "conversation": conversation,
    "session": session,
    "call": call,
    "channel": channel,
    "audit": audit,
    "delivery": delivery,
}
DECIDERS: dict[str, AnyDecider] = {kind: getattr(module, kind) for kind, module in MODULES.items()}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name.replace('/', '@')}.json").read_bytes()


def golden_names() -> list[str]:
    return sorted(file.stem.replace("@", "/") for file in GOLDEN.glob("*.json"))


def codec_of(name: str) -> Codec:
    """Commands and events share no name, so a name tells which it is; an old version by its upcasters' end."""
    while name in UPCASTERS:
        name = next_version(name)
    return events if name in EVENTS else commands


def contains(whole: Any, part: Any) -> bool:
    """Everything that `part` says, `whole` says too. (A field added later, with its default, may stand beside.)"""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        same_length = isinstance(whole, list) and len(whole) == len(part)
        return same_length and all(contains(one, other) for one, other in zip(whole, part, strict=True))
    return type(whole) is type(part) and bool(whole == part)


# --- the catalog ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DECIDERS)
def test_every_event_of_every_kind_of_actor_has_a_name(kind: str) -> None:
    named = {cls for name, cls in EVENTS.items() if name.startswith(f"{kind}.")}
    assert named == set(get_args(MODULES[kind].Event) or [MODULES[kind].Event])  # one alone is no union


@pytest.mark.parametrize("kind", DECIDERS)
def test_every_command_of_every_kind_of_actor_has_a_name(kind: str) -> None:
    named = {cls for name, cls in COMMANDS.items() if name.startswith(f"{kind}.")}
    assert named == set(get_args(MODULES[kind].Command) or [MODULES[kind].Command])  # as above


def test_the_one_event_of_all_kinds_is_the_refusal() -> None:
    others = [name for name in CATALOG if name.split(".")[0] not in DECIDERS]
    assert others == ["command.rejected/1"]
    assert EVENTS["command.rejected/1"] is CommandRejected


def test_no_name_and_no_class_stands_for_two_things() -> None:
    assert not EVENTS.keys() & COMMANDS.keys()
    assert len(set(CATALOG.values())) == len(CATALOG)


def test_names_are_of_one_form() -> None:
    for name in (*CATALOG, *UPCASTERS):
        assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*/[1-9][0-9]*", name)


# --- golden examples --------------------------------------------------------------------------------------------


def test_every_name_ever_stored_has_an_example() -> None:
    assert set(golden_names()) == {*CATALOG, *UPCASTERS}


@pytest.mark.parametrize("name", golden_names())
def test_an_example_is_read_without_loss(name: str) -> None:
    decoded = codec_of(name).decode(name, golden(name))
    newest, content = codec_of(name).encode(decoded)
    assert CATALOG[newest] is type(decoded)
    if newest == name:
        assert contains(msgspec.json.decode(content), msgspec.json.decode(golden(name)))


@pytest.mark.parametrize("name", [name for name in golden_names() if codec_of(name) is events])
def test_an_example_of_an_event_is_folded_wherever_it_stands(name: str) -> None:
    """Alone, twice, and behind every other event of its kind."""
    event = events.decode(name, golden(name))
    for kind, decider in DECIDERS.items():
        if name.split(".")[0] not in (kind, "command"):
            continue
        others = [events.decode(other, golden(other)) for other in golden_names() if other in EVENTS]
        mine = [other for other in others if type(other) in get_args(MODULES[kind].Event)]
        decider.wanted(decider.fold(decider.initial, (event, event)))
        state = decider.fold(decider.initial, (*mine, event))
        decider.wanted(state)
        assert decider.is_terminal(state) in (True, False)


@pytest.mark.parametrize("name", [name for name in golden_names() if codec_of(name) is commands])
def test_an_example_of_a_command_is_decided_again(name: str) -> None:
    decider = DECIDERS[name.split(".")[0]]
    decided = decider.decide(decider.initial, commands.decode(name, golden(name)))
    assert isinstance(decided, (tuple, Rejected))


async def test_every_example_goes_through_a_real_log(durable: SQLiteStore) -> None:
    examples = [events.decode(name, golden(name)) for name in golden_names() if codec_of(name) is events]
    orders = [commands.decode(name, golden(name)) for name in golden_names() if codec_of(name) is commands]
    decisions = [Decision(stamp(f"c-{n}"), order, tuple(examples)) for n, order in enumerate(orders)]
    appended = await durable.append(stream("a"), decisions, expected_version=0)
    assert await durable.read_outcome(stream("a"), "c-7") == appended[7 * len(examples) : 8 * len(examples)]
    assert await durable.read_events(stream("a")) == examples * len(orders)
