"""What a node kind's machine is, and what the kernel offers it.

A machine decides what one kind of step does; the kernel around it does what all steps
share: conditions, retries, time limits, fallbacks, settling. A machine keeps its memory in
`run.memory`, never in itself: one machine serves all executions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol

from plait.kernel.events import ApprovalDecided, SignalReceived
from plait.kernel.state import Execution, Frame, Run
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node

NO_NAMES: Final[Mapping[str, JsonValue]] = MappingProxyType({})


class Offers(Protocol):
    """The kernel, as machines see it."""

    def succeed(
        self, x: Execution, run: Run, response: JsonValue, facts: JsonObject | None = None
    ) -> None:
        """The attempt has its response."""
        ...

    def fail(self, x: Execution, run: Run, failure: Failure) -> None:
        """The attempt failed; the kernel decides on retry, fallback, failure."""
        ...

    def finish(self, x: Execution, run: Run, output: JsonValue) -> None:
        """Complete `run`, and with it the whole execution, with `output`.

        Raises:
            ExpressionError: The step's own `output`, which reshapes it, has no value.
        """
        ...

    def open_frame(
        self,
        x: Execution,
        run: Run,
        name: str,
        suffix: str,
        names: Mapping[str, JsonValue] = NO_NAMES,
        key: str = "",
    ) -> None:
        """Start the scope `name` of `run`'s node; its end comes back to the machine.

        Args:
            suffix: What makes the addresses of its steps, behind that of the run's
                attempt: `/` or `[left]/`. Two frames of one attempt need two suffixes.
            names: What only its templates see: `item`, `iteration`.
            key: The frame's name, where a scope runs many times at once.
        """
        ...

    def close_frame(self, x: Execution, frame: Frame) -> None:
        """Cancel what runs in `frame`; its end does not come back."""
        ...

    def start_timer(self, x: Execution, run: Run, due_at_ms: int) -> None:
        """Ask for `on_timer`. It is dropped when the attempt ends."""
        ...

    def start_call(self, x: Execution, run: Run) -> None:
        """Start the node's call; its outcome ends the attempt."""
        ...

    def undo(self, x: Execution, run: Run, failure: Failure) -> None:
        """Undo what completed inside `run`; the attempt fails when that is over."""
        ...

    def wait_outside(self, x: Execution, run: Run, due_at_ms: int | None) -> bool:
        """Ask for what comes from outside: for `hears`, and for `on_timer` when it is due.

        Returns:
            False when too much is pending already; the attempt has failed then.
        """
        ...


class Machine:
    """Base of all machines: `start`, and answers to what it asked for."""

    name: ClassVar[str]
    watches_deadline: ClassVar[bool] = False
    waits_outside: ClassVar[bool] = False
    undoes: ClassVar[bool] = False
    repeats: ClassVar[str] = ""
    # Nobody knows before it runs how often what is inside it runs.
    is_endless: ClassVar[bool] = False
    jumps: ClassVar[bool] = False

    def suffix(self, name: str) -> str:
        """Return what the addresses in the scope `name` have behind the step's own.

        `/`, `[left]/`; `[*]/` where the scope runs many times (`repeats` says for what:
        `each item`) and `start` puts a number in its place.
        """
        del name
        return "[*]/" if self.repeats else "/"

    def repeated(self, name: str) -> str:
        """Return what the scope `name` runs for, where it runs many times; else nothing."""
        del name
        return self.repeats

    def runs_together(self, node: Node) -> bool:
        """Tell whether the scopes of `node` run at the same time."""
        return not self.turns(node)

    def turns(self, node: Node) -> tuple[tuple[str, ...], ...]:
        """Return in which order the scopes of `node` run, and which exclude each other.

        Returns:
            Turns, the first first, each with the names of scopes of which one runs, or
            none; empty: all scopes run at the same time.
        """
        del node
        return ()

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin an attempt. Ends, now or later, in succeed, fail or finish.

        Raises:
            ExpressionError: A template failed; the kernel turns it into a failure.
        """
        raise NotImplementedError

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The machine's own timer fired."""
        raise NotImplementedError

    def admits(self, run: Run, event: ApprovalDecided) -> bool:
        """Tell whether `run` asks for a decision, and whoever decided may."""
        del run, event
        return False

    def hears(
        self,
        kernel: Offers,
        x: Execution,
        run: Run,
        event: SignalReceived | ApprovalDecided,
    ) -> bool:
        """Something came from outside. True: it was for this step, which has taken it."""
        raise NotImplementedError

    def wanted(self, run: Run) -> JsonObject:
        """Return what a run that waits outside waits for, for people and programs."""
        raise NotImplementedError

    def dump_memory(self, memory: Any) -> JsonValue:
        """Return what the machine keeps in `run.memory` as JSON, for a snapshot."""
        raise NotImplementedError

    def load_memory(self, saved: Any) -> Any:
        """Return the memory that `dump_memory` has written."""
        raise NotImplementedError

    def on_item_timer(self, kernel: Offers, x: Execution, run: Run, purpose: str) -> None:
        """A timer of the machine's that is for one item fired."""
        raise NotImplementedError

    def outlasts(self, kernel: Offers, x: Execution, run: Run, failure: Failure) -> bool:
        """A time limit of the step is over. True: the machine fails it, but not at once."""
        del kernel, x, run, failure
        return False

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """One of the run's frames completed."""
        raise NotImplementedError

    def on_frame_failed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, failure: Failure
    ) -> None:
        """One of the run's frames failed; by default so does the attempt."""
        kernel.fail(x, run, failure)
