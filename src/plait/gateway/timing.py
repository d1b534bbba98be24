"""`Server-Timing`: how long each step took, for whoever looks at the reply.

One entry per step, in the order in which they began:
`user;start=0.3;dur=41.2;desc="completed"` (milliseconds; `start` counts from the request's
last byte), then `total;dur=45.1`.
"""

from __future__ import annotations

import re
from typing import Final

from plait.drivers.inline import StepTrace, Trace

# Proxies commonly refuse a reply whose headers pass 8 KB; this leaves room for the others.
LENGTH_MAX: Final = 4096
_NOT_A_TOKEN = re.compile(r"[^A-Za-z0-9_-]+")


def server_timing(trace: Trace) -> str:
    """Return the header's value. Steps that no longer fit are left out, and counted.

    >>> trace = Trace(1.0, 1.05, {"a[0]/b": StepTrace("a[0]/b", "completed", 1.0, 1.04)})
    >>> server_timing(trace)
    'a.0.b;start=0.0;dur=40.0;desc="completed", total;dur=50.0'
    """
    began_s = trace.started_s
    entries: list[str] = []
    room = LENGTH_MAX
    for step in trace.steps.values():
        entry = _entry(step, began_s, trace.ended_s)
        room -= len(entry) + 2
        if room < 0:
            left_out = len(trace.steps) - len(entries)
            entries.append(f'more;desc="{left_out} more steps"')
            break
        entries.append(entry)
    entries.append(total_timing(trace.ended_s - began_s))
    return ", ".join(entries)


def total_timing(took_s: float) -> str:
    """Return the header's last entry, or all of it where no step is known.

    >>> total_timing(0.05)
    'total;dur=50.0'
    """
    return f"total;dur={took_s * 1000:.1f}"


def _entry(step: StepTrace, began_s: float, ended_s: float) -> str:
    start_s = step.started_s
    took_ms = ((step.ended_s or ended_s) - start_s) * 1000
    name = step.step
    if not (name.isascii() and name.isidentifier()):
        name = _NOT_A_TOKEN.sub(".", name).strip(".")
    told = step.status
    if len(step.attempts) > 1:
        told = f"{told} after {len(step.attempts)} attempts"
    if step.by_fallback:
        told += " by fallback"
    return f'{name};start={(start_s - began_s) * 1000:.1f};dur={took_ms:.1f};desc="{told}"'
