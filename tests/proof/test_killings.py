"""Row 3 of the scorecard, in little: the real gateway is killed while clients pay."""

from __future__ import annotations

from tests.proof import killings
from tests.proof.scorecard import Scale


def test_a_killed_gateway_loses_no_accepted_order_and_doubles_no_payment() -> None:
    outcome = killings.run(Scale(share=0.0))
    assert outcome.broken == []
    assert outcome.figures["accepted"] > 20
