"""The performers of a session's effects, in a running system: one label, whatever is repeated and whatever crashes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.effects import Perform
from actors.system import System, open_system
from adapters.clock import TimeOrderedIdentifiers
from adapters.gateways.blobs import MemoryBlobs
from adapters.gateways.embedded_carrier import EmbeddedCarrier
from adapters.gateways.sessions import idempotency_key, session_performers
from core.identifiers import Category, StreamName
from core.messages import Accepted, Recorded
from core.ports import BlobTooLarge, CarrierFailure, EventStore
from core.session import (
    MAX_SETTLED,
    DeviceLeft,
    JoinDevice,
    OpenSession,
    RatesFailed,
    RatesQuoted,
    Request,
    RequestKind,
    RequestRates,
    RequestToolCall,
    Session,
    SessionExpired,
    ToolCallFailed,
    ToolCallSucceeded,
    Transcribe,
    session,
)
from core.shipping import Label, LabelOrder, Rate, Route
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.gateways.test_shipments import PARAMETERS

STREAM = StreamName.of(Category.SESSION, "s")
SECOND, HOUR = 1_000_000, 3_600_000_000


class VirtualClock:
    """Trio's time as wall-clock time."""

    def now(self) -> int:
        return 1_735_862_400_000_000 + round(trio.current_time() * SECOND)


class WatchedCarrier(EmbeddedCarrier):
    """Remembers which labels were asked for; the first answers are kept back until `open`, or fail with `failure`."""

    def __init__(self, *, held: bool = False, failure: Exception | None = None) -> None:
        super().__init__(VirtualClock())
        self.keys: list[str] = []
        self.open, self.asked, self.failure = trio.Event(), trio.Event(), failure
        if not held:
            self.open.set()

    async def rates(self, route: Route) -> Sequence[Rate]:
        if self.failure is not None:
            raise self.failure
        return await super().rates(route)

    async def label(self, order: LabelOrder, key: str) -> Label:
        self.keys.append(key)
        self.asked.set()
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return await super().label(order, key)


@asynccontextmanager
async def running(
    store: EventStore, carrier: WatchedCarrier, blobs: Any = None, **options: Any
) -> AsyncIterator[System]:
    """A system with sessions alone."""
    systems: list[System] = []
    performers = session_performers(
        carrier, MemoryBlobs() if blobs is None else blobs, VirtualClock(), lambda: systems[0].boot, **options
    )
    async with open_system(
        store,
        deciders={Category.SESSION: session},
        performers=performers,
        clock=VirtualClock(),
        identifiers=TimeOrderedIdentifiers(),
    ) as system:
        systems.append(system)
        yield system


async def tell(system: System, command: Any, origin: str = "") -> Accepted:
    outcome = await system.ask(STREAM, command, system.stamp(origin=origin))
    assert isinstance(outcome, Accepted), outcome
    return outcome


async def opened(system: System, *devices: str) -> None:
    now = system.clock.now()
    await tell(system, OpenSession("ann", "shipping", now, HOUR, {"username": "ann"}))
    for device in devices:
        await tell(system, JoinDevice(f"{system.boot}.{device}", "ann", "shipping", now))


def label_call(system: System, id: str = "t1", **more: Any) -> RequestToolCall:
    return RequestToolCall(id, "create_label", PARAMETERS | more, "r", system.clock.now())


async def recorded(store: EventStore, kind: Any, count: int = 1, *, within: float = 10.0) -> list[Recorded]:
    """The session's records of that kind, as soon as there are so many."""
    with trio.fail_after(within):
        async for _ in store.subscribe():
            found = [record for record in await store.read_stream(STREAM) if isinstance(record.event, kind)]
            if len(found) >= count:
                return found
    raise AssertionError


async def test_a_label_is_made_and_both_its_files_are_where_it_says() -> None:
    store, blobs = MemoryStore(), MemoryBlobs()
    async with running(store, WatchedCarrier(), blobs, public_url="https://ship.example/") as system:
        await opened(system, "1")
        await tell(system, label_call(system))
        [made] = await recorded(store, ToolCallSucceeded)
    result = made.event.result
    assert list(result) == ["tracking_number", "label_url", "qr_code", "carrier", "estimated_delivery"]
    sheet = result["label_url"].removeprefix("https://ship.example/labels/").removesuffix(".pdf")
    qr = result["qr_code"].removeprefix("https://ship.example/qr/").removesuffix(".png")
    assert result["tracking_number"].encode() in (await blobs.get(sheet) or b"")
    assert (await blobs.get(qr) or b"").startswith(b"\x89PNG")


async def test_the_answer_comes_by_the_connection_that_asked() -> None:
    store = MemoryStore()
    async with running(store, WatchedCarrier()) as system:
        await opened(system, "1", "2")
        await tell(system, label_call(system), origin="b.2")
        [made] = await recorded(store, ToolCallSucceeded)
    assert (made.stamp.origin, made.event.broadcast) == ("b.2", False)


async def test_one_call_by_two_devices_at_once_and_retried_makes_one_label() -> None:
    store, carrier = MemoryStore(), WatchedCarrier(held=True)
    async with running(store, carrier) as system:
        await opened(system, "1", "2")
        async with trio.open_nursery() as nursery:
            for device in ("1", "2"):
                nursery.start_soon(tell, system, label_call(system), f"{system.boot}.{device}")
        await carrier.asked.wait()
        await tell(system, label_call(system))
        carrier.open.set()
        [made] = await recorded(store, ToolCallSucceeded)
        again = await tell(system, label_call(system))
    assert len(carrier.keys) == 1
    assert made.event.broadcast
    assert again.records == ()
    known = again.state.find(RequestKind.TOOL, "t1", "create_label", PARAMETERS)
    assert known.result == made.event.result


async def test_one_call_retried_after_a_crash_makes_one_label(tmp_path: Path) -> None:
    """The first run is killed while the carrier is at it; the second one finishes the call by itself."""
    carrier = WatchedCarrier(held=True)
    async with open_sqlite(tmp_path / "log.db") as store, running(store, carrier) as system:
        await opened(system, "1")
        await tell(system, label_call(system), origin="b.1")
        await carrier.asked.wait()
    carrier.open.set()
    async with open_sqlite(tmp_path / "log.db") as store, running(store, carrier) as system:
        [made] = await recorded(store, ToolCallSucceeded)
        again = await tell(system, label_call(system))
        await recorded(store, DeviceLeft)
    assert made.stamp.origin == "b.1"
    assert len(carrier.keys) == 2
    assert len(set(carrier.keys)) == 1
    assert again.state.find(RequestKind.TOOL, "t1", "create_label", PARAMETERS).result == made.event.result


async def test_a_call_the_session_has_forgotten_gets_the_label_it_got() -> None:
    store, carrier = MemoryStore(), WatchedCarrier()
    async with running(store, carrier) as system:
        await opened(system, "1")
        await tell(system, label_call(system))
        [first] = await recorded(store, ToolCallSucceeded)
        for n in range(MAX_SETTLED):
            await tell(system, RequestToolCall(f"x{n}", "fly", {}, "r", 1))
        assert len((await tell(system, label_call(system))).records) == 1
        _, second = await recorded(store, ToolCallSucceeded, 2)
    assert second.event.result == first.event.result


def test_a_key_belongs_to_one_call_of_one_session() -> None:
    call = Request(1, RequestKind.TOOL, "t1", "r", "create_label", {"a": 1, "b": 2})
    ann = Session("ann", created_at=5)
    same = Request(9, RequestKind.TOOL, "t1", "other", "create_label", {"b": 2, "a": 1})
    assert idempotency_key(ann, call) == idempotency_key(ann, same)
    others = [
        idempotency_key(Session("bob", created_at=5), call),
        idempotency_key(Session("ann", created_at=6), call),
        idempotency_key(ann, Request(1, RequestKind.TOOL, "t2", "r", "create_label", {"a": 1, "b": 2})),
        idempotency_key(ann, Request(1, RequestKind.TOOL, "t1", "r", "create_label", {"a": 1})),
    ]
    assert len({idempotency_key(ann, call), *others}) == 5


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (CarrierFailure("timeout calling rates endpoint"), "timeout calling rates endpoint"),
        (BlobTooLarge("too large"), "the label cannot be kept now"),
        (OSError("disk full at /var/lib"), "the label cannot be kept now"),
    ],
)
async def test_why_there_is_no_label_is_told(failure: Exception, reason: str) -> None:
    store = MemoryStore()
    async with running(store, WatchedCarrier(failure=failure)) as system:
        await opened(system, "1")
        await tell(system, label_call(system))
        [failed] = await recorded(store, ToolCallFailed)
    assert failed.event.error == reason


async def test_a_wrong_parameter_is_named_and_the_carrier_not_asked() -> None:
    store, carrier = MemoryStore(), WatchedCarrier()
    async with running(store, carrier) as system:
        await opened(system, "1")
        await tell(system, label_call(system, dimensions=[1, 2, 3]))
        [failed] = await recorded(store, ToolCallFailed)
    assert failed.event.error == "Invalid parameter: dimensions must be an object with length, width and height"
    assert carrier.keys == []


async def test_rates_are_fetched_or_fail_with_the_reason() -> None:
    store = MemoryStore()
    shipment = {"origin_zip": "89501", "destination_zip": "04530", "weight": 5}
    async with running(store, WatchedCarrier()) as system:
        await opened(system, "1")
        await tell(system, RequestRates("r1", shipment, 1))
        [quoted] = await recorded(store, RatesQuoted)
        await tell(system, RequestRates("r2", shipment | {"origin_zip": "nowhere"}, 1))
        await tell(system, RequestRates("r3", shipment | {"pickup_requested": 7}, 1))
        failed = await recorded(store, RatesFailed, 2)
    assert list(quoted.event.quotes) == ["cheapest_option", "fastest_option", "all_options"]
    assert {record.event.error for record in failed} == {
        "'nowhere' is not a US ZIP code",
        "Invalid field: pickup_requested must be true or false",
    }


async def test_a_session_nobody_uses_expires_after_its_hour_and_its_actor_is_gone(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, WatchedCarrier()) as system:
        await opened(system)
        [expired] = await recorded(store, SessionExpired, within=4 * 3600)
        assert trio.current_time() == pytest.approx(3600, abs=1)
        assert expired.event.at >= 1_735_862_400_000_000 + HOUR
        await wait_all_tasks_blocked()
        assert system.statistics().actors == 0
        assert system.statistics().events[SessionExpired] == 1


async def test_a_session_with_a_device_does_not_expire(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, WatchedCarrier()) as system:
        await opened(system, "1")
        await trio.sleep(3 * 3600)
        assert not [record for record in await store.read_stream(STREAM) if isinstance(record.event, SessionExpired)]


async def test_devices_of_a_run_that_is_over_are_gone_and_the_session_ends_in_time(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, WatchedCarrier()) as system:
        await opened(system, "1")
    async with running(store, WatchedCarrier()) as system:
        [left] = await recorded(store, DeviceLeft)
        assert left.event.reason == "server_restarted"
        await recorded(store, SessionExpired, within=4 * 3600)


async def test_transcriptions_are_somebody_elses() -> None:
    async def transcribe(*_: Any) -> None: ...

    perform: Perform = transcribe
    carrier = WatchedCarrier()
    without = session_performers(carrier, MemoryBlobs(), VirtualClock(), lambda: "b")
    together = session_performers(carrier, MemoryBlobs(), VirtualClock(), lambda: "b", transcribe=perform)
    assert Transcribe not in without
    assert together[Transcribe] is perform
