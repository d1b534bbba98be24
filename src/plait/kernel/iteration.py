"""Loops: what `while` and `repeat` share. One iteration at a time, each in a frame.

Rule 1. A finished iteration is forgotten but for what it yielded, which the next one reads
        as `previous`: memory and work per iteration do not grow.
Rule 2. An iteration's steps stand at `poll[3]/fetch`, so their attempts, timelines and
        idempotency keys are their own.
Rule 3. A turn ends now and then, however fast the iterations are: what it says is one entry
        of a journal, and an express server has others to serve.

Not here: which iterations there are (plait.kernel.machines.while_, .repeat), items
(plait.kernel.machines.foreach).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from plait.expression import ExpressionError
from plait.kernel.durations import duration_failure, duration_ms
from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Frame, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue

# So many events, or iterations that were passed over, and the turn ends; the loop goes on
# in the next. At 300 bytes an event the entry has 300 KB.
TURN_EVENTS_MAX: Final = 1_000


@dataclass(slots=True)
class Iterations:
    """Where a loop is.

    Attributes:
        number: The iteration under way, or the next one, from 0.
        count: How many have run.
        previous: What the last one that ran yielded.
        is_due: True when it only waits for its delay to be over.
    """

    number: int = 0
    count: int = 0
    previous: JsonValue = None
    is_due: bool = False


class LoopMachine(Machine):
    """Runs iteration after iteration, until a condition says that it is enough."""

    repeats: ClassVar[str] = "each iteration"

    def is_wanted(self, run: Run, names: dict[str, Any]) -> bool:
        """Tell whether there is to be another iteration."""
        raise NotImplementedError

    def is_enough(self, run: Run, names: dict[str, Any]) -> bool:
        """Tell whether the iteration that has just ended was the last one."""
        raise NotImplementedError

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin with iteration 0."""
        run.memory = Iterations()
        self._go_on(kernel, x, run)

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The delay is over, or the turn before was long enough."""
        self._try_to_go_on(kernel, x, run)

    def dump_memory(self, memory: Iterations) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        return [memory.number, memory.count, memory.previous, memory.is_due]

    def load_memory(self, saved: Any) -> Iterations:
        """See plait.kernel.machine.Machine."""
        return Iterations(*saved)

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Stop, or go on with the next iteration."""
        rounds: Iterations = run.memory
        try:
            stopped_by = self._stopped_by(run, frame.names)
        except ExpressionError as error:
            kernel.fail(x, run, error.failure())
            return
        rounds.previous = output
        rounds.count += 1
        if stopped_by:
            self._complete(kernel, x, run, stopped_by)
            return
        rounds.number += 1
        self._try_to_go_on(kernel, x, run)

    def _stopped_by(self, run: Run, names: dict[str, Any]) -> str:
        stop = run.node.templates.get("break")
        if stop is not None and stop.render_bool(names):
            return "break"
        return "condition" if self.is_enough(run, names) else ""

    def _try_to_go_on(self, kernel: Offers, x: Execution, run: Run) -> None:
        try:
            self._go_on(kernel, x, run)
        except ExpressionError as error:
            kernel.fail(x, run, error.failure())

    def _go_on(self, kernel: Offers, x: Execution, run: Run) -> None:
        rounds: Iterations = run.memory
        if not rounds.is_due:
            names = self._names(run)
            for passed_over in itertools.count():
                names |= _seen(rounds)
                if not self.is_wanted(run, names):
                    self._complete(kernel, x, run, "condition")
                    return
                if self._is_too_many(kernel, x, run):
                    return
                if passed_over + len(x.events) >= TURN_EVENTS_MAX:
                    kernel.start_timer(x, run, x.now_ms)
                    return
                if not _is_passed_over(run, names):
                    break
                rounds.number += 1
            if rounds.count and "delay" in run.node.templates:
                self._wait(kernel, x, run, names)
                return
        rounds.is_due = False
        kernel.open_frame(x, run, "steps", f"[{rounds.number}]/", _seen(rounds))

    def _names(self, run: Run) -> dict[str, Any]:
        return dict(run.frame.names)

    def _wait(self, kernel: Offers, x: Execution, run: Run, names: dict[str, Any]) -> None:
        try:
            due_at_ms = x.now_ms + duration_ms(run.node.templates["delay"].render(names))
        except ValueError as error:
            kernel.fail(x, run, duration_failure(error))
            return
        run.memory.is_due = True
        kernel.start_timer(x, run, due_at_ms)

    def _is_too_many(self, kernel: Offers, x: Execution, run: Run) -> bool:
        most = run.node.options["max_iterations"]
        assert isinstance(most, int)
        if run.memory.number < most:
            return False
        text = f"'{run.path}' would begin more than its {most} iterations"
        details: JsonObject = {"max_iterations": most}
        failure = Failure("limit.iterations", text, details, Advice.FIX_REQUEST)
        kernel.fail(x, run, failure)
        return True

    def _complete(self, kernel: Offers, x: Execution, run: Run, stopped_by: str) -> None:
        rounds: Iterations = run.memory
        response: JsonObject = {
            "result": rounds.previous,
            "iterations": rounds.count,
            "stopped_by": stopped_by,
        }
        run.memory = None
        kernel.succeed(x, run, response)


def _seen(rounds: Iterations) -> dict[str, JsonValue]:
    return {"iteration": rounds.number, "previous": rounds.previous}


def _is_passed_over(run: Run, names: dict[str, Any]) -> bool:
    template = run.node.templates.get("continue")
    return template is not None and template.render_bool(names)
