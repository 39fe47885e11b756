"""Where a process stands on the machine: its niceness, its cores, and whether it is as it began but for that."""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":
    print(json.dumps([os.nice(0), sorted(os.sched_getaffinity(0)), "trio" not in sys.modules]))
