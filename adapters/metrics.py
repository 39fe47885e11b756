"""The server's numbers in Prometheus' text format, made of values that were asked for: nothing here counts."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate

from msgspec import Struct
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from actors.system import SystemStatistics
from adapters.protocols.retell.requests import KINDS, UNKNOWN
from adapters.server.statistics import SocketStatistics
from core.session import SessionExpired
from eventstore.waiting import LATENCY_BOUNDS, WriterStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
VERSION = version("callboard")
CLOSE_CODES = frozenset({1000, 1001, 1002, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4008, 4009, 4401})
"""Those with a series of their own. A client may close with any of thousands, and must not make as many series."""
DIALECTS = ("conversations", "channels", "shipping", "streams", "retell")
"""Those whose connections are shown also while there are none."""
INTERACTIONS = (*KINDS, UNKNOWN)
"""Types of a voice platform's frames, shown also while there are none."""


class CallStatistics(Struct, frozen=True):
    """Of voice calls since the start: frames by their type, the sockets that have gone, and how long all were open."""

    interactions: Mapping[str, int] = {}
    sockets: int = 0
    seconds: float = 0.0


class Measured(Struct, frozen=True):
    """Everything /metrics shows, as it was at one moment."""

    system: SystemStatistics
    writer: WriterStatistics
    sockets: SocketStatistics
    epoch: str
    ready: bool
    calls: CallStatistics = CallStatistics()


def exposition(measured: Measured) -> bytes:
    """The text of /metrics. It reads files of the process: call it in a thread, beside the event loop."""
    registry = CollectorRegistry()
    registry.register(Families(measured))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


class Families(Collector):
    """The metrics of what was measured. Their names are an interface: dashboards and alarms are made of them."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        measured = self._measured
        yield from _server(measured)
        yield from _sockets(measured.sockets)
        yield from _actors(measured.system)
        yield from _calls(measured.calls)
        yield from _log(measured.system, measured.writer)


def _server(measured: Measured) -> Iterator[Metric]:
    build = {"version": VERSION, "python": platform.python_version(), "epoch": measured.epoch}
    yield InfoMetricFamily("callboard_build", "What is running, and the identity of its log.", build)
    yield _gauge("ready", "1 when /ready says so, else 0.", measured.ready)


def _sockets(sockets: SocketStatistics) -> Iterator[Metric]:
    opened = {**dict.fromkeys(DIALECTS, 0), **sockets.open}
    yield _by("dialect", GaugeMetricFamily, "connections", "WebSockets open.", opened)
    yield _by(
        "code",
        CounterMetricFamily,
        "connections_closed",
        "WebSockets that ended, by close code.",
        _known(sockets.closed),
    )
    yield _counter("frames_received", "Messages received from clients.", sockets.frames_in)
    yield _counter("frames_sent", "Messages written to clients' outlets.", sockets.frames_out)
    yield _counter("sent_bytes", "Bytes handed to the network for clients.", sockets.bytes_out)
    yield _gauge(
        "outlet_waiting_bytes", "Bytes that wait for clients to read them, all outlets.", sockets.outlet_waiting
    )
    yield _gauge("outlet_fullest_bytes", "Bytes that wait in the fullest outlet.", sockets.outlet_fullest)
    yield _counter("evictions", "Clients closed for reading too slowly or for their silence.", sockets.evicted)
    yield _counter("rate_limited_frames", "Messages refused as their sender was over its rate.", sockets.throttled)
    yield _by(
        "reason", CounterMetricFamily, "auth_refusals", "Handshakes and requests without a valid token.",
        sockets.turned_away,
    )  # fmt: skip


def _actors(system: SystemStatistics) -> Iterator[Metric]:
    yield _gauge("actors", "Actors awake.", system.actors)
    yield _gauge("effects", "Effects under way.", system.effects)
    yield _gauge("mailbox_letters", "Commands that wait, all mailboxes.", system.letters)
    yield _gauge("mailbox_deepest_letters", "Commands that wait in the fullest mailbox.", system.deepest_mailbox)
    yield _counter("busy_answers", "Commands for which a mailbox had no room.", system.busy)
    yield _counter("actor_restarts", "Restarts of actors after a crash.", system.restarts)
    rejections = {"poisoned": 0, **system.rejections}
    yield _by("code", CounterMetricFamily, "rejections", "Commands refused, by code.", rejections)
    yield _gauge("audience_topics", "Streams that have listeners.", system.topics)
    yield _gauge("audience_listeners", "Listeners of all streams.", system.listeners)
    expired = system.events.get(SessionExpired, 0)
    yield _counter("sessions_expired", "Sessions that ended as nobody used them for too long.", expired)
    yield _gauge("tail_lag_events", "Events durable but not yet shown to audiences.", system.tail_lag)
    yield _gauge("board_lag_events", "Events durable but not yet on the board.", system.board_lag)


def _calls(calls: CallStatistics) -> Iterator[Metric]:
    interactions = {**dict.fromkeys(INTERACTIONS, 0), **calls.interactions}
    yield _by("type", CounterMetricFamily, "call_interactions", "Frames of voice platforms, by type.", interactions)
    yield _counter("call_sockets_ended", "Sockets of calls that have gone.", calls.sockets)
    yield _counter("call_sockets_seconds", "How long the sockets of calls that have gone were open.", calls.seconds)


def _log(system: SystemStatistics, writer: WriterStatistics) -> Iterator[Metric]:
    yield _gauge("log_position", "Position of the log's last event.", system.head)
    yield _gauge(
        "log_writable", "0 after a failed commit, until the log has been seen to work again.", not writer.in_doubt
    )
    yield _counter("commit_batches", "Transactions committed.", writer.batches)
    yield _counter("commit_rows", "Events committed.", writer.rows)
    yield _gauge("commit_largest_rows", "Events in the largest transaction.", writer.largest)
    yield _counter("commit_failures", "Batches that came to nothing through a fault.", writer.failed)
    yield _counter("commit_rewrites", "Batches that hit a conflict and were written again.", writer.rewritten)
    yield HistogramMetricFamily(
        "callboard_commit_duration_seconds",
        "Time from the writer's taking a batch until it is durable.",
        buckets=_buckets(writer.latency),
        sum_value=writer.seconds,
    )


def _buckets(counts: Iterable[int]) -> list[tuple[str, float]]:
    """Cumulated, as Prometheus wants them: how many took no longer than each bound."""
    bounds = [*map(str, LATENCY_BOUNDS), "+Inf"]
    return [(bound, float(count)) for bound, count in zip(bounds, accumulate(counts), strict=True)]


def _known(closed: Mapping[int, int]) -> dict[str, int]:
    """The count of each of CLOSE_CODES, and of all others together."""
    counts = {str(code): closed.get(code, 0) for code in sorted(CLOSE_CODES)}
    return {**counts, "other": sum(count for code, count in closed.items() if code not in CLOSE_CODES)}


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"callboard_{name}", help, value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(f"callboard_{name}", help, value)


def _by(
    label: str, family: type[GaugeMetricFamily | CounterMetricFamily], name: str, help: str, values: Mapping[str, int]
) -> Metric:
    metric = family(f"callboard_{name}", help, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric
