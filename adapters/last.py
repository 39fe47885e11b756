"""Runs a module, which comes last on the machine from its first line on: `python -m adapters.last MODULE NICENESS`."""

from __future__ import annotations

import runpy
import sys

from adapters.priority import come_last

if __name__ == "__main__":
    come_last(int(sys.argv[2]))
    runpy.run_module(sys.argv[1], run_name="__main__")
