"""/metrics as a Prometheus reads it: every promised family, with the numbers that were asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from actors.system import SystemStatistics
from adapters.metrics import CLOSE_CODES, DIALECTS, CallStatistics, Measured, exposition
from adapters.server.statistics import SocketStatistics, Tally
from core.session import DeviceLeft, SessionExpired
from eventstore.waiting import LATENCY_BOUNDS, WriterStatistics, WriterTally

CALM = Measured(
    SystemStatistics(
        actors=0,
        letters=0,
        deepest_mailbox=0,
        effects=0,
        restarts=0,
        topics=0,
        listeners=0,
        head=0,
        tail_lag=0,
        board_lag=0,
    ),
    WriterStatistics(),
    SocketStatistics(),
    epoch="e1",
    ready=True,
)
PROMISED = {
    "callboard_build_info": "gauge",
    "callboard_ready": "gauge",
    "callboard_connections": "gauge",
    "callboard_connections_closed": "counter",
    "callboard_frames_received": "counter",
    "callboard_frames_sent": "counter",
    "callboard_sent_bytes": "counter",
    "callboard_outlet_waiting_bytes": "gauge",
    "callboard_outlet_fullest_bytes": "gauge",
    "callboard_evictions": "counter",
    "callboard_rate_limited_frames": "counter",
    "callboard_auth_refusals": "counter",
    "callboard_actors": "gauge",
    "callboard_effects": "gauge",
    "callboard_mailbox_letters": "gauge",
    "callboard_mailbox_deepest_letters": "gauge",
    "callboard_busy_answers": "counter",
    "callboard_actor_restarts": "counter",
    "callboard_rejections": "counter",
    "callboard_audience_topics": "gauge",
    "callboard_audience_listeners": "gauge",
    "callboard_sessions_expired": "counter",
    "callboard_call_interactions": "counter",
    "callboard_call_sockets_ended": "counter",
    "callboard_call_sockets_seconds": "counter",
    "callboard_tail_lag_events": "gauge",
    "callboard_board_lag_events": "gauge",
    "callboard_log_position": "gauge",
    "callboard_log_writable": "gauge",
    "callboard_commit_batches": "counter",
    "callboard_commit_rows": "counter",
    "callboard_commit_largest_rows": "gauge",
    "callboard_commit_failures": "counter",
    "callboard_commit_rewrites": "counter",
    "callboard_commit_duration_seconds": "histogram",
    "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_cpu_seconds": "counter",
    "python_gc_collections": "counter",
}
"""Families by name, with their type."""


def families(measured: Measured) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(exposition(measured).decode())}


def samples(measured: Measured) -> dict[tuple[str, ...], float]:
    """Values by the sample's name and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(measured).values()
        for sample in family.samples
    }


def test_every_promised_family_is_there_with_its_type_and_a_help_also_while_nothing_happens() -> None:
    found = families(CALM)
    assert {name: found[name].type for name in PROMISED} == PROMISED
    assert [name for name in PROMISED if not found[name].documentation] == []
    assert [name for name in found if name.startswith("callboard_") and name not in PROMISED] == []


def test_the_text_ends_with_a_newline_and_names_each_family_once() -> None:
    text = exposition(CALM).decode()
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert text.endswith("\n")
    assert len(types) == len(set(types))


def test_the_numbers_are_those_of_the_system() -> None:
    system = SystemStatistics(
        actors=1, letters=2, deepest_mailbox=3, effects=4, restarts=5, listeners=6, head=7, tail_lag=8, board_lag=9,
        topics=10, busy=11, rejections={"too_long": 12, "poisoned": 13},
    )  # fmt: skip
    found = samples(replace(CALM, system=system, ready=False))
    names = (
        "actors", "mailbox_letters", "mailbox_deepest_letters", "effects", "actor_restarts_total", "audience_listeners",
        "log_position", "tail_lag_events", "board_lag_events", "audience_topics", "busy_answers_total",
    )  # fmt: skip
    assert [found[f"callboard_{name}",] for name in names] == list(range(1, 12))
    assert found["callboard_rejections_total", "too_long"] == 12
    assert found["callboard_rejections_total", "poisoned"] == 13
    assert found["callboard_ready",] == 0


def test_expired_sessions_are_counted() -> None:
    events = {DeviceLeft: 5, SessionExpired: 3}
    found = samples(replace(CALM, system=replace(CALM.system, events=events)))
    assert found["callboard_sessions_expired_total",] == 3


def test_the_numbers_are_those_of_the_calls() -> None:
    found = samples(replace(CALM, calls=CallStatistics({"update_only": 4}, 2, 3.5)))
    assert found["callboard_call_interactions_total", "update_only"] == 4
    assert found["callboard_call_interactions_total", "unknown"] == 0
    assert (found["callboard_call_sockets_ended_total",], found["callboard_call_sockets_seconds_total",]) == (2, 3.5)


def test_the_numbers_are_those_of_the_sockets() -> None:
    tally = Tally(lambda: (5000, 4000))
    tally.open["conversations"] += 3
    tally.closed[1012] += 2
    tally.turned_away["Missing authentication token"] += 4
    tally.frames_in, tally.frames_out, tally.bytes_out, tally.evicted, tally.throttled = 1, 2, 3, 4, 5
    found = samples(replace(CALM, sockets=tally.statistics()))
    assert found["callboard_connections", "conversations"] == 3
    assert found["callboard_connections", "retell"] == 0
    assert found["callboard_connections_closed_total", "1012"] == 2
    assert found["callboard_auth_refusals_total", "Missing authentication token"] == 4
    counters = ("frames_received", "frames_sent", "sent_bytes", "evictions", "rate_limited_frames")
    assert [found[f"callboard_{name}_total",] for name in counters] == [1, 2, 3, 4, 5]
    assert found["callboard_outlet_waiting_bytes",] == 5000
    assert found["callboard_outlet_fullest_bytes",] == 4000


def test_the_numbers_are_those_of_the_writer() -> None:
    writer = WriterStatistics(batches=1, rows=2, largest=3, rewritten=4, failed=5, in_doubt=True)
    found = samples(replace(CALM, writer=writer))
    names = ("batches_total", "rows_total", "largest_rows", "rewrites_total", "failures_total")
    assert [found[f"callboard_commit_{name}",] for name in names] == [1, 2, 3, 4, 5]
    assert found["callboard_log_writable",] == 0


@given(st.lists(st.floats(0, 10), max_size=50))
def test_each_bucket_counts_the_commits_that_took_no_longer(taken: list[float]) -> None:
    tally = WriterTally()
    for seconds in taken:
        tally.committed(1, seconds)
    found = samples(replace(CALM, writer=tally.statistics()))
    for bound in (*LATENCY_BOUNDS, math.inf):
        label = "+Inf" if bound == math.inf else str(bound)
        assert found["callboard_commit_duration_seconds_bucket", label] == sum(it <= bound for it in taken)
    assert found["callboard_commit_duration_seconds_count",] == len(taken)
    assert found["callboard_commit_duration_seconds_sum",] == pytest.approx(sum(taken))


def test_close_codes_clients_make_up_share_one_series() -> None:
    closed = dict.fromkeys(range(3000, 5000), 1)
    found = samples(replace(CALM, sockets=SocketStatistics(closed=closed)))
    series = [key for key in found if key[0] == "callboard_connections_closed_total"]
    assert len(series) == len(CLOSE_CODES) + 1
    assert found["callboard_connections_closed_total", "other"] == 2000 - len(CLOSE_CODES & closed.keys())


@given(st.text(), st.text())
def test_no_label_breaks_the_text(dialect: str, reason: str) -> None:
    sockets = SocketStatistics(open={dialect: 2}, turned_away={reason: 3})
    assert families(replace(CALM, sockets=sockets))["callboard_auth_refusals"].samples[0].value == 3


def test_each_dialect_is_shown_from_the_start() -> None:
    shown = {sample.labels["dialect"] for sample in families(CALM)["callboard_connections"].samples}
    assert shown == set(DIALECTS)


def test_what_is_running_can_be_read() -> None:
    (sample,) = families(CALM)["callboard_build_info"].samples
    assert sample.labels.keys() == {"version", "python", "epoch"}
    assert sample.labels["epoch"] == "e1"


def test_nothing_is_put_into_the_registry_of_the_process() -> None:
    before = {family.name for family in REGISTRY.collect()}
    exposition(CALM)
    assert {family.name for family in REGISTRY.collect()} == before
    assert not any(name.startswith("callboard") for name in before)


def test_statistics_of_sockets_are_values_that_do_not_change() -> None:
    tally = Tally()
    before = tally.statistics()
    tally.open["channels"] += 1
    tally.closed[1000] += 1
    assert before == SocketStatistics()
    assert tally.statistics() != before
