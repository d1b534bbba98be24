"""Executions in the log: a line when one ends, with its ids.

| | completed | else |
|---|---|---|
| durable | `info` | `warning` |
| express | `debug` | `info` |

Why it failed stands there as a code: messages may quote what upstreams said.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from plait.kernel.events import Event
from plait.model.failure import Failure
from plait.ports.observer import DURABLE, STATUSES, About, Line, ids_in

logger = logging.getLogger("plait.executions")


class ExecutionLog:
    """Writes a line for each execution that has ended (plait.ports.observer.Observer)."""

    draws = False

    def ran(
        self,
        about: About,
        status: str,
        failure: Failure | None,
        took_s: float,
        lines: Iterable[Line],
        offset_s: float,
    ) -> None:
        """See plait.ports.observer.Observer."""
        _write(about, status, failure, took_s)

    def turned(self, about: About, events: Sequence[Event], lines: Iterable[Line]) -> None:
        """See plait.ports.observer.Observer."""
        last = events[-1]
        status = STATUSES.get(type(last))
        if status is not None:
            failure: Failure | None = getattr(last, "failure", None)
            _write(about, status, failure, last.at_ms / 1000 - about.began_s)

    def recorded(self, took_s: float) -> None:
        """See plait.ports.observer.Observer."""


def _write(about: About, status: str, failure: Failure | None, took_s: float) -> None:
    level = logging.DEBUG if status == "completed" else logging.INFO
    if about.mode == DURABLE:
        level += 10
    if not logger.isEnabledFor(level):
        return
    told: dict[str, Any] = {
        **ids_in(about.trace),
        "execution_id": about.execution_id,
        "workflow": about.workflow,
        "tenant": about.tenant,
        "status": status,
        "duration_ms": round(took_s * 1000, 3),
    }
    if failure is not None:
        told["code"] = failure.code
        if failure.step:
            told["step"] = failure.step
    logger.log(level, "execution of %s %s", about.workflow, status, extra=told)
