"""Timers: which are outstanding, whose they are, and what each is for.

Rule. A time limit (DEADLINES) is counted apart: nothing waits *for* it, so it neither keeps
      an execution alive nor takes a place among the pending steps.

Not here: what happens when one fires (plait.kernel.engine), the clock (a driver).
"""

from __future__ import annotations

from typing import Final

from plait.kernel.commands import CancelTimer, StartTimer
from plait.kernel.state import Execution, Run

DEADLINES: Final = ("timeout", "attempt_timeout", "patience", "item_timeout")


def start_timer(x: Execution, run: Run, purpose: str, due_at_ms: int) -> int:
    """Ask for a timer of `run`; return its number.

    Args:
        purpose: One of DEADLINES, `retry`, `machine`, or `item_retry`, `item_after`;
            behind those of an item its number: `item_timeout 3`. `patience` is a machine's
            own limit: how long it waits for somebody outside.
    """
    number = _ask(x, run, due_at_ms, run.path)
    run.timers[number] = purpose
    x.deadline_count += _is_deadline(purpose)
    return number


def _is_deadline(purpose: str) -> bool:
    return purpose.partition(" ")[0] in DEADLINES


def start_execution_deadline(x: Execution, due_at_ms: int) -> None:
    """Ask for the timer of the workflow's own `timeout`."""
    _ask(x, None, due_at_ms, "")
    x.deadline_count += 1


def _ask(x: Execution, run: Run | None, due_at_ms: int, step: str) -> int:
    x.timer_count += 1
    x.timers[x.timer_count] = run
    x.commands.append(StartTimer(x.timer_count, due_at_ms, step))
    return x.timer_count


def watch_deadlines(x: Execution, run: Run) -> None:
    """Ask for the timers of the limits that `run` begins its attempt with."""
    # Once for all attempts; what undid a saga's attempt was not to be cut short by it.
    if run.deadline_at_ms is not None and "timeout" not in run.timers.values():
        start_timer(x, run, "timeout", run.deadline_at_ms)
    if run.node.attempt_timeout_ms is not None:
        due_at_ms = x.now_ms + run.node.attempt_timeout_ms
        start_timer(x, run, "attempt_timeout", due_at_ms)


def renew_deadlines(x: Execution, run: Run, *, watches: bool = False) -> dict[int, int]:
    """Let the limits of `run` count from now; return when its timers are due then.

    Args:
        watches: True where the machine's own limit is the step's.
    """
    if run.node.timeout_ms is not None:
        run.deadline_at_ms = x.now_ms + run.node.timeout_ms
    due_at_ms: dict[int, int] = {}
    for timer, purpose in run.timers.items():
        is_whole = purpose == "timeout" or (watches and purpose == "patience")
        if is_whole and run.deadline_at_ms is not None:
            due_at_ms[timer] = run.deadline_at_ms
        elif purpose == "attempt_timeout" and run.node.attempt_timeout_ms is not None:
            due_at_ms[timer] = x.now_ms + run.node.attempt_timeout_ms
    return due_at_ms


def take_timer(x: Execution, timer: int) -> tuple[Run | None, str]:
    """Take a timer that has fired off the books; return whose it was, and what for."""
    run = x.timers.pop(timer)
    purpose = "timeout" if run is None else run.timers.pop(timer)
    x.deadline_count -= _is_deadline(purpose)
    return run, purpose


def cancel_timer(x: Execution, run: Run, timer: int) -> None:
    """Cancel one timer of `run`, if it is outstanding."""
    purpose = run.timers.pop(timer, None)
    if purpose is not None:
        x.deadline_count -= _is_deadline(purpose)
        del x.timers[timer]
        x.commands.append(CancelTimer(timer))


def cancel_timers(x: Execution, run: Run, *, keep: str = "") -> None:
    """Cancel the timers of `run`, except one whose purpose is `keep`."""
    for timer in [t for t, purpose in run.timers.items() if purpose != keep]:
        x.deadline_count -= _is_deadline(run.timers.pop(timer))
        del x.timers[timer]
        x.commands.append(CancelTimer(timer))


def cancel_all_timers(x: Execution) -> None:
    """Cancel whatever is outstanding at the end."""
    for timer in x.timers:
        x.commands.append(CancelTimer(timer))
    x.timers.clear()


def pending_count(x: Execution) -> int:
    """Return how many calls, timers and people outside something waits for."""
    return len(x.calls) + len(x.waiting) + len(x.timers) - x.deadline_count
