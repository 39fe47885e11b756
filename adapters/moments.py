"""A place in a stream's past, as people write it: a version, a time, or so many seconds after the begin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never

from msgspec import Struct

from adapters.setting_values import Unusable
from core.messages import Recorded

_WRITTEN = "a version (12), a time (2026-11-21T14:03:07, 14:03:07) or seconds after the begin (+2.5s)"
_OFFSET = re.compile(r"\+(\d{1,9}(?:\.\d{1,6})?)\s?(s|min|h)?")
_SECONDS = {None: 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AtVersion(Struct, frozen=True):
    version: int


class AtTime(Struct, frozen=True):
    """µs UTC since the epoch."""

    time: int


class AtClock(Struct, frozen=True):
    """A time of day, in UTC where it says nothing else, on the day of the stream's first event."""

    clock: time


class AfterBegin(Struct, frozen=True):
    """µs after the stream's first event."""

    microseconds: int


Moment = AtVersion | AtTime | AtClock | AfterBegin


def moment(text: str) -> Moment:
    """What somebody wrote. Raises Unusable."""
    if re.fullmatch(r"\d{1,12}", text):
        return AtVersion(int(text))
    if found := _OFFSET.fullmatch(text):
        return AfterBegin(round(float(found[1]) * _SECONDS[found[2]] * 1e6))
    try:
        return AtClock(time.fromisoformat(text)) if re.match(r"\d\d?:", text) else AtTime(_microseconds(text))
    except ValueError:
        raise Unusable(f"{text[:40]!r} is no moment; write {_WRITTEN}") from None


def version_at(asked: Moment, records: Sequence[Recorded]) -> int:
    """The stream's version then, 0 before its begin. A version may be one the stream has not come to."""
    match asked:
        case AtVersion(version):
            return version
        case AtTime(until):
            pass
        case AfterBegin(microseconds):
            until = records[0].stamp.time + microseconds
        case AtClock(clock):
            until = _on(_day(records[0].stamp.time), clock)
        case _:
            assert_never(asked)
    return next((record.version for record in reversed(records) if record.stamp.time <= until), 0)


def _microseconds(text: str) -> int:
    """Of a time in ISO 8601, in UTC where it says nothing else. Raises ValueError."""
    if text.isdecimal() and len(text) > len("20261121"):  # a number of so many digits would be read as one, too
        raise ValueError(text)
    return _since_epoch(datetime.fromisoformat(text))


def _since_epoch(then: datetime) -> int:
    aware = then if then.tzinfo else then.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _day(microseconds: int) -> date:
    """Raises Unusable where a stream begins at a time that no calendar has."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).date()
    except OverflowError:
        raise Unusable("the stream begins on no calendar's day; write a version") from None


def _on(day: date, clock: time) -> int:
    return _since_epoch(datetime.combine(day, clock))
