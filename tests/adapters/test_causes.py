from __future__ import annotations

import json
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from adapters import cli_why
from adapters.causes import DEEPEST, Decision, Story, as_object, story_of
from eventstore.audit import Entry


class Log:
    """Entries as a log has them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._versions: dict[str, int] = {}

    def decide(self, stream: str, *events: str, cause: str | None = None, correlation: str = "c") -> str:
        """The id of the last of these events."""
        for n, event in enumerate(events):
            version = self._versions[stream] = self._versions.get(stream, 0) + 1
            command = None if n else f'{{"name":"{events[0]}_it/1","body":{{"n":{version}}}}}'
            self.entries.append(
                Entry(
                    len(self.entries) + 1, stream, version, f"{event}/1", "{}", 10**15 + version, correlation, cause,
                    None, "ada", "1.1", command, "",
                )
            )  # fmt: skip
        return f"{stream}@{self._versions[stream]}"


def shape(decision: Decision) -> tuple[str, list[object]]:
    first, last = decision.versions
    return f"{decision.stream}@{first}-{last}", [shape(effect) for effect in decision.effects]


@pytest.fixture
def log() -> Log:
    """Somebody asks; the answer is drafted in two pieces, the first of which is published; then it is complete."""
    log = Log()
    asked = log.decide("a", "opened", "said")
    piece = log.decide("a", "piece", cause=asked)
    log.decide("b", "published", cause=piece)
    log.decide("a", "piece", cause=asked)
    log.decide("a", "completed", "waiting", cause=asked)
    log.decide("a", "other", correlation="another")
    return log


def test_of_an_event_all_is_told_that_led_to_it_and_all_that_it_caused(log: Log) -> None:
    story = story_of("a@3", log.entries)
    assert [shape(cause)[0] for cause in story.causes] == ["a@1-2"]
    assert shape(story.told) == ("a@3-3", [("b@1-1", [])])


def test_of_what_came_from_outside_everything_is_told(log: Log) -> None:
    story = story_of("a@1", log.entries)
    assert story.causes == ()
    assert shape(story.told) == ("a@1-2", [("a@3-3", [("b@1-1", [])]), ("a@4-4", []), ("a@5-6", [])])


def test_the_chain_goes_up_across_streams_to_the_command_from_outside(log: Log) -> None:
    story = story_of("b@1", log.entries)
    assert [shape(cause)[0] for cause in story.causes] == ["a@1-2", "a@3-3"]
    assert (story.told.command, json.loads(story.told.body)) == ("published_it/1", {"n": 1})


def test_what_else_came_from_outside_in_the_correlation_is_named_beside_it(log: Log) -> None:
    log.decide("a", "left")
    assert [shape(other)[0] for other in story_of("b@1", log.entries).others] == ["a@8-8"]


def test_an_event_whose_cause_is_not_there_is_where_the_chain_begins(log: Log) -> None:
    orphan = log.decide("c", "done", cause="nowhere@7")
    assert story_of(orphan, log.entries).causes == ()


def test_a_log_in_which_causes_go_in_a_circle_is_told_all_the_same() -> None:
    log = Log()
    log.decide("a", "one", cause="a@2")
    log.decide("a", "two", cause="a@1")
    story = story_of("a@1", log.entries)
    assert [shape(cause)[0] for cause in story.causes] == ["a@2-2"]
    assert shape(story.told) == ("a@1-1", [("a@2-2", [])])


def test_a_chain_may_be_longer_than_a_stack_is_deep() -> None:
    log = Log()
    last = log.decide("a", "first")
    for _ in range(3000):
        last = log.decide("a", "next", cause=last)
    assert len(story_of(last, log.entries).causes) == 3000
    told, depth = story_of("a@1", log.entries).told, 0
    while told.effects:
        (told,), depth = told.effects, depth + 1
    assert depth == 3000


def test_as_json_a_story_has_each_command_with_its_events(log: Log) -> None:
    shown = as_object(story_of("a@3", log.entries))
    assert (shown["event"], shown["correlation_id"], len(shown["causes"])) == ("a@3", "c", 1)
    assert shown["decision"]["events"][0]["version"] == 3
    assert shown["decision"]["effects"][0]["stream"] == "b"


def chain_of(length: int) -> Log:
    """A command from outside, and as many decisions each of which the one before led to."""
    log = Log()
    last = log.decide("a", "first")
    for _ in range(length):
        last = log.decide("a", "next", cause=last)
    return log


def test_what_is_nested_too_deep_is_counted_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_why, "_happened", lambda *_: iter(()))
    story = story_of("a@1", chain_of(2000).entries)
    told, depth = msgspec.json.decode(msgspec.json.encode(as_object(story)))["decision"], 1
    while told["effects"]:
        assert told["more_below"] == 0
        (told,), depth = told["effects"], depth + 1
    assert (depth, told["more_below"]) == (DEEPEST, 2001 - DEEPEST)
    assert f"… {2001 - DEEPEST:,} more below" in drawn(story)


def test_of_a_long_way_from_outside_the_first_and_the_last_causes_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_why, "_happened", lambda *_: iter(()))
    words = drawn(story_of("a@2001", chain_of(2000).entries))
    assert f"… {2000 - DEEPEST:,} more between" in words
    assert words.count("next_it") == DEEPEST
    assert "first_it" in words


def drawn(story: Story) -> str:
    screen = Console(file=StringIO(), width=5000)
    screen.print(cli_why._tree(story))  # noqa: SLF001
    return str(screen.file.getvalue())  # type: ignore[attr-defined]
