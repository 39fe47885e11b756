"""What the log of a release tells that its clients were sent; kept beside it, and told the same by every later version.

The file has a line for each frame: `stream version to frame`. A new release's log gets its own by
`python -m tests.adapters.test_replaying LOG.db.gz`, and nobody ever changes one.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from adapters.opening import DECIDERS, open_history
from adapters.replaying import FORKED, Audience, Client, Ended, Sent, forked_at, spoken
from adapters.setting_values import StoreAddress, Unusable
from core.conversation import ClientJoined, ConversationForked, ConversationOpened, FinalHeard
from core.dialect import Close, Reach
from core.identifiers import StreamName
from core.messages import Recorded, Stamp
from tests.golden import GOLDEN, unpacked

DIALECTS = ("channels", "conversations", "retell", "shipping", "streams")


def frames_of(log: Path, folder: Path) -> str:
    """All frames of a kept log, in the dialects that were spoken on its streams."""
    return "".join(f"{line}\n" for line in trio.run(lines_of, unpacked(log, folder)))


async def lines_of(log: Path) -> list[str]:
    async with open_history(StoreAddress(log)) as store:
        records = await store.read_all(limit=100_000)
        epoch = store.epoch
    streams = sorted({record.stream for record in records})
    return [line for stream in streams for dialect in DIALECTS for line in lines(records, stream, dialect, epoch)]


def lines(records: list[Recorded], stream: StreamName, dialect: str, epoch: str) -> Iterator[str]:
    if stream.category not in DECIDERS:
        return
    audience = Audience(stream, DECIDERS[stream.category], spoken(dialect, {}), epoch)
    try:
        for record in records:
            for shown in audience.take(record):
                yield f"{stream} {record.version} {told(shown)}"
    except Unusable:  # the dialect was not spoken there
        return


def told(shown: Sent | Ended) -> str:
    match shown:
        case Sent(body=body, to=to):
            return f"{to.value} {body.decode()}"
        case Ended(close=Close(code, reason, to)):
            return f"{to.value} closed {code} {reason}"


@pytest.mark.parametrize("log", GOLDEN, ids=lambda path: path.name)
def test_what_clients_of_a_release_were_sent_is_told_by_every_later_one(log: Path, tmp_path: Path) -> None:
    kept = log.with_name(log.name.replace(".db.gz", ".frames.gz"))
    assert frames_of(log, tmp_path) == gzip.decompress(kept.read_bytes()).decode()


@pytest.mark.parametrize("log", GOLDEN, ids=lambda path: path.name)
def test_a_kept_log_has_frames_of_every_dialect(log: Path) -> None:
    frames = gzip.decompress(log.with_name(log.name.replace(".db.gz", ".frames.gz")).read_bytes()).decode()
    for sign in (
        '"conversation_id"',
        '"weather-update"',
        '"client_tool_result"',
        '"audio_received"',
        '"response_type"',
    ):
        assert sign in frames


def test_of_a_fork_nobody_was_sent_what_is_a_copy() -> None:
    stream = StreamName("conversation-fork")
    events = [
        ConversationOpened("playful", "daily", None, None, "api"), ClientJoined("b.1", 1), FinalHeard("hello"),
        ConversationForked("conversation-source", 3), ClientJoined("b.2", 1), FinalHeard("again"),
    ]  # fmt: skip
    records = [
        Recorded(n, stream, n, event, Stamp("c", n, origin=getattr(event, "connection_id", "")))
        for n, event in enumerate(events, start=1)
    ]
    assert forked_at(records) == 4
    assert isinstance(records[3].event, FORKED)
    audience = Audience(stream, DECIDERS[stream.category], spoken("conversations", {}), "e")
    client, heard = Client("b.1", stream), list[int]()
    for record in records:
        heard += [record.version for shown in audience.take(record) if client.hears(shown)]
        client.note(record)
    assert heard == [2, 2, 3], "the source's device is none of the fork's"


def test_of_a_replaced_socket_of_a_call_nothing_is_told_any_more() -> None:
    shown = Ended(
        Recorded(1, StreamName("call-1"), 1, None, Stamp("c", 1, origin="b.2")), Close(4409, "", Reach.OTHERS)
    )
    assert (shown.is_for("b.1"), shown.is_for("b.2")) == (True, False)


if __name__ == "__main__":
    import tempfile

    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            text = frames_of(Path(name), Path(folder))
        Path(name.replace(".db.gz", ".frames.gz")).write_bytes(gzip.compress(text.encode(), mtime=0))
