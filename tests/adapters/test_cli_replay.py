from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from adapters import cli
from core import call as c
from core import session as s
from core.channel import ChannelOpened, Publish, Published
from core.conversation import ClientJoined, ConversationOpened, InterimHeard, JoinClient, OpenConversation
from core.conversation import UpdateTranscript as HearSomething
from core.decider import CommandRejected
from core.identifiers import StreamName
from core.messages import Decision, Stamp
from eventstore.opening import open_sqlite

Run = Callable[..., tuple[int, str, str]]
BEGAN = 1_795_269_600_000_000
"""2026-11-21, 14:00 UTC."""
CLIP = s.Media("ab" * 32, 1500, "audio/wav")

CONVERSATION = [
    (OpenConversation(), (ConversationOpened("playful", "daily", "boats", "ada", "api"),)),
    (JoinClient("b.1"), (ClientJoined("b.1", 1),)),
    (HearSomething(interim="Ah"), (InterimHeard("Ah", 0.5),)),
    (HearSomething(interim="Ahoy"), (InterimHeard("Ahoy", 0.5),)),
]
SESSION = [
    (s.OpenSession("everybody", "streams", BEGAN), (s.SessionOpened("everybody", "streams", BEGAN, None),)),
    (s.JoinDevice("b.1", "everybody", "streams", BEGAN), (s.DeviceJoined("b.1", 1, BEGAN),)),
    (s.ReceiveMedia(s.MediaKind.AUDIO, CLIP, BEGAN), (s.MediaReceived(s.MediaKind.AUDIO, CLIP, BEGAN),)),
    (s.ReceiveMedia(s.MediaKind.AUDIO, CLIP, BEGAN), (s.MediaReceived(s.MediaKind.AUDIO, CLIP, BEGAN),)),
    (s.RequestTranscription(BEGAN), (s.TranscriptionRequested(1, (CLIP, CLIP), True, BEGAN),)),
    (s.SucceedTranscription(1, "ahoy"), (s.TranscriptionSucceeded(1, "ahoy"),)),
    (s.Chat("hello", BEGAN), (s.ChatSaid("hello", BEGAN),)),
]
CALL = [
    (c.ConnectSocket("b.1", BEGAN), (c.SocketConnected("b.1", BEGAN),)),
    (c.DescribeCall({}), (c.CallDescribed({"from": "+1"}), c.GreetingGiven("Hello!"))),
    (c.RequireResponse(1, ()), (c.ResponseRequired(1, False),)),
    (c.BeginResponse(1, "scripted"), (c.ResponseBegun(1, 1, "scripted"),)),
    (c.AddResponsePiece(1, 1, "We "), (c.ResponsePieceAdded(1, 1, 0, "We "),)),
    (c.AddResponsePiece(1, 1, "sail."), (c.ResponsePieceAdded(1, 1, 1, "sail."),)),
    (c.CompleteResponse(1, 1), (c.ResponseCompleted(1, "", "We sail.", end_call=True),)),
    (c.RequireResponse(0, ()), (CommandRejected("stale", "That is an older answer"),)),
]
CHANNEL = [
    (Publish("news", {}), (ChannelOpened("news"), Published("news", {"message": "W", "type": "response"}))),
    (Publish("news", {}), (Published("news", {"message": "We", "type": "response"}),)),
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a stream of each kind."""
    path = tmp_path_factory.mktemp("replay") / "log.db"
    trio.run(fill, path)
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path) -> Run:
    """The command as typed: exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *words, "--store", f"sqlite:///{log}"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


async def fill(path: Path) -> None:
    """Every command half a second after the one before; what comes of effects is caused by what began them."""
    streams: dict[str, Sequence[tuple[Any, tuple[Any, ...]]]] = {
        "conversation-ada": CONVERSATION,
        "session-two": SESSION,
        "call-one": CALL,
        "channel-news": CHANNEL,
    }
    async with open_sqlite(path) as store:
        for name, told in streams.items():
            version = 0
            for n, (command, events) in enumerate(told):
                cause = f"{name}@4" if isinstance(command, c.BeginResponse | c.AddResponsePiece) else None
                who = "system" if cause else "ada"
                stamp = Stamp(f"{name}.{0 if cause else n}", BEGAN + n * 500_000, None, cause, who, "b.1")
                if isinstance(command, c.RequireResponse) and command.response_id:
                    stamp = Stamp(f"{name}.0", stamp.time, None, None, who, "b.1")
                await store.append(StreamName(name), [Decision(stamp, command, events)], expected_version=version)
                version += len(events)


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        ("ada", ["opened: playful, daily, about boats", "device 1 joins, 1 listening", "hears “Ahoy…”  (2 versions)"]),
        ("session-two", ["audio, 3,000 bytes  (2 clips)", "#1 wants 2 clips", "#1 is written down: “ahoy”", "“hello”"]),
        ("call-one", ["device 1 is the call's socket", "“Hello!”  (greeting)", "wants answer 1",
                      "… We sail.  (2 pieces)", "“We sail.”  and ends the call", "refused (stale): That is an"]),
        ("channel-news", ["opened as news", "“We”  (response)"]),
    ],
)  # fmt: skip
def test_every_kind_of_stream_is_told_in_words(run: Run, stream: str, lines: list[str]) -> None:
    code, out, _ = run("replay", stream)
    assert code == 0
    for line in lines:
        assert line in out


def test_beside_what_happened_stands_what_it_changed(run: Run) -> None:
    lines = run("replay", "ada")[1].splitlines()
    (opened,) = (line for line in lines if "opened: playful" in line)
    assert "phase idle; personality playful" in opened
    (joined,) = (line for line in lines if "joins" in line)
    assert joined.rstrip().endswith("clients 0 → 1")


def test_as_json_the_story_is_an_object_for_each_event(run: Run) -> None:
    told = [json.loads(line) for line in run("replay", "ada", "--json")[1].splitlines()]
    assert [one["version"] for one in told] == [1, 2, 3, 4]
    assert (told[1]["what"], told[1]["changes"]) == ("device 1 joins, 1 listening", ["clients 0 → 1"])


@pytest.mark.parametrize(
    ("at", "version"), [("2", 2), ("+0.6s", 2), ("14:00:00.5", 2), ("2026-11-21T14:00:00.999Z", 2), ("+1h", 4)]
)
def test_the_state_at_a_moment_is_json(run: Run, at: str, version: int) -> None:
    assert json.loads(run("replay", "ada", "--at", at)[1])["version"] == version


def test_what_changed_between_two_moments_is_told_by_path(run: Run) -> None:
    code, out, _ = run("replay", "ada", "--diff", "1", "+1.5s")
    assert (code, out.splitlines()) == (
        0,
        [
            "conversation-ada  from version 1 (14:00:00.000) to version 4 (14:00:01.500)",
            'interim: null → "Ahoy"',
            'clients[0]: + "b.1"',
        ],
    )
    as_json = json.loads(run("replay", "ada", "--diff", "1", "4", "--json")[1])
    assert as_json["changes"] == [
        {"path": "interim", "old": None, "new": "Ahoy"},
        {"path": "clients[0]", "new": "b.1"},
    ]
    assert run("replay", "ada", "--diff", "2", "2")[1].splitlines()[1] == "nothing changed"


def test_frames_are_shown_with_whom_they_were_for(run: Run) -> None:
    lines = run("replay", "session-two", "--frames", "streams")[1].splitlines()
    told = [line.partition(" {")[0].split(maxsplit=2) for line in lines]
    alone = "→ b.1"
    assert told == [
        ["2", "14:00:00.500", alone], ["3", "14:00:01.000", alone], ["4", "14:00:01.500", alone],
        ["6", "14:00:02.500", "→ all"], ["7", "14:00:03.000", "→ all"],
    ]  # fmt: skip


def test_frames_as_json_are_an_object_each(run: Run) -> None:
    told = [json.loads(line) for line in run("replay", "call-one", "--frames", "retell", "--json")[1].splitlines()]
    assert [(one["version"], one["to"]) for one in told] == [
        (1, "origin"), (3, "everyone"), (6, "everyone"), (7, "everyone"), (8, "everyone"),
    ]  # fmt: skip
    assert json.loads(told[-1]["frame"])["end_call"] is True


def test_of_a_client_that_came_back_what_it_had_missed_is_told_too(run: Run) -> None:
    all_of_it = run("replay", "ada", "--frames", "conversations", "--client", "b.1", "--raw")[1].splitlines()
    back = run("replay", "ada", "--frames", "conversations", "--client", "b.1", "--since", "2", "--raw")[1].splitlines()
    assert [json.loads(frame)["type"] for frame in all_of_it] == [
        "state_update", "connection_status", "transcript_update", "transcript_update",
    ]  # fmt: skip
    assert back == all_of_it[1:], "its greeting had the time of its coming back, which is in no log"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ("replay", "ada", "--frames", "morse"),
            "write one of channels, console, conversations",
        ),
        (("replay", "session-two", "--frames", "shipping"), "ask for --frames streams"),
        (("replay", "call-one", "--frames", "conversations"), "is not spoken in a call"),
        (("replay", "ada", "--frames", "retell"), "no client of the dialect retell was sent anything of this"),
        (("replay", "ada", "--frames", "conversations", "--client", "b.9"), "no client b.9 joined"),
        (("replay", "ada", "--diff", "1", "9"), "has 4 events, so there is no version 9"),
        (("replay", "ada", "--raw"), "go with --frames DIALECT"),
        (("replay", "ada", "--at", "1", "--diff", "1", "2"), "one of --at, --diff and --frames at a time"),
        (("why", "ada"), "names no event"),
        (("why", "ada@9"), "the log has no event conversation-ada@9"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(run: Run, words: tuple[str, ...], reason: str) -> None:
    code, out, err = run(*words)
    assert (code in (1, 2), out, len(err.splitlines())) == (True, "", 1)
    assert reason in err


def test_why_tells_the_command_from_outside_and_all_it_led_to(run: Run) -> None:
    code, out, _ = run("why", "call-one@6")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("call.require_response  call-one@4  14:00:01.000 · ada via b.1")
    assert "▶ 6 call.response_piece_added  … We" in out
    whole = run("why", "call-one@4")[1]
    assert "call.add_response_piece ×2  @6–7  +1,000 ms · system via b.1" in whole
    assert json.loads(run("why", "call-one@6", "--json")[1])["correlation_id"] == "call-one.0"
