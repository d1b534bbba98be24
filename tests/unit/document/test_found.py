"""Findings as they gather: ordered, each once, not more than helps."""

from __future__ import annotations

import pytest

from plait.document.found import DocumentErrors, Found
from plait.document.limits import DEFAULT_LIMITS
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.place import Span

LIMIT = DEFAULT_LIMITS.diagnostics_max


def error(line: int, text: str = "wrong") -> Diagnostic:
    return Diagnostic("P001", text, "", Span(line, 1, line, 2))


def warning(line: int) -> Diagnostic:
    return Diagnostic("P009", "odd", "", Span(line, 1, line, 2), Severity.WARNING)


def test_findings_come_in_the_documents_order_whatever_was_found_first() -> None:
    found = Found()
    for one in (error(9), warning(3), error(1)):
        found.add(one)
    assert [one.span.line for one in found.in_order()] == [1, 3, 9]


def test_the_same_finding_twice_is_one_and_two_at_one_place_are_two() -> None:
    found = Found()
    for one in (error(1, "b"), error(1, "a"), error(1, "b")):
        found.add(one)
    assert [one.message for one in found.in_order()] == ["a", "b"]


def test_warnings_are_no_errors() -> None:
    found = Found()
    found.add(warning(1))
    assert not found.has_errors
    found.add(error(1))
    assert found.has_errors


def test_as_many_errors_as_the_limit_are_kept_and_one_more_ends_the_search() -> None:
    found = Found()
    for line in range(1, LIMIT + 1):
        found.add(error(line))
    assert len(found.in_order()) == LIMIT
    with pytest.raises(DocumentErrors, match=f"{LIMIT + 1} problems") as caught:
        found.add(error(LIMIT + 1))
    last = caught.value.diagnostics[-1]
    assert (last.code, last.span.line) == ("D099", LIMIT)


def test_warnings_past_the_limit_are_counted_and_end_nothing() -> None:
    found = Found()
    for line in range(1, LIMIT + 4):
        found.add(warning(line))
    listed = found.in_order()
    assert len(listed) == LIMIT + 1
    assert listed[-1].message == "3 more warnings are not listed"
    assert listed[-1].severity is Severity.WARNING


def test_a_message_of_400_characters_stays_and_a_longer_one_is_cut() -> None:
    found = Found()
    found.add(error(1, "x" * 400))
    found.add(error(2, "x" * 401))
    first, second = found.in_order()
    assert first.message == "x" * 400
    assert second.message == "x" * 399 + "…"
