"""What a client got over its socket, against what a replay of the log says that it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.opening import DECIDERS
from adapters.replaying import JOINED, Audience, Client, Sent, WideAudience, spoken
from core.call import APOLOGY, ResponseCompleted
from core.decider import CommandRejected
from core.identifiers import StreamName
from core.messages import Recorded

OF_CHANNELS = {"subscribed", "unsubscribed", "error"}


@dataclass(frozen=True, slots=True)
class Log:
    """What a log holds; the commands by the correlations they were of."""

    records: Sequence[Recorded]
    commands: Mapping[str, Any]
    epoch: str

    def refused(self, stream: StreamName) -> dict[int, Any]:
        """The commands behind the stream's refusals."""
        return {
            record.version: self.commands[record.stamp.correlation_id]
            for record in self.records
            if record.stream == stream and isinstance(record.event, CommandRejected)
        }


def compare(log: Log, dialect: str, connection_id: str, query: Mapping[str, str], heard: Sequence[bytes]) -> None:
    """Raises AssertionError unless every frame the replay has came, byte for byte and in this order, and what else came
    is of the kinds that are in no log."""
    if dialect == "channels":
        compare_channels(log.records, connection_id, heard)
        return
    if dialect == "console":
        compare_console(log, heard)
        return
    awaited, others = list(replayed(log, dialect, connection_id, query)), list[bytes]()
    for frame in heard:
        if frame in awaited:
            skipped = awaited[: awaited.index(frame)]
            assert all(is_stale(missed, heard) for missed in skipped), f"{connection_id} did not get {skipped}"
            del awaited[: len(skipped) + 1]
        else:
            others.append(frame)
    assert all(is_stale(missed, heard) for missed in awaited), f"{connection_id} did not get {awaited}"
    unknown = [frame for frame in others if not is_in_no_log(dialect, json.loads(frame))]
    strange = [frame for frame in unknown if not is_given_again(log.records, json.loads(frame))]
    assert strange == [] or joined_stream(log.records, connection_id) is None, f"{connection_id} got {strange}"


def replayed(log: Log, dialect: str, connection_id: str, query: Mapping[str, str]) -> Iterator[bytes]:
    """What the log tells of this client, who need not have joined anything."""
    stream = joined_stream(log.records, connection_id)
    if stream is None:
        return
    since = int(query["since"]) if query.get("epoch") == log.epoch and query.get("since", "").isdigit() else None
    audience = Audience(stream, DECIDERS[stream.category], spoken(dialect, query), log.epoch, log.refused(stream))
    client = Client(connection_id, stream, since, [record for record in log.records if record.stream == stream])
    for record in log.records:
        for shown in audience.take(record):
            if client.hears(shown) and isinstance(shown, Sent):
                yield shown.body
        client.note(record)


def is_stale(frame: bytes, heard: Sequence[bytes]) -> bool:
    """Of retell alone: an answer that came to be recorded while the platform asked for another is held back, and with
    it the tools it wanted."""
    shown = json.loads(frame)
    number = -1 if str(shown.get("response_type")).startswith("tool_call") else shown.get("response_id")
    asked = [json.loads(other).get("response_id", -1) for other in heard]
    return number is not None and number <= max(asked, default=-1)


def joined_stream(records: Sequence[Recorded], connection_id: str) -> StreamName | None:
    joins = (record for record in records if isinstance(record.event, JOINED))
    return next((record.stream for record in joins if record.event.connection_id == connection_id), None)


def is_in_no_log(dialect: str, frame: Mapping[str, Any]) -> bool:
    """Whether it was for this connection alone, of what left no event or was told before."""
    if dialect == "retell":
        return frame["response_type"] == "ping_pong" or frame.get("content") == APOLOGY
    return "seq" not in frame or "epoch" in frame or "repeated" in frame


def is_given_again(records: Sequence[Recorded], frame: Mapping[str, Any]) -> bool:
    """Whether it is an answer of a call in one piece, for a socket that came too late to hear it."""
    answers = (record.event for record in records if isinstance(record.event, ResponseCompleted))
    said = frame.get("response_id"), frame.get("content")
    return frame.get("content_complete") is True and said in {(answer.response_id, answer.text) for answer in answers}


def compare_channels(records: Sequence[Recorded], connection_id: str, heard: Sequence[bytes]) -> None:
    """A subscription is in no log. Between two receipts for a channel a client heard what was published there in a row,
    by all others, or by itself as well where it came back for that."""
    since_receipt: dict[str, list[bytes]] = {}
    for frame in heard:
        said = json.loads(frame)
        if said["type"] in OF_CHANNELS:
            channel = str(said["payload"].get("channel"))
            compare_row(records, connection_id, channel, since_receipt.pop(channel, []))
        else:
            since_receipt.setdefault(said["type"], []).append(frame)
    for channel, row in since_receipt.items():
        compare_row(records, connection_id, channel, row)


def compare_row(records: Sequence[Recorded], connection_id: str, channel: str, row: Sequence[bytes]) -> None:
    topics = [f"channel:{channel}", f"channel+position:{channel}"]
    told = [list(replayed_topic(records, topic)) for topic in topics]
    others = [[sent for sent in all_sent if sent.is_for(connection_id)] for all_sent in told]
    assert any(is_row_of(row, [sent.body for sent in sents]) for sents in (*told, *others)), f"on {channel}: {row}"


def replayed_topic(records: Sequence[Recorded], topic: str, dialect: str = "channels") -> Iterator[Sent]:
    wide = WideAudience(topic, spoken(dialect, {}))
    for record in records:
        yield from (shown for shown in wide.take(record) if isinstance(shown, Sent))


def is_row_of(row: Sequence[bytes], all_of_them: Sequence[bytes]) -> bool:
    """Whether it is in there, whole."""
    size = len(row)
    return any(list(row) == list(all_of_them[at : at + size]) for at in range(len(all_of_them) - size + 1))


def compare_console(log: Log, heard: Sequence[bytes]) -> None:
    """Whatever it was shown of a record, live or from the past, is what a replay of the record's stream tells."""
    told = {sent.body for sent in replayed_topic(log.records, "log", "console")}
    for stream in {record.stream for record in log.records}:
        audience = Audience(stream, DECIDERS[stream.category], spoken("console", {}), log.epoch)
        told |= {sent.body for record in log.records for sent in audience.take(record) if isinstance(sent, Sent)}
    shown = [frame for frame in heard if json.loads(frame)["type"] in ("event", "record")]
    assert [frame for frame in shown if frame not in told] == []
