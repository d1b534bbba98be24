"""Row 12 of the scorecard, in little: hostile input to all that is served."""

from __future__ import annotations

import pytest

from tests.proof import fuzz, hostile, malformed
from tests.proof.scorecard import Scale


def test_no_input_is_answered_with_what_the_document_does_not_tell() -> None:
    outcome = hostile.run(Scale(share=0.01))
    assert outcome.broken == []
    assert outcome.figures["operations"] > 30
    assert outcome.figures["inputs"] > 100
    there = {one[8:]: n for one, n in outcome.figures.items() if one.startswith("found a ")}
    named = [one[8:] for one in outcome.figures if one.startswith("named a ")]
    assert {*named} == {*there}
    assert there["session_id"] > 3
    assert there["execution_id"] > 10
    assert there["deployment_id"] > 6
    assert there["credential"] > 3
    assert there["key_id"] > 0


def test_nothing_that_no_schema_would_make_breaks_anything() -> None:
    outcome = fuzz.run(Scale(share=0.0))
    assert outcome.broken == []
    sent = [n for name, n in outcome.figures.items() if name.startswith("fuzzed: ")]
    assert len(sent) == 6
    assert min(sent) >= 12


@pytest.mark.parametrize("store", malformed.STORES)
def test_no_call_that_no_gateway_would_make_is_a_fault_of_the_services(store: str) -> None:
    outcome = malformed.run(Scale(share=0.03), [store])
    assert outcome.broken == []
    assert outcome.figures["malformed: calls"] > 500
    assert outcome.figures[f"malformed, {store}: OK"] > 50
    assert outcome.figures[f"malformed, {store}: slowest_ms"] > 0
    assert "took " in str(outcome.figures["planted: JSON is read for long"])
