"""Bugs in undoing, planted like those of tests.proof.plants: row 7 has to find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from plait.drivers.journal import telling
from plait.drivers.journal.live import Live
from plait.kernel import StartCall, compensation, engine
from plait.kernel.events import CallCompleted, OutsideEvent
from plait.kernel.state import Execution, Frame, Run, Undoing
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.ports.journal import Summary
from tests.proof.plants import plant

_hear = telling.Outstanding.hear
_note = compensation._note
_note_completed = compensation.note_completed
_on_frame_over = compensation.on_frame_over
_rebuild = Live.rebuild
_start_call = Live._start_call


def _undoes(step: str | None) -> bool:
    return step is not None and ".compensate" in step


class _FirstFirst(Undoing):
    """Undoes what was done first at first."""

    def __init__(self, number: int, left: list[str], *given: Any) -> None:
        super().__init__(number, left[::-1], *given)


class _WithoutTheLast(Undoing):
    """Takes what was done last for what has failed."""

    def __init__(self, number: int, left: list[str], *given: Any) -> None:
        super().__init__(number, left[:-1], *given)


def _stop_at_a_failure(
    kernel: Any, x: Execution, frame: Frame, failure: Failure | None
) -> None:
    undoing: Any = x.undoing if frame.parent is None else frame.parent.memory
    if failure is not None:
        del undoing.left[:-1]
    _on_frame_over(kernel, x, frame, failure)


def _take_failures_for_done(
    kernel: Any, x: Execution, frame: Frame, failure: Failure | None
) -> None:
    del failure
    frame.names[frame.scope.nodes[0].id] = {"status": "completed", "error": None}
    _on_frame_over(kernel, x, frame, None)


def _note_nothing(x: Execution, undoing: Undoing, why_not: JsonValue) -> None:
    undo = x.undo[undoing.left[-1]]
    _note(x, undoing, why_not)
    x.undo[undo.path] = undo


def _note_in_the_documents_order(x: Execution, run: Run) -> None:
    _note_completed(x, run)
    for key in sorted(x.undo):
        x.undo[key] = x.undo.pop(key)


def _hear_of_no_compensation(self: telling.Outstanding, event: OutsideEvent) -> None:
    if not _undoes(getattr(event, "step", None)):
        _hear(self, event)


def _rebuild_without_the_one_in_flight(
    self: Live, summary: Summary, told: Any, *, is_unknown: bool
) -> None:
    calls: dict[str, StartCall] = told.outstanding.calls
    taken_for_done = [calls.pop(step) for step in [*calls] if _undoes(step)]
    _rebuild(self, summary, told, is_unknown=is_unknown)
    for call in taken_for_done:
        now_ms = self.host.now_ms()
        self.feed(CallCompleted(call.step, call.attempt, None, {}, now_ms))


def _rebuild_without_going_on(
    self: Live, summary: Summary, told: Any, *, is_unknown: bool
) -> None:
    calls: dict[str, StartCall] = told.outstanding.calls
    for step in [step for step in calls if _undoes(step)]:
        del calls[step]
    _rebuild(self, summary, told, is_unknown=is_unknown)


def _call_with_key_per_life(self: Live, call: StartCall) -> None:
    key = call.idempotency_key
    if _undoes(call.step):
        key = f"{key}#{self.summary.epoch}"
    _start_call(self, replace(call, idempotency_key=key))


UNDOING_PLANTS: Final = (
    plant("undoes in the order of doing", compensation, "Undoing", _FirstFirst),
    plant("leaves out what was done last", compensation, "Undoing", _WithoutTheLast),
    plant(
        "undoes in the document's order",
        engine,
        "note_completed",
        _note_in_the_documents_order,
    ),
    plant("undoes again what is undone", compensation, "_note", _note_nothing),
    plant(
        "stops at a compensation that fails", engine, "on_frame_over", _stop_at_a_failure
    ),
    plant(
        "takes a failed compensation for done",
        engine,
        "on_frame_over",
        _take_failures_for_done,
    ),
    plant(
        "forgets the compensation in flight",
        Live,
        "rebuild",
        _rebuild_without_the_one_in_flight,
    ),
    plant("goes on with no compensation", Live, "rebuild", _rebuild_without_going_on),
    plant(
        "undoes from the first again after a crash",
        telling.Outstanding,
        "hear",
        _hear_of_no_compensation,
    ),
    plant(
        "another key for a compensation after a crash",
        Live,
        "_start_call",
        _call_with_key_per_life,
    ),
)
