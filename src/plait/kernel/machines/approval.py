"""Approval node: asks people, and takes the first decision of one who may decide.

Rule. No decision is a decision too: when its `timeout` is over the step completes with
      `timed_out`. So the time limit is the machine's own, not the step's.

Not here: who somebody is (whoever feeds the decision has made sure of that).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from plait.kernel.events import ApprovalDecided, ApprovalRequested, SignalReceived
from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.kernel.views import moment_text
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue, canonical_bytes


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of whom; no approvers: of anybody."""

    title: str
    description: str
    approvers: tuple[str, ...]


class ApprovalMachine(Machine):
    """Asks, then waits."""

    name: ClassVar[str] = "approval"
    watches_deadline: ClassVar[bool] = True
    waits_outside: ClassVar[bool] = True

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Ask; fail when a template yields nobody who could decide."""
        question = _question(run)
        if question is None:
            text = "approvers: a list of names is needed, with one name at least"
            failure = Failure("approval.approvers", text, advice=Advice.FIX_REQUEST)
            kernel.fail(x, run, failure)
            return
        run.memory = question
        if kernel.wait_outside(x, run, run.deadline_at_ms):
            event = ApprovalRequested(
                run.path,
                run.attempt,
                question.title,
                question.description,
                list(question.approvers),
                run.deadline_at_ms,
                x.now_ms,
            )
            x.events.append(event)

    def admits(self, run: Run, event: ApprovalDecided) -> bool:
        """Tell whether whoever decided is among the approvers, by name or by role."""
        question: Question = run.memory
        deciding = (event.by, *event.roles)
        return not question.approvers or any(one in question.approvers for one in deciding)

    def hears(
        self,
        kernel: Offers,
        x: Execution,
        run: Run,
        event: SignalReceived | ApprovalDecided,
    ) -> bool:
        """Complete with the decision."""
        if not isinstance(event, ApprovalDecided):
            return False
        kernel.succeed(x, run, _decision(event.decision, event.by, event.comment, x.now_ms))
        return True

    def wanted(self, run: Run) -> JsonObject:
        """Return the question."""
        question: Question = run.memory
        return {
            "for": "approval",
            "title": question.title,
            "description": question.description,
            "approvers": list(question.approvers),
        }

    def dump_memory(self, memory: Question) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        return [memory.title, memory.description, list(memory.approvers)]

    def load_memory(self, saved: Any) -> Question:
        """See plait.kernel.machine.Machine."""
        title, description, approvers = saved
        return Question(title, description, tuple(approvers))

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Nobody has decided in time."""
        kernel.succeed(x, run, _decision("timed_out", None, None, x.now_ms))


def _decision(decision: str, by: str | None, comment: str | None, at_ms: int) -> JsonObject:
    return {"decision": decision, "by": by, "comment": comment, "at": moment_text(at_ms)}


def _question(run: Run) -> Question | None:
    names, templates = run.frame.names, run.node.templates
    title = _text(templates["title"].render(names))
    description = _text(templates["description"].render(names))
    if "approvers" not in templates:
        return Question(title, description, ())
    approvers = templates["approvers"].render(names)
    if not isinstance(approvers, list) or not approvers:
        return None
    known = tuple(one for one in approvers if isinstance(one, str) and one)
    return Question(title, description, known) if len(known) == len(approvers) else None


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else canonical_bytes(value).decode()


MACHINE = ApprovalMachine()
