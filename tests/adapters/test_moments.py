from __future__ import annotations

import pytest

from adapters.moments import moment, version_at
from adapters.setting_values import Unusable
from core.channel import Published
from core.identifiers import StreamName
from core.messages import Recorded, Stamp

AT_14 = 1_795_269_600_000_000
"""2026-11-21, 14:00 UTC, in µs."""


def records(*seconds: float) -> list[Recorded]:
    """One so many seconds after 14:00 each."""
    stream, event = StreamName("channel-news"), Published("news", {})
    return [
        Recorded(n, stream, n, event, Stamp("c", AT_14 + round(after * 1e6)))
        for n, after in enumerate(seconds, start=1)
    ]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0", 0),
        ("2", 2),
        ("99", 99),
        ("+0s", 1),
        ("+2.5s", 2),
        ("+2.499999", 1),
        ("+1min", 3),
        ("+1h", 3),
        ("14:00:02", 1),
        ("14:00:02.500", 2),
        ("14:01", 3),
        ("13:59:59", 0),
        ("15:00:02.5+01:00", 2),
        ("2026-11-21T14:00:02.500", 2),
        ("2026-11-21T14:00:02.5Z", 2),
        ("2026-11-21T15:00:02.4+01:00", 1),
        ("2026-11-20", 0),
        ("2027-01-01", 3),
    ],
)
def test_a_moment_is_a_version_a_time_or_so_long_after_the_begin(text: str, version: int) -> None:
    assert version_at(moment(text), records(0, 2.5, 60)) == version


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "2.5", "+x", "25:00", "2:60", "2026-13-01", "+1d", "1" * 40, "14:03:07 x"]
)
def test_what_is_no_moment_is_said_with_what_is_one(text: str) -> None:
    with pytest.raises(Unusable, match=r"is no moment; write a version"):
        moment(text)


def test_a_stream_that_begins_on_no_calendars_day_has_no_times_of_day() -> None:
    one = Recorded(1, StreamName("channel-news"), 1, Published("news", {}), Stamp("c", 10**18))
    with pytest.raises(Unusable, match="write a version"):
        version_at(moment("14:00"), [one])
    assert version_at(moment("+1s"), [one]) == 1
