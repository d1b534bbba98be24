"""Try node: a scope, another one for what fails in it, and one that runs in any case.

Rule. Its time limits are those of the steps and of a `catch`. What cleans up after them
      has as long as it needs.

Not here: `fallback` and `on_error`, which every step has (plait.kernel.engine).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

from plait.expression import ExpressionError
from plait.kernel.backoff import word_matches
from plait.kernel.codec import failure_json, load_failure
from plait.kernel.failures import in_brief, with_detail
from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Frame, Run
from plait.kernel.timers import cancel_timers
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node

BODY: Final = "steps"
FINALLY: Final = "finally"


@dataclass(slots=True)
class Trying:
    """What it has come to so far.

    Attributes:
        failure: What nothing has caught; None: it has an output.
        caught: The error that a `catch` answered.
    """

    output: JsonValue = None
    failure: Failure | None = None
    caught: JsonObject | None = None


class TryMachine(Machine):
    """Runs its steps; on a failure the first `catch` that fits; `finally` in any case."""

    name: ClassVar[str] = "try"

    def suffix(self, name: str) -> str:
        """Its own steps stand right below it; the others are told apart by their names."""
        return "/" if name == BODY else f"[{name}]/"

    def turns(self, node: Node) -> tuple[tuple[str, ...], ...]:
        """Its own steps, then one `catch`, then what runs in any case."""
        catches = tuple(name for name in node.scopes if name not in (BODY, FINALLY))
        return ((BODY,), catches, (FINALLY,))

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin with its own steps."""
        run.memory = Trying()
        kernel.open_frame(x, run, BODY, self.suffix(BODY))

    def dump_memory(self, memory: Trying) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        failure = None if memory.failure is None else failure_json(memory.failure)
        return [memory.output, failure, memory.caught]

    def load_memory(self, saved: Any) -> Trying:
        """See plait.kernel.machine.Machine."""
        output, failure, caught = saved
        return Trying(output, None if failure is None else load_failure(failure), caught)

    def outlasts(self, kernel: Offers, x: Execution, run: Run, failure: Failure) -> bool:
        """Run `finally`, if there is one, with the limit as the failure."""
        if FINALLY not in run.node.scopes:
            return False
        for frame in list(run.frames.values()):
            kernel.close_frame(x, frame)
        run.memory.failure = failure
        self._clean_up(kernel, x, run)
        return True

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Keep what the steps, or a `catch`, have yielded."""
        if frame.name != FINALLY:
            run.memory.output = output
        self._go_on(kernel, x, run, frame)

    def on_frame_failed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, failure: Failure
    ) -> None:
        """Catch it if anything does."""
        trying: Trying = run.memory
        place = run.node.place
        failure = failure.at(step=run.path, attempts=run.attempt, place=place)
        if frame.name == BODY:
            try:
                catch = _catch_for(run, failure)
            except ExpressionError as error:
                told = in_brief(error.failure().as_json())
                failure, catch = with_detail(failure, "catch_on", told), None
            if catch is not None:
                trying.caught = failure.as_json()
                names = {_names_of(run.node)[catch]: trying.caught}
                kernel.open_frame(x, run, catch, self.suffix(catch), names)
                return
        elif trying.failure is not None:
            # What `finally` came to must not hide why there was anything to clean up.
            told = in_brief(trying.failure.as_json())
            failure = with_detail(failure, "after", told)
        trying.failure = failure
        self._go_on(kernel, x, run, frame)

    def _go_on(self, kernel: Offers, x: Execution, run: Run, frame: Frame) -> None:
        """End the attempt, unless `finally` is still to run."""
        trying: Trying = run.memory
        if FINALLY in run.node.scopes and frame.name != FINALLY:
            self._clean_up(kernel, x, run)
        elif trying.failure is not None:
            kernel.fail(x, run, trying.failure)
        else:
            kernel.succeed(x, run, trying.output, {"caught": trying.caught})

    def _clean_up(self, kernel: Offers, x: Execution, run: Run) -> None:
        cancel_timers(x, run)
        kernel.open_frame(x, run, FINALLY, self.suffix(FINALLY))


def _names_of(node: Node) -> dict[str, str]:
    """Return the name under which each `catch` sees the error, in their order."""
    return cast("dict[str, str]", node.options["catches"])


def _catch_for(run: Run, failure: Failure) -> str | None:
    """Return the first `catch` that fits.

    Raises:
        ExpressionError: A condition before it has no value.
    """
    words = cast("dict[str, list[str]]", run.node.options["on"])
    for catch in _names_of(run.node):
        when = run.node.templates.get(f"on {catch}")
        if when is not None:
            if when.render_bool({**run.frame.names, "error": failure.as_json()}):
                return catch
        elif catch not in words or any(
            word_matches(word, failure) for word in words[catch]
        ):
            return catch
    return None


MACHINE = TryMachine()
