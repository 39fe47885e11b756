"""What the WebSocket side counts, and the value it is asked for: plain integers, added to where the thing happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from msgspec import Struct


class SocketStatistics(Struct, frozen=True):
    """The WebSockets of one server, now and since it was started. See `Tally` for what each field means."""

    open: Mapping[str, int] = {}
    closed: Mapping[int, int] = {}
    frames_in: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    evicted: int = 0
    throttled: int = 0
    turned_away: Mapping[str, int] = {}
    outlet_waiting: int = 0
    outlet_fullest: int = 0


class Tally:
    """Counts for SocketStatistics. Lives on the event loop; every count costs one addition.

    now:

    * `open[dialect]`: WebSockets accepted and not yet gone, by the dialect's name: +1 after accepting, −1 at the end.
    * `outlet_waiting()`: bytes that wait in outlets for their clients to read: the sum over all of them, and the most
      of one. Asked when somebody asks for the statistics, so it may go through all connections.

    since the start, only ever growing:

    * `closed[code]`: WebSockets that ended, by the close code we sent, or that the client sent first; 1006 where the
      connection broke off without any. Codes a client made up are told apart no further than `other` by the metrics.
    * `frames_in`: messages received whole, pings and pongs not counted.
    * `frames_out`, `bytes_out`: messages written to outlets, and bytes handed to the network with their framing.
    * `evicted`: clients closed because they read too slowly (4008) or were silent too long (4009).
    * `throttled`: messages answered with "too many", their sender being over its rate.
    * `turned_away[reason]`: handshakes and requests refused for want of a valid token, by the reason told.
    """

    __slots__ = (
        "bytes_out", "closed", "evicted", "frames_in", "frames_out", "open", "outlet_waiting", "throttled",
        "turned_away",
    )  # fmt: skip

    def __init__(self, outlet_waiting: Callable[[], tuple[int, int]] = lambda: (0, 0)) -> None:
        self.open: Counter[str] = Counter()
        self.closed: Counter[int] = Counter()
        self.turned_away: Counter[str] = Counter()
        self.frames_in = self.frames_out = self.bytes_out = self.evicted = self.throttled = 0
        self.outlet_waiting = outlet_waiting

    def statistics(self) -> SocketStatistics:
        """As of now."""
        waiting, fullest = self.outlet_waiting()
        return SocketStatistics(
            open=dict(self.open),
            closed=dict(self.closed),
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            bytes_out=self.bytes_out,
            evicted=self.evicted,
            throttled=self.throttled,
            turned_away=dict(self.turned_away),
            outlet_waiting=waiting,
            outlet_fullest=fullest,
        )
