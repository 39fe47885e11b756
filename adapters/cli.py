"""The command line: `callboard serve`, `ask`, `demo`, `log tail|show`, `replay`, `verify`, `user add`, `reference`.

Whatever goes wrong is one line on stderr, the reason and the remedy, and an exit code that is not 0.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import structlog
import trio
import typer
from rich.console import Console
from typer.exceptions import TyperException

from adapters import history, logs
from adapters.cli_archive import archive
from adapters.cli_ask import NotAsked, ask
from adapters.cli_audit import audit_app
from adapters.cli_check import check
from adapters.cli_export import export
from adapters.cli_forget import forget
from adapters.cli_fork import compare, fork
from adapters.cli_keeping import backup, restore
from adapters.cli_keys import keys_app
from adapters.cli_options import DEFAULT_STORE, WIDTH, AsJSON, Store, Stream, address, out
from adapters.cli_proof import proof_app, verify
from adapters.cli_reference import reference_app
from adapters.cli_replay import replay
from adapters.cli_seen import seen
from adapters.cli_users import user_app
from adapters.cli_why import why
from adapters.config import SETTINGS, BadSetting, LogFormat, Setting, from_environment
from adapters.demo import DemoFailed
from adapters.migration import NotMigrated, migrate_at
from adapters.server.groups import sole
from adapters.setting_values import Unusable
from core.identifiers import MalformedStreamName
from core.ports import StoreUnavailable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Event-sourced actor server for live conversations.",
)
log_app = typer.Typer(no_args_is_help=True, help="Look into the log.")
app.add_typer(log_app, name="log")
app.add_typer(user_app, name="user")
app.add_typer(keys_app, name="keys")
app.add_typer(proof_app, name="proof")
app.add_typer(reference_app, name="reference")
app.add_typer(audit_app, name="audit")
audit_app.command("export")(export)

log = structlog.get_logger("callboard")


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows another
    try:
        sys.exit(app(standalone_mode=False, prog_name="callboard"))
    except BaseException as error:  # noqa: BLE001  # what is no user's fault is raised again
        sys.exit(_exit_code(sole(error)))


def _exit_code(error: BaseException) -> int | str | None:
    """What to exit with, once the user is told. Raises `error` where it is a bug of ours."""
    match error:
        case SystemExit():
            return error.code
        case KeyboardInterrupt() | typer.Abort():
            return 130
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the last flush finds an open file
            return 141
        case TyperException() if error.format_message().lstrip().startswith("Usage:") or not error.format_message():
            print(error.format_message())
            return 2
        case TyperException():
            print(f"callboard: {usage_complaint(error)}", file=sys.stderr)
            return 2
        case Exception() if (lines := complaints(error)) is not None:
            for line in lines:
                print(f"callboard: {line}", file=sys.stderr)
            return 1
        case _:
            raise error


_WORDING = (
    (re.compile(r"Input should be (a valid (?:integer|number)), unable to parse string as an? \w+"), r"write \1"),
    (re.compile(r"Input should be (.+)"), r"write a number \1"),
    (re.compile(r"Value error, "), ""),
)
"""What the libraries say of a value, and what we say."""


def usage_complaint(error: TyperException) -> str:
    """What is wrong with a command as it was typed, and whose help tells how to type it."""
    said = error.format_message().strip().rstrip(".")
    for pattern, wording in _WORDING:
        said = pattern.sub(wording, said)
    return f"{said}. See `{' '.join(('callboard', *_command_typed(sys.argv[1:]), '--help'))}`."


def _command_typed(words: Sequence[str]) -> Iterator[str]:
    """The names of the command among the words: the error does not always know it."""
    command: Any = typer.main.get_command(app)
    for word in words:
        if (command := getattr(command, "commands", {}).get(word)) is None:
            return
        yield word


def complaints(error: BaseException) -> tuple[str, ...] | None:
    """What to tell the user of an error that is no bug of ours: reason and remedy; None for a bug."""
    match error:
        case BadSetting(complaints=found):
            return tuple(found)
        case StoreUnavailable() | MalformedStreamName() | history.NoSuchHistory() | Unusable():
            return (str(error),)
        case DemoFailed() | NotMigrated() | NotAsked():
            return (str(error),)
        case OSError():
            return (f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}",)
        case _:
            return None


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"callboard {version('callboard')}")
        raise typer.Exit


@app.callback()
def callboard(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version, and stop")
    ] = False,
) -> None:
    """Event-sourced actor server for live conversations."""


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return trio.run(work)


# --- serve ------------------------------------------------------------------------------------------------------


def serve(**flags: Any) -> None:
    """Run the server until it is told to stop (Ctrl-C, SIGTERM)."""
    binds = flags.pop("bind", None)
    texts = {**flags, "bind": ",".join(binds) if binds else None}
    settings = from_environment(os.environ, texts, on_terminal=sys.stderr.isatty())
    logs.configure(as_json=settings.log_format is LogFormat.JSON, debug=settings.log_messages)

    async def work() -> None:
        from adapters import bootstrap  # so that `--help` and the log's readers start quickly

        shutdown = trio.Event()
        async with trio.open_nursery() as signals:
            signals.start_soon(_set_on_signal, shutdown, settings.log_format)
            async with trio.open_nursery() as serving:
                for url in await serving.start(bootstrap.serve, settings, shutdown):
                    print(f"Callboard listens on {url}", flush=True)
                print(f"The log is {settings.store}", flush=True)
            signals.cancel_scope.cancel()
        log.info("stopped")

    run(work)


async def _set_on_signal(shutdown: trio.Event, log_format: LogFormat) -> None:
    """A signal asks the server to finish; Ctrl-C, pressed again, ends it at once."""
    said = "Callboard finishes what is under way and stops; Ctrl-C ends it at once"
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if log_format is LogFormat.JSON:
                log.info(said, signal=signal.Signals(number).name)
            else:
                print(said, file=sys.stderr)
            if shutdown.is_set() and number == signal.SIGINT:
                raise KeyboardInterrupt
            shutdown.set()


def _flag(setting: Setting) -> inspect.Parameter:
    several = setting.name == "bind"
    kind: Any = list[str] | None if several else str | None
    shown = f"{setting.help} [{setting.env}; default: {setting.shown}]"
    option = typer.Option(setting.flag, help=shown, show_default=False, metavar="TEXT")
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


serve.__signature__ = inspect.Signature([_flag(setting) for setting in SETTINGS])  # type: ignore[attr-defined]  # how typer reads its flags
serve.__annotations__ = {name: parameter.annotation for name, parameter in inspect.signature(serve).parameters.items()}
app.command()(serve)
app.command()(ask)


# --- looking back -----------------------------------------------------------------------------------------------


@log_app.command("tail")
def log_tail(
    store: Store = DEFAULT_STORE,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Events to begin with")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows")] = False,
    as_json: AsJSON = False,
) -> None:
    """The newest events of the whole log."""
    run(lambda: history.tail(address(store), last, out, follow=follow, as_json=as_json))


@log_app.command("show")
def log_show(stream: Stream, store: Store = DEFAULT_STORE, as_json: AsJSON = False) -> None:
    """All events of one stream."""
    run(lambda: history.show(address(store), stream, out, as_json=as_json))


app.command()(replay)
app.command()(why)
app.command()(seen)
app.command()(verify)
app.command()(check)
app.command()(fork)
app.command()(compare)
app.command()(forget)
app.command()(archive)
app.command()(backup)
app.command()(restore)


@app.command()
def migrate(
    session_id: Annotated[str, typer.Argument(help="The session_id of a legacy conversation", show_default=False)],
    server: Annotated[str, typer.Option(help="The server that holds it")] = "http://127.0.0.1:8000",
    token: Annotated[
        str | None, typer.Option(envvar="CALLBOARD_TOKEN", help="Where the server asks who comes", show_default=False)
    ] = None,
) -> None:
    """Move a legacy conversation (/api/conversation) to the WebSocket API; prints its conversation_id."""
    print(migrate_at(server, session_id, (token or "").strip() or None))


@app.command()
def demo(
    pace: Annotated[float, typer.Option(help="Seconds to pause between the scenes", min=0.0)] = 0.4,
    keep: Annotated[
        Path | None, typer.Option(help="Leave the log in this file, to look into it", show_default=False)
    ] = None,
) -> None:
    """Show it all on a real server, in every dialect: talk, err, interrupt, be written down, kill -9, come back."""
    from adapters.demo import story  # only this command needs it

    if keep is not None and keep.exists():
        raise Unusable(f"--keep: {keep} is there already; name a new file")
    run(lambda: story.tell(Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH), pace, keep))


if __name__ == "__main__":
    main()
