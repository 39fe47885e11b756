from __future__ import annotations

import random
import struct
import uuid
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import cycle

from adapters.clock import PooledRandomness, SystemClock, TimeOrderedIdentifiers

NOON_NS = 1_760_000_000_123_456_789


class Dial:
    """A clock's source that shows what it is told to, the last reading for ever."""

    def __init__(self, readings: Iterable[int]) -> None:
        self.readings = list(readings)

    def __call__(self) -> int:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


def test_the_clock_gives_microseconds() -> None:
    assert SystemClock(Dial([NOON_NS])).now() == 1_760_000_000_123_456


def test_the_clock_stands_still_while_the_machine_s_clock_runs_backwards() -> None:
    clock = SystemClock(Dial([NOON_NS, NOON_NS - 5_000_000, NOON_NS + 2000]))
    first, second, third = clock.now(), clock.now(), clock.now()
    assert second == first
    assert third == first + 2


def test_an_id_is_a_version_7_uuid_of_its_millisecond() -> None:
    text = TimeOrderedIdentifiers(Dial([NOON_NS])).new()
    identifier = uuid.UUID(text)
    assert str(identifier) == text
    assert identifier.version == 7
    assert identifier.variant == uuid.RFC_4122
    assert identifier.int >> 80 == NOON_NS // 1_000_000


def test_ids_rise_within_one_millisecond() -> None:
    identifiers = TimeOrderedIdentifiers(Dial([NOON_NS]))
    drawn = [identifiers.new() for _ in range(5000)]
    assert drawn == sorted(set(drawn))
    assert len({text[:13] for text in drawn}) == 1


def test_ids_rise_while_the_clock_runs_backwards() -> None:
    identifiers = TimeOrderedIdentifiers(Dial([NOON_NS, NOON_NS - 10**9, NOON_NS - 10**12, NOON_NS + 10**9]))
    drawn = [identifiers.new() for _ in range(4)]
    assert drawn == sorted(set(drawn))


def test_ids_rise_when_a_millisecond_has_no_more_to_give() -> None:
    words = cycle([2**32 - 1, 2**32 - 1, 2**32 - 1, 2**73])  # the highest start, and a step beyond all that is left
    identifiers = TimeOrderedIdentifiers(Dial([NOON_NS]), partial(next, words))
    drawn = [identifiers.new() for _ in range(10)]
    assert drawn == sorted(set(drawn))
    assert all(uuid.UUID(text).version == 7 for text in drawn)
    assert drawn[-1][:13] > drawn[0][:13]


def test_the_same_seed_draws_the_same_ids() -> None:
    def draw(seed: int) -> list[str]:
        identifiers = TimeOrderedIdentifiers(Dial([NOON_NS]), partial(random.Random(seed).getrandbits, 32))
        return [identifiers.new() for _ in range(3)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_two_sources_of_ids_do_not_meet() -> None:
    ours, theirs = TimeOrderedIdentifiers(Dial([NOON_NS])), TimeOrderedIdentifiers(Dial([NOON_NS]))
    assert not {ours.new() for _ in range(1000)} & {theirs.new() for _ in range(1000)}


def test_pooled_randomness_fetches_seldom_and_gives_no_byte_twice() -> None:
    fetched: list[bytes] = []

    def fetch(size: int) -> bytes:
        fetched.append(bytes((len(fetched) * 31 + n) % 251 for n in range(size)))
        return fetched[-1]

    randomness = PooledRandomness(fetch)
    drawn = [randomness.word() for _ in range(3000)]
    assert len(fetched) == 2
    words = [word for pool in fetched for (word,) in struct.iter_unpack("I", pool)]
    assert not Counter(drawn) - Counter(words)
