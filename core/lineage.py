"""Forks: streams that begin with a copy of another one's past, and with the event that says so behind it."""

from __future__ import annotations

from collections.abc import Iterable

from core.call import CallForked
from core.conversation import ConversationForked
from core.messages import Recorded

Forked = ConversationForked | CallForked


def is_copy(record: Recorded) -> bool:
    """Whether it happened elsewhere: in the stream that this one was forked from, or one that was forked from.

    A copy is caused by an event of another stream of its kind, the one it was copied from, and has no command id. What
    a fork is told because it was said in its source has the same cause, but a command id.
    """
    cause = (record.stamp.causation_id or "").rpartition("@")[0]
    is_foreign = cause != record.stream and cause.startswith(f"{record.stream.category}-")
    return is_foreign and record.stamp.command_id is None


def lineage(records: Iterable[Recorded]) -> tuple[Recorded, Forked] | None:
    """The event that says where the stream was forked from; None where it was not. What is in a copied past does not
    count: that is where its source was forked from."""
    forks = [(record, record.event) for record in records if isinstance(record.event, Forked) and not is_copy(record)]
    return forks[0] if forks else None
