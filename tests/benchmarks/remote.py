"""A crowd in a process of its own, on a core of its own."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Concatenate, ParamSpec, TypeVar

from tests.benchmarks.cores import LOAD, pinned
from tests.benchmarks.crowd import Crowd, close

P = ParamSpec("P")
R = TypeVar("R")


class RemoteFault(Exception):
    """A call failed over there; the text is its traceback."""


class RemoteCrowd:
    """Calls functions of a crowd in the crowd's own process. Between calls the crowd reads on and answers pings."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._control, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_attend, args=(theirs,), daemon=True)
        with pinned(LOAD):
            self._process.start()
        theirs.close()

    def call(self, function: Callable[Concatenate[Crowd, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns over there. Raises RemoteFault."""
        self.begin(function, *args, **kwargs)
        result: R = self.result()
        return result

    def begin(self, function: Callable[Concatenate[Crowd, P], Any], *args: P.args, **kwargs: P.kwargs) -> None:
        self._control.send((function, args, kwargs))

    def is_done(self, within: float) -> bool:
        """Whether the call that was begun ends within so many seconds."""
        return self._control.poll(within)

    def result(self) -> Any:
        """Of the call that was begun. Raises RemoteFault."""
        fault, result = self._control.recv()
        if fault:
            raise RemoteFault(fault)
        return result

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self._control.close()


@contextmanager
def running_crowd() -> Iterator[RemoteCrowd]:
    """A crowd for the time of the block."""
    crowd = RemoteCrowd()
    try:
        yield crowd
    finally:
        crowd.stop()


def _attend(control: Connection) -> None:
    crowd = Crowd()
    while True:
        while not control.poll(0 if crowd.wires else None):
            crowd.attend(0.05)
        try:
            function, args, kwargs = control.recv()
        except EOFError:
            return close(crowd)
        control.send(_outcome(crowd, function, args, kwargs))


def _outcome(crowd: Crowd, function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, Any]:
    try:
        return "", function(crowd, *args, **kwargs)
    except Exception:  # noqa: BLE001  # told to the one who asked
        return traceback.format_exc(), None
