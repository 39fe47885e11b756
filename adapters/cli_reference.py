"""`callboard reference openapi|asyncapi`: the API reference without a server, as one of the same settings serves it."""

from __future__ import annotations

import os

import msgspec
import trio
import typer

from adapters.config import from_environment

reference_app = typer.Typer(no_args_is_help=True, help="Print the API reference.")


@reference_app.callback()
def reference() -> None:
    """Print the API reference."""


@reference_app.command("openapi")
def print_openapi() -> None:
    """The REST routes, in OpenAPI 3.1."""
    from adapters import bootstrap  # so that other commands start quickly
    from adapters.reference.openapi import openapi

    async def document() -> bytes:
        async with bootstrap.open_unserved(from_environment(os.environ, {})) as app:
            return msgspec.json.encode(openapi(app))

    typer.echo(msgspec.json.format(trio.run(document), indent=2))


@reference_app.command("asyncapi")
def print_asyncapi() -> None:
    """What is said over the WebSockets, in AsyncAPI 3."""
    from adapters.reference.asyncapi import asyncapi  # as above

    typer.echo(msgspec.json.format(msgspec.json.encode(asyncapi()), indent=2))
