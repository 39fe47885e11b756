"""A channel carries what is published on it, in one order, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given as drawing
from hypothesis import strategies as st

from core.channel import MAX_NAME, ChannelOpened, Publish, Published, channel, stream_of
from core.identifiers import Category, StreamName
from core.specification import given

OPENED = ChannelOpened("news")


def test_the_first_thing_published_opens_the_channel() -> None:
    verdict = given(channel).when(Publish("news", {"a": 1})).then(OPENED, Published("news", {"a": 1}))
    verdict.leads_to(name="news", carried=1).wants()


def test_whatever_is_published_is_carried() -> None:
    given(channel, OPENED).when(Publish("news", {})).then(Published("news", {})).leads_to(carried=1)


def test_a_channel_carries_nothing_that_is_meant_for_another() -> None:
    given(channel, OPENED).when(Publish("sport", {})).rejected("wrong_channel")


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1)])
def test_a_channel_has_a_name_of_some_length(name: str) -> None:
    given(channel).when(Publish(name, {})).rejected("invalid_channel")


def test_a_channel_never_ends() -> None:
    state = given(channel, OPENED, Published("news", {})).state
    assert not channel.is_terminal(state)
    assert channel.opens_work(OPENED) is None


def test_a_plain_name_is_the_stream_s_own() -> None:
    assert stream_of("weather-update") == "channel-weather-update"
    assert stream_of("Räksmörgås").startswith("channel-~")


@drawing(st.text(), st.text())
def test_two_channels_never_share_a_stream(one: str, other: str) -> None:
    assert (stream_of(one) == stream_of(other)) == (one == other)
    assert StreamName.parse(stream_of(one)).category is Category.CHANNEL
