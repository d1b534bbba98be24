"""Row 4 of the scorecard, in little: damaged files are noticed."""

from __future__ import annotations

from tests.proof import damage
from tests.proof.scorecard import Scale


def test_no_damage_to_a_store_goes_unnoticed() -> None:
    outcome = damage.run(Scale(share=0.0))
    assert outcome.broken == []
    assert outcome.figures["noticed"] > 10
    assert outcome.figures["executions whole"] > 50
