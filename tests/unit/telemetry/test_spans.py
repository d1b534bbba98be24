"""What is drawn of requests and executions."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from plait.drivers.inline import StepTrace
from plait.model.failure import Failure
from plait.ports.observer import EXPRESS, About, Answered
from plait.telemetry.spans import Span, Spans, span_of

TRACE = "a" * 32
PARENT = (("traceparent", f"00-{TRACE}-{'b' * 16}-01"),)
Attempts: TypeAlias = list[tuple[float, float | None, Failure | None]]
ABOUT = About("e1", "w", "t1", EXPRESS, PARENT, 1000.0)


def drawn(about: About, *lines: StepTrace, failure: Failure | None = None) -> list[Span]:
    spans: list[Span] = []
    status = "completed" if failure is None else "failed"
    Spans(spans.append).ran(about, status, failure, 2.0, lines, 1000.0)
    return spans


def test_a_failed_attempt_and_the_one_after_it_are_two_spans() -> None:
    failure = Failure("http.status", "503")
    attempts: Attempts = [(0.0, 0.5, failure), (0.7, 0.9, None)]
    line = StepTrace("pay", "completed", 0.0, 0.9, attempts)
    step, first, second, execution = drawn(ABOUT, line)
    assert (step.error, first.error, second.error) == (None, "http.status", None)
    assert [one.parent_id for one in (first, second)] == [step.span_id] * 2
    assert [one.span_id for one in (first, second)] == [
        span_of("e1", "pay", 1),
        span_of("e1", "pay", 2),
    ]
    assert (second.began_s, second.ended_s) == (1000.7, 1000.9)
    assert (execution.parent_id, execution.ended_s) == ("b" * 16, 1002.0)


def test_what_was_still_under_way_ends_with_the_execution() -> None:
    step, attempt, _ = drawn(
        ABOUT, StepTrace("a", "running", 0.0, None, [(0.0, None, None)])
    )
    assert step.ended_s == attempt.ended_s == 1002.0


def test_a_failed_execution_says_why_and_nothing_of_its_data() -> None:
    failure = Failure("http.status", "GET http://u/ann@example.com answered 503")
    (execution,) = drawn(ABOUT, failure=failure)
    assert execution.error == "http.status"
    assert "ann@example.com" not in repr(execution)


def test_an_execution_that_nobody_brought_a_trace_for_begins_one() -> None:
    (first,) = drawn(replace(ABOUT, trace=()))
    (second,) = drawn(replace(ABOUT, trace=(), execution_id="e2"))
    assert first.parent_id is None
    assert len(first.trace_id) == 32
    assert first.trace_id != second.trace_id


def test_a_traceparent_that_is_none_draws_nothing() -> None:
    assert drawn(replace(ABOUT, trace=(("traceparent", "nonsense"),))) == []


def test_a_server_error_is_an_error_and_a_refusal_is_not() -> None:
    spans: list[Span] = []
    told = Answered("GET", "/x", 404, 1.0, 0.5, "r1", PARENT, f"00-{TRACE}-{'c' * 16}-01")
    Spans(spans.append).answered(told)
    Spans(spans.append).answered(replace(told, status=502, parent=None))
    assert [one.error for one in spans] == [None, "502"]
    assert [one.parent_id for one in spans] == ["c" * 16, None]
