"""`callboard user add`: who may ask the server for a token."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from adapters.roles import Role
from adapters.setting_values import Unusable

user_app = typer.Typer(no_args_is_help=True, help="Look after the users file.")


@user_app.callback()
def user() -> None:
    """Look after the users file."""


@user_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Letters, digits and . _ @ + -", show_default=False)],
    role: Annotated[list[Role] | None, typer.Option(help="Given once or more; everybody is a client")] = None,
    users: Annotated[
        Path | None, typer.Option(envvar="CALLBOARD_USERS", help="The users file; it is made where there is none")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Give a user a new password and new roles")] = False,
) -> None:
    """Add a user, or give one a new password. It is asked for, or read from stdin where that is no terminal."""
    from adapters.users import BadUsers, Users  # so that other commands start quickly

    if users is None:
        raise BadUsers("no users file; write --users FILE, or set CALLBOARD_USERS")
    book = Users(users.expanduser())
    book.check_addition(name, replace=replace)
    added = book.add(name, _password(), role or (), replace=replace)
    roles = ", ".join(each for each in Role if each in added.roles)
    typer.echo(f"{name} is in {book.path} now, as {roles}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unusable("the password is not UTF-8; write it in UTF-8") from None
