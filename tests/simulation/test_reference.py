"""The kernel does what the language page says: random documents against the reference."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from plait.kernel.events import RetryScheduled
from plait.model.failure import Failure
from plait.testing import Decided, Sent, Simulated, Simulation
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import PLAIN, documents
from tests.simulation.reckoning import Ambiguous, End, Error
from tests.simulation.reference import Reference
from tests.simulation.walking import signals_of

INPUTS = st.fixed_dictionaries(
    {"a": st.sampled_from([1, 2, "one", None]), "flag": st.booleans()},
    optional={"deep": st.just({"er": [1, 2]})},
)


def dice_of(result: Simulated) -> Any:
    """Return the waits that were drawn by lot, for the reference to use."""
    waits = {
        (event.step, event.attempt): event.due_at_ms - event.at_ms
        for event in result.events
        if isinstance(event, RetryScheduled)
    }
    return lambda step, attempt: waits.get((step, attempt))


def agrees(end: End, result: Simulated) -> bool:
    """Tell whether the simulated execution ended as the reference says."""
    if result.elapsed_ms != end.at:
        return False
    if end.kind != "failed":
        is_same = result.status == "completed" and _told(result.output) == end.payload
        return is_same and any(_is_missed(one, result) for one in end.missed)
    return result.failure is not None and _is_same(end.payload, result.failure)


def _told(value: Any) -> Any:
    """Return `value` without the kinds of expression error, which the reference ignores."""
    if isinstance(value, dict):
        if value.keys() == {"code", "message", "details"}:
            return {"code": _told(value["code"])}
        return {key: _told(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_told(inner) for inner in value]
    is_error = isinstance(value, str) and value.startswith("expression.")
    return "expression" if is_error else value


def _is_missed(error: Error | None, result: Simulated) -> bool:
    if error is None or result.passed_over is None:
        return error is None and result.passed_over is None
    return _is_same(error, result.passed_over)


def _is_same(error: Error, failure: Failure) -> bool:
    details = failure.details or {}
    fallback: Any = details.get("fallback", "")
    told = (
        _told(failure.code),
        failure.step,
        failure.attempts,
        _told(fallback["code"] if isinstance(fallback, dict) else fallback),
        "retry_on" in details,
    )
    return told == (
        error.code,
        error.step,
        error.attempts,
        error.fallback,
        error.retry_on,
    )


@settings(max_examples=6 * settings().max_examples)
@given(document=documents(PLAIN), given_input=INPUTS)
def test_random_documents_end_as_the_reference_says(
    document: Any, given_input: Any
) -> None:
    sent = signals_of(document)
    sim = Simulation(plan_of(document), play, input=given_input, signals=sent)
    result = sim.run()
    signals = [
        (one.after_ms, one.name, one.payload) for one in sent if isinstance(one, Sent)
    ]
    decisions = [
        (one.after_ms, one.step, one.decision, one.by)
        for one in sent
        if isinstance(one, Decided)
    ]
    dice = dice_of(result)
    reference = Reference(document, given_input, dice, signals, decisions)
    try:
        ends = reference.run()
    except Ambiguous:
        event("ambiguous")
        assume(False)
    event(result.status)
    assert any(agrees(end, result) for end in ends), (ends, result)
    last = {record.path: record.status for record in sorted(reference.records, key=_at)}
    for path, status in last.items():
        assert result.status_of(path) == status, (path, status, result.steps[path])


def _at(record: Any) -> int:
    return int(record.at)
