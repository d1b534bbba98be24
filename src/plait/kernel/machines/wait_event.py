"""Wait-event node: waits for a signal of its name that its `match` accepts.

Rule. What cannot be matched does not match: a payload of another shape is somebody else's,
      and a stranger's mistake must not fail an execution.

Not here: signals that nobody waits for yet (plait.kernel.mailbox).
"""

from __future__ import annotations

from typing import ClassVar

from plait.expression import ExpressionError
from plait.kernel.durations import duration_failure, duration_ms
from plait.kernel.events import ApprovalDecided, SignalAwaited, SignalReceived
from plait.kernel.machine import Machine, Offers
from plait.kernel.mailbox import kept, take
from plait.kernel.state import Execution, Run
from plait.kernel.views import moment_text
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject


class WaitEventMachine(Machine):
    """Takes a signal that was kept, else waits for one to come."""

    name: ClassVar[str] = "wait_event"
    waits_outside: ClassVar[bool] = True

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Take the first that fits; with none, wait until one comes or time is over."""
        for signal in kept(x):
            if self.hears(kernel, x, run, signal):
                return
        try:
            due_at_ms = _due_at_ms(x, run)
        except ValueError as error:
            kernel.fail(x, run, duration_failure(error))
            return
        if kernel.wait_outside(x, run, due_at_ms):
            name = _name(run)
            event = SignalAwaited(run.path, run.attempt, name, due_at_ms, x.now_ms)
            x.events.append(event)

    def hears(
        self,
        kernel: Offers,
        x: Execution,
        run: Run,
        event: SignalReceived | ApprovalDecided,
    ) -> bool:
        """Take the signal if it is for this step; its payload is the response."""
        if isinstance(event, ApprovalDecided):
            return False
        if event.name != _name(run) or not _matches(run, event):
            return False
        take(x, run, event)
        kernel.succeed(x, run, event.payload)
        return True

    def wanted(self, run: Run) -> JsonObject:
        """Return the name that a signal must have."""
        return {"for": "event", "name": _name(run)}

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """None has come in time."""
        text = f"no event '{_name(run)}' that fits came in time"
        failure = Failure("wait.timeout", text, advice=Advice.RETRY, classes=("timeout",))
        kernel.fail(x, run, failure)


def _name(run: Run) -> str:
    return str(run.node.options["name"])


def _matches(run: Run, signal: SignalReceived) -> bool:
    match = run.node.templates.get("match")
    if match is None:
        return True
    try:
        return match.render_bool({**run.frame.names, "event": _view(signal)})
    except ExpressionError:
        return False


def _view(signal: SignalReceived) -> JsonObject:
    return {
        "name": signal.name,
        "id": signal.signal_id,
        "payload": signal.payload,
        "at": moment_text(signal.at_ms),
    }


def _due_at_ms(x: Execution, run: Run) -> int | None:
    timeout = run.node.templates.get("timeout")
    if timeout is None:
        return None
    return x.now_ms + duration_ms(timeout.render(run.frame.names))


MACHINE = WaitEventMachine()
