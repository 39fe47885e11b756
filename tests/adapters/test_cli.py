from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import trio

from adapters import cli
from adapters.config import SETTINGS
from core.conversation import (
    ConversationOpened,
    InterimHeard,
    MessageSaid,
    OpenConversation,
    ReplyBegun,
    ReplyPieceAdded,
    Role,
    Say,
    UpdateTranscript,
)
from core.identifiers import StreamName
from core.messages import Decision, Stamp
from eventstore.opening import open_sqlite

STREAM = StreamName("conversation-ada")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A log with one short conversation in it."""

    async def fill() -> None:
        async with open_sqlite(tmp_path / "log.db") as store:
            opened = ConversationOpened("playful", "daily", "boats", "ada", "api")
            said = MessageSaid("m1", Role.USER, "Ahoy!", reply_id="r1")
            pieces = tuple(ReplyPieceAdded("r1", 1, n, text) for n, text in enumerate(("Ahoy", " yourself")))
            told = [
                (OpenConversation(), (opened,)),
                (UpdateTranscript(interim="Ah"), (InterimHeard("Ah"),)),
                (Say("m1", "r1", "Ahoy!"), (said, ReplyBegun("r1", 1, "offline-partner"), *pieces)),
            ]
            decisions = [Decision(Stamp(f"c{n}", 1_700_000_000_000_000 + n), *each) for n, each in enumerate(told)]
            await store.append(STREAM, decisions, expected_version=0)

    trio.run(fill)
    return f"sqlite:///{tmp_path / 'log.db'}"


def test_replay_tells_the_stream_as_a_timeline(run: Run, store: str) -> None:
    code, out, _ = run("replay", "conversation-ada", "--store", store)
    assert code == 0
    assert "playful, daily, about boats" in out
    assert "“Ahoy!”" in out
    assert "… Ahoy yourself  (2 pieces)" in out


def test_an_id_alone_means_a_conversation(run: Run, store: str) -> None:
    assert run("replay", "ada", "--store", store) == run("replay", "conversation-ada", "--store", store)


def test_replay_at_a_version_is_the_state_folded_so_far_as_json(run: Run, store: str) -> None:
    code, out, _ = run("replay", "ada", "--at", "2", "--store", store)
    assert code == 0
    shown = json.loads(out)
    assert shown["version"] == 2
    assert shown["state"]["interim"] == "Ah"
    assert shown["state"]["message_count"] == 0


def test_log_show_as_json_is_one_object_a_line(run: Run, store: str) -> None:
    code, out, _ = run("log", "show", "ada", "--json", "--store", store)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["version"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[0]["event"] == "conversation.opened/1"
    assert lines[0]["payload"]["topic"] == "boats"
    assert lines[2]["correlation_id"] == "c2"


def test_log_tail_shows_the_newest(run: Run, store: str) -> None:
    code, out, _ = run("log", "tail", "--last", "2", "--store", store)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["5", "6"]


def test_markup_in_what_people_say_is_shown_as_they_said_it(run: Run, tmp_path: Path) -> None:
    async def fill() -> None:
        async with open_sqlite(tmp_path / "log.db") as store:
            events = (ConversationOpened("x", "y", "[bold]boats[/bold]", None, "api"), InterimHeard("[red]no[/]"))
            await store.append(STREAM, [Decision(Stamp("c", 1), OpenConversation(), events)], expected_version=0)

    trio.run(fill)
    store = f"sqlite:///{tmp_path / 'log.db'}"
    assert "[bold]boats[/bold]" in run("replay", "ada", "--store", store)[1]
    assert "[red]no[/]" in run("log", "tail", "--store", store)[1]


def test_verify_says_that_the_chain_holds(run: Run, store: str) -> None:
    code, out, _ = run("verify", "--store", store)
    assert code == 0
    assert "The chain holds: 6 events" in out


def test_verify_names_the_first_event_that_was_altered(run: Run, store: str) -> None:
    log = sqlite3.connect(store.removeprefix("sqlite:///"))
    log.execute("DROP TRIGGER only_archived")
    log.execute("UPDATE stored_events SET state = replace(state, 'Ahoy!', 'Help!') WHERE rowid = 3")
    log.commit()
    log.close()
    code, out, _ = run("verify", "--store", store)
    assert code == 1
    assert "conversation-ada@3" in out


def test_verify_finds_an_event_put_in_where_no_event_can_be(run: Run, store: str) -> None:
    log = sqlite3.connect(store.removeprefix("sqlite:///"))
    log.execute("PRAGMA ignore_check_constraints = ON")
    log.execute(
        "INSERT INTO stored_events SELECT -7, originator_id, 7, topic, state, recorded_at, correlation_id, "
        "causation_id, command_id, principal, origin, command, hash FROM stored_events LIMIT 1"
    )
    log.commit()
    log.close()
    code, out, _ = run("verify", "--store", store)
    assert code == 1
    assert "position -7" in out


def test_verify_with_a_head_noted_earlier_tells_that_the_end_was_cut_off(run: Run, store: str) -> None:
    head = run("verify", "--store", store)[1].split()[-1]
    assert run("verify", "--store", store, "--head", head)[0] == 0
    log = sqlite3.connect(store.removeprefix("sqlite:///"))
    log.execute("DROP TRIGGER no_delete")
    log.execute("DELETE FROM stored_events WHERE rowid = 6")
    log.commit()
    log.close()
    assert run("verify", "--store", store)[0] == 0, "a chain alone cannot know"
    code, out, _ = run("verify", "--store", store, "--head", head)
    assert code == 1
    assert "cut off" in out


@pytest.mark.parametrize("head", ["", " ", "…", "e", "58b63a…", "0123456789a", "0123456789abcdefg", "0" * 65])
def test_a_head_that_any_log_could_come_through_is_refused(run: Run, store: str, head: str) -> None:
    code, out, err = run("verify", "--store", store, "--head", head)
    assert code == 1
    assert not out
    assert err.startswith("callboard: --head: ")
    assert "write 12 hex digits or more" in err
    assert len(err.splitlines()) == 1


def test_a_head_may_be_noted_in_capitals_and_with_what_stands_around_it(run: Run, store: str) -> None:
    head = run("verify", "--store", store)[1].split()[-1]
    assert run("verify", "--store", store, "--head", f" {head[:12].upper()}... ")[0] == 0


def test_what_a_terminal_would_obey_is_not_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    async def fill() -> None:
        async with open_sqlite(tmp_path / "log.db") as store:
            events = (ConversationOpened("x", "y", None, None, "api"), InterimHeard("a\x1b[31mb\x9bc"))
            await store.append(STREAM, [Decision(Stamp("c", 10**18), OpenConversation(), events)], expected_version=0)

    trio.run(fill)
    for command in (("replay", "ada"), ("log", "show", "ada")):
        code, out, _ = run(*command, "--store", f"sqlite:///{tmp_path / 'log.db'}")
        assert code == 0, "and a time no calendar has is no fault"
        assert not {"\x1b", "\x9b"} & set(out)


NO_MOMENT = (
    "Invalid value for '--at': 'y' is no moment; "
    "write a version (12), a time (2026-11-21T14:03:07, 14:03:07) or seconds after the begin (+2.5s)"
)
ROLES = "'client', 'operator', 'auditor'"


@pytest.mark.parametrize(
    ("typed", "reason", "command"),
    [
        ("bogus", "No such command 'bogus'", "callboard"),
        ("log bogus", "No such command 'bogus'", "callboard log"),
        ("serve --bogus", "No such option: --bogus (Possible options: --host)", "callboard serve"),
        ("serve --bind", "Option '--bind' requires an argument", "callboard serve"),
        ("replay", "Missing argument 'stream'", "callboard replay"),
        ("replay x --at y", NO_MOMENT, "callboard replay"),
        ("demo --pace x", "Invalid value for '--pace': write a valid number", "callboard demo"),
        (
            "log tail --last -3",
            "Invalid value for '--last' / '-n': write a number greater than or equal to 0",
            "callboard log tail",
        ),
        ("user add x --role y", f"Invalid value for '--role': 'y' is not one of {ROLES}", "callboard user add"),
    ],
)
def test_a_command_that_cannot_be_understood_is_one_line_and_the_help_to_look_into(
    run: Run, typed: str, reason: str, command: str
) -> None:
    assert run(*typed.split()) == (2, "", f"callboard: {reason}. See `{command} --help`.\n")


def test_the_version_can_be_asked_for(run: Run) -> None:
    assert run("--version") == (0, f"callboard {version('callboard')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("replay", "nobody"), "the log has no stream conversation-nobody"),
        (("replay", "ada", "--at", "99"), "has 6 events, so there is no version 99"),
        (("replay", "conversation-"), "an id has 1 to 128 visible characters"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(run: Run, store: str, arguments: tuple[str, ...], reason: str) -> None:
    code, _, err = run(*arguments, "--store", store)
    assert code == 1
    assert err.startswith("callboard: ")
    assert reason in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("sqlite:////nowhere/at/all.db", "there is no log at /nowhere/at/all.db"),
        ("memory:", "a log in memory cannot be read from outside"),
        ("mysql://x", "not a store"),
    ],
)
def test_a_store_that_cannot_be_read_is_one_line_with_the_remedy(run: Run, store: str, reason: str) -> None:
    code, _, err = run("verify", "--store", store)
    assert code == 1
    assert reason in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_no_log_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at as if it were one")
    code, _, err = run("verify", "--store", f"sqlite:///{tmp_path / 'notes.txt'}")
    assert code == 1
    assert "notes.txt" in err
    assert len(err.splitlines()) == 1


def test_every_bad_setting_of_serve_is_named_at_once(run: Run) -> None:
    code, _, err = run("serve", "--mailbox", "many", "--bind", "nowhere", "--store", "memory:")
    assert code == 1
    assert "--mailbox" in err
    assert "--bind" in err


PEM = f"-----BEGIN PUBLIC KEY-----\n{'s' * 64}\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("secret", [(), ("--jwt-secret", "s" * 31), ("--jwt-secret", PEM)])
def test_auth_without_a_secret_fit_for_it_is_refused(run: Run, secret: tuple[str, ...]) -> None:
    code, _, err = run("serve", "--auth", "jwt", *secret, "--store", "memory:", "--bind", "127.0.0.1:0")
    assert code == 1
    assert "JWT_SECRET" in err or "--jwt-secret" in err
    assert "openssl rand -hex 32" in err
    assert len(err.splitlines()) == 1
    assert "sss" not in err


def test_a_second_server_on_one_log_is_refused(run: Run, tmp_path: Path) -> None:
    async def hold() -> tuple[int, str, str]:
        async with open_sqlite(tmp_path / "log.db"):
            command = [sys.executable, "-m", "adapters.cli", "serve", "--bind", "127.0.0.1:0"]
            flags = ["--store", f"sqlite:///{tmp_path / 'log.db'}"]
            ended = await trio.run_process([*command, *flags], capture_stdout=True, capture_stderr=True, check=False)
            return ended.returncode, ended.stdout.decode(), ended.stderr.decode()

    code, _, err = trio.run(hold)
    assert code == 1
    assert "another process is serving" in err
    assert len(err.splitlines()) == 1


def test_an_address_in_use_is_one_line_with_the_remedy(run: Run) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run("serve", "--bind", f"127.0.0.1:{port}", "--store", "memory:")
    assert code == 1
    assert f"127.0.0.1:{port}" in err
    assert "--bind" in err
    assert len(err.splitlines()) == 1


def test_serve_help_lists_every_setting() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "adapters.cli", "serve", "--help"],
        capture_output=True, text=True, check=True, env={"COLUMNS": "200", "PATH": ""},
    )  # fmt: skip
    for setting in SETTINGS:
        assert setting.flag in ended.stdout
        assert setting.env in ended.stdout


def test_the_readme_lists_every_setting_with_its_default() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for setting in SETTINGS:
        default = f"`{setting.shown}`" if setting.default is not None else setting.shown
        assert f"| `{setting.env}` | {default} | {setting.help} |" in readme


@pytest.mark.parametrize(
    ("server", "reason"),
    [("http://127.0.0.1:9", "no Callboard answers at http://127.0.0.1:9"), ("nowhere", "is no server")],
)
def test_a_migration_without_a_server_is_one_line(run: Run, server: str, reason: str) -> None:
    code, _, err = run("migrate", "some-session", "--server", server)
    assert code == 1
    assert reason in err
    assert len(err.splitlines()) == 1
