"""`make bench`: what Callboard costs, beside what it is made of and beside its rivals, as ratios in one run.

Ours and its baseline take turns, several rounds; what is compared is the best round of each, so that a neighbour's
noise hurts neither alone. Prints a table and writes bench.json. `--quick` makes everything small, to try the bench.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from adapters.bootstrap import settle_interpreter
from tests.benchmarks import fanout, history, idle, latency, log_costs, stalled, storm
from tests.benchmarks.cores import raise_descriptor_limit, stay_unpinned
from tests.benchmarks.remote import RemoteFault
from tests.benchmarks.report import Bench, console
from tests.benchmarks.servers import NotRunning

# In the order of a whole run; the large log comes last, as it takes longest.
MEASUREMENTS: dict[str, Callable[[Bench], None]] = {
    "commands": log_costs.durable_commands,
    "recovery": log_costs.recovery,
    "memory": log_costs.memory,
    "fanout": fanout.measure,
    "idle": idle.measure,
    "latency": latency.measure,
    "stalled": stalled.measure,
    "storm": storm.measure,
    "history": history.measure,
    "growth": log_costs.growth_and_start_up,
}


def names(text: str) -> list[str]:
    """The measurements asked for. Raises ArgumentTypeError for one there is not."""
    wanted = list(filter(None, text.split(",")))
    if unknown := set(wanted) - MEASUREMENTS.keys():
        raise argparse.ArgumentTypeError(
            f"there is no {', '.join(sorted(unknown))}; choose of {', '.join(MEASUREMENTS)}"
        )
    return wanted or list(MEASUREMENTS)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small counts, one round: to try the bench itself")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the results go")
    parser.add_argument("--only", type=names, default=list(MEASUREMENTS), help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each contender (default 3; with --quick 1)")
    parser.add_argument("--unpinned", action="store_true", help="let servers and load run on all cores")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    settle_interpreter()
    raise_descriptor_limit()
    if chosen.unpinned:
        stay_unpinned()
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        bench = Bench(Path(folder), 0.02 if chosen.quick else 1.0, chosen.rounds or (1 if chosen.quick else 3))
        for name, measure in MEASUREMENTS.items():
            if name in chosen.only:
                _measure(bench, name, measure)
    results = {"environment": environment(), "results": bench.results}
    chosen.json.write_text(json.dumps(results, indent=2, ensure_ascii=False))
    console.print(f"\nresults are in {chosen.json}")


def _measure(bench: Bench, name: str, measure: Callable[[Bench], None]) -> None:
    """A measurement that fails is a result too, and the others go on."""
    try:
        measure(bench)
    except (RemoteFault, NotRunning) as fault:
        reason = str(fault).strip().splitlines()[-1]
        bench.report(name, f"failed: {reason}", None, "", holds=False, fault=str(fault))


def environment() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    main()
