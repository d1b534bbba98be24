"""Row 6 of the scorecard, in little: webhooks that are delivered again and again."""

from __future__ import annotations

from tests.proof import deliveries
from tests.proof.scorecard import Scale


def test_each_event_starts_one_execution_however_often_it_is_delivered() -> None:
    outcome = deliveries.run(Scale(share=0.0))
    assert outcome.broken == []
    figures = outcome.figures
    assert figures["executions"] == figures["events"] >= 40
    assert figures["deliveries answered"] == 3 * figures["events"]
    assert figures["kills"] == 1
