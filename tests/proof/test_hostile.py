"""Row 12 of the scorecard, in little: hostile input to all that is served."""

from __future__ import annotations

from tests.proof import fuzz, hostile, malformed
from tests.proof.scorecard import Scale


def test_no_input_is_answered_with_what_the_document_does_not_tell() -> None:
    outcome = hostile.run(Scale(share=0.01))
    assert outcome.broken == []
    assert outcome.figures["operations"] > 30
    assert outcome.figures["inputs"] > 100


def test_nothing_that_no_schema_would_make_breaks_anything() -> None:
    outcome = fuzz.run(Scale(share=0.0))
    assert outcome.broken == []
    sent = [n for name, n in outcome.figures.items() if name.startswith("fuzzed: ")]
    assert len(sent) == 6
    assert min(sent) >= 12


def test_no_call_that_no_gateway_would_make_is_a_fault_of_the_services() -> None:
    outcome = malformed.run(Scale(share=0.03))
    assert outcome.broken == []
    assert outcome.figures["malformed: calls"] > 500
    assert outcome.figures["malformed, OK"] > 10
