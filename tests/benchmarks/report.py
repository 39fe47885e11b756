"""The results of one run, as a table while they come and as JSON at the end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

T = TypeVar("T")

console = Console(width=None if sys.stdout.isatty() else 150)


class Bench:
    """The results, and what each was meant to be. `scale` is 1 for a full run; each is measured `rounds` times."""

    def __init__(self, folder: Path, scale: float, rounds: int) -> None:
        self.folder, self.scale, self.rounds = folder, scale, rounds
        self.results: list[dict[str, Any]] = []

    @property
    def quick(self) -> bool:
        return self.scale < 1

    def report(self, name: str, figure: str, ratio: float | None, target: str, holds: bool | None, **more: Any) -> None:
        self.results.append({"name": name, "figure": figure, "ratio": ratio, "target": target, "holds": holds, **more})
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: " "}[holds]
        shown = "" if ratio is None else f"{ratio:.2f}×"
        console.print(f" {mark} {name:58} {figure:46} {shown:>8}  {target}", highlight=False)

    def remark(self, text: str) -> None:
        """A line that is no result: what was left out, and why."""
        self.results.append({"remark": text})
        console.print(f"   {text}", highlight=False, style="dim")

    def commands(self, count: int) -> int:
        return max(200, int(count * self.scale))

    def in_turns(self, contenders: Mapping[str, Callable[[], T]], times: int = 1) -> dict[str, list[T]]:
        """Each contender once a round, in turns; `times` as many rounds as usual."""
        took: dict[str, list[T]] = {name: [] for name in contenders}
        for _ in range(self.rounds * times):
            for name, contend in contenders.items():
                gc.collect()
                took[name].append(contend())
        return took
