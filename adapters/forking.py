"""Forks: a stream's past, up to a version, goes on as a new stream, perhaps with another model or another prompt.

The decisions of the past are copied as they were, commands too, at their times and in the names of who took them, so
that the replay gate decides the copy like the original and version k is the same in both. A copy's cause is the event
it was copied from, the first of its decision; its command id is left behind, as nobody retries it here. Then comes the
event that records the lineage. All of it is one append: the fork is there as a whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.system import System
from core.call import ForkCall, call
from core.conversation import ForkConversation, conversation
from core.decider import AnyDecider, Rejected
from core.identifiers import Category, StreamName
from core.lineage import Forked
from core.messages import Decision, Recorded, Stamp
from core.ports import DuplicateCommand, EventStore, StoreUnavailable, WrongExpectedVersion

MOST_COPIED = 100_000
"""Events a fork may begin with: they are one append."""
FORKABLE: Mapping[Category, AnyDecider] = {Category.CONVERSATION: conversation, Category.CALL: call}
"""What a language model answers in."""


class Changes(Struct, frozen=True):
    """What is to be different in the fork, None for what is not."""

    model: str | None = None
    prompt: str | None = None
    personality: str | None = None
    topic: str | None = None


class Fork(Struct, frozen=True):
    """A stream that begins with what `source` had come to at `version`."""

    stream: StreamName
    source: StreamName
    version: int
    changes: Changes


class NotForked(Exception):
    """There is no fork; the message says why, and what to do."""


class NoSuchPast(NotForked):
    """The log has no such stream, or the stream no such version."""


class NameTaken(NotForked):
    """There is another stream of that name."""


async def fork(
    store: EventStore, source: StreamName, target: StreamName, stamp: Stamp, *, at: int | None = None,
    changes: Changes | None = None,
) -> Fork:  # fmt: skip
    """Continue `source`, as it was `at` a version (the newest, where there is none), as `target`.

    Nothing happens between the events of one decision: a version amid them counts as the last of them. Asked again with
    the stamp's command id it is the fork there was. Raises NotForked, StoreUnavailable.
    """
    decider, since = _decider_of(source), store.forgettings
    records = await store.read_stream(source, limit=2 * MOST_COPIED)
    past = decisions_of(records, await store.read_commands(source), _version(source, records, at))
    version = sum(len(decision.events) for decision in past)
    order = _order(source, version, changes or Changes(), stamp)
    state = decider.fold(decider.initial, (record.event for record in records[:version]))
    decided = decider.decide(state, order)
    if isinstance(decided, Rejected):
        raise NotForked(f"{source} cannot be gone on with from version {version}: {decided.message}")
    copies = [_copied(source, first, decision) for first, decision in _numbered(past)]
    refuse_forgotten(store, since)
    return await _appended(store, target, [*copies, Decision(stamp, order, decided)])


async def fork_live(
    system: System, source: StreamName, target: StreamName, stamp: Stamp, *, at: int | None = None,
    changes: Changes | None = None,
) -> Fork:  # fmt: skip
    """As `fork`, where actors run: an answer that waits in the fork is drafted at once."""
    made = await fork(system.store, source, target, stamp, at=at, changes=changes)
    system.directory.let_go(target)  # in case somebody looked for it before there was one
    await system.look(target)
    return made


def decisions_of(records: Sequence[Recorded], commands: Mapping[int, Any], version: int) -> list[Decision]:
    """What was decided up to `version`, and to the end of the decision that it is in. Raises NotForked."""
    past, ends = list[Decision](), [*sorted(commands)[1:], len(records) + 1]
    for first, end in zip(sorted(commands), ends, strict=True):
        if first > version:
            break
        record, command = records[first - 1], commands[first]
        if command is None:
            raise NotForked(f"{record.id} cannot be copied: the log has no command for it any more")
        past.append(Decision(record.stamp, command, tuple(each.event for each in records[first - 1 : end - 1])))
    return past


def refuse_forgotten(store: EventStore, since: int) -> None:
    """Whoever read something when the store's `forgettings` were `since` may not write it. Raises StoreUnavailable."""
    if store.forgettings != since:
        raise StoreUnavailable("something was forgotten meanwhile; ask again")


def new_name(source: StreamName, id: str) -> StreamName:
    """The stream of `id`, which may be a whole stream's name, of the source's kind. Raises MalformedStreamName."""
    return StreamName.of(source.category, id.removeprefix(f"{source.category}-"))


def _decider_of(source: StreamName) -> AnyDecider:
    if source.category not in FORKABLE:
        kinds = " and ".join(f"{category}s" for category in FORKABLE)
        raise NotForked(f"{source} cannot be forked: {kinds} can, where a language model answers")
    return FORKABLE[source.category]


def _version(source: StreamName, records: Sequence[Recorded], at: int | None) -> int:
    if not records:
        raise NoSuchPast(f"the log has no stream {source}; `callboard log tail` shows which there are")
    if (at or len(records)) > MOST_COPIED:
        raise NotForked(f"at most {MOST_COPIED:,} events are copied; go on from an earlier version of {source}")
    if at is not None and not 1 <= at <= len(records):
        raise NoSuchPast(f"{source} has {len(records)} events, so there is no version {at} to go on from")
    return at or len(records)


def _numbered(past: Sequence[Decision]) -> list[tuple[int, Decision]]:
    """Each decision with the version of its first event."""
    numbered, version = list[tuple[int, Decision]](), 1
    for decision in past:
        numbered.append((version, decision))
        version += len(decision.events)
    return numbered


def _copied(source: StreamName, first: int, decision: Decision) -> Decision:
    stamp = replace(decision.stamp, command_id=None, causation_id=f"{source}@{first}")
    return replace(decision, stamp=stamp)


def _order(source: StreamName, version: int, changes: Changes, stamp: Stamp) -> ForkConversation | ForkCall:
    model, prompt, personality, topic = changes.model, changes.prompt, changes.personality, changes.topic
    if source.category is Category.CONVERSATION:
        return ForkConversation(str(source), version, model, prompt, personality, topic)
    if personality or topic:
        raise NotForked("a call has neither personality nor topic; say it in the prompt")
    return ForkCall(str(source), version, stamp.time, model, prompt)


async def _appended(store: EventStore, target: StreamName, decisions: Sequence[Decision]) -> Fork:
    stamp = decisions[-1].stamp
    try:
        return _fork_in(await store.append(target, decisions, expected_version=0))
    except DuplicateCommand:
        return _fork_in(await store.read_outcome(target, stamp.command_id or ""))
    except WrongExpectedVersion:
        raise NameTaken(f"there is a stream {target} already; give the fork another name") from None


def _fork_in(records: Sequence[Recorded]) -> Fork:
    """The newest one, which comes behind those that its past tells of."""
    record = next((record for record in reversed(records) if isinstance(record.event, Forked)), None)
    if record is None:
        raise NameTaken("that key was used for another kind of request")
    it: Forked = record.event
    changes = Changes(it.model, it.prompt, getattr(it, "personality", None), getattr(it, "topic", None))
    return Fork(record.stream, StreamName(it.source), it.version, changes)
