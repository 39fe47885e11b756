"""Options and arguments that several commands of the command line have, and where their output goes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from adapters.config import BadSetting
from adapters.setting_values import StoreAddress, Unusable, parse_store

WIDTH = 140
"""Columns where the output is no terminal and so has no width of its own."""
DEFAULT_STORE = "sqlite:///callboard.db"

Store = Annotated[str, typer.Option("--store", envvar="CALLBOARD_STORE", help="The log: sqlite:///PATH", metavar="URL")]
Stream = Annotated[
    str, typer.Argument(help="A stream, e.g. conversation-<id>; an id alone means a conversation", show_default=False)
]
AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs")]

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout and sys.stdout.isatty() else WIDTH)
"""What was asked for."""
err = Console(stderr=True, highlight=False)
"""How far long work has come, on a terminal."""


def address(text: str) -> StoreAddress:
    """What --store names. Raises BadSetting."""
    try:
        return parse_store(text)
    except Unusable as unusable:
        raise BadSetting((f"--store: {unusable}",)) from None
