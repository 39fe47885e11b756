"""What was done with the log itself, in words."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from adapters.telling.words import Devices, fields, plural, shorten
from core.audit import Accessed, StreamsArchived, SubjectForgotten


def describe(event: Any, devices: Devices) -> Text | None:  # noqa: ARG001  # as its siblings
    """None for what is nothing of the kind."""
    match event:
        case Accessed(way, question, entries):
            asked = Text(f"  {fields(question)}" if question else "", "dim")
            return Text(f"looked into the log: {shorten(way)}, {plural(entries, 'event')}").append_text(asked)
        case SubjectForgotten(subject, key_ids, streams):
            told = f"{shorten(subject)} is forgotten: {plural(len(key_ids), 'key')} of {plural(streams, 'stream')}"
            return Text(told, "bold")
        case StreamsArchived(archive, _, _, events, streams):
            what = f"{plural(events, 'event')} of {plural(streams, 'stream')}"
            return Text(f"the texts of {what} went to archive {archive}")
        case _:
            return None
