"""A step killed at each of its lines: in a process of its own each time, which does nothing more from there on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

Place = tuple[str, int]


def places(step: Callable[[], object], modules: tuple[str, ...]) -> list[Place]:
    """The lines of these modules that the step comes through, in order. It is done thereby."""
    seen: dict[Place, None] = {}
    _traced(step, modules, lambda place: seen.setdefault(place))
    return list(seen)


def killed_at(step: Callable[[], object], modules: tuple[str, ...], place: Place) -> None:
    """Do the step in another process, which is gone when it comes to this line."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 9, "it did not come there"
        return
    try:
        _traced(step, modules, lambda at: os._exit(9) if at == place else None)
    finally:
        os._exit(1)


def _traced(step: Callable[[], object], modules: tuple[str, ...], tell: Callable[[Place], object]) -> None:
    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.endswith(modules):
            return None
        if event == "line":
            tell((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)


def some(found: list[Place], most: int) -> Iterator[Place]:
    """All of them, or as many, evenly spread."""
    step = max(1, -(-len(found) // most))
    yield from found[::step]
