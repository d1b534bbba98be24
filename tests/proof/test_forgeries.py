"""Row 13 of the scorecard, in little: requests that somebody else wants made."""

from __future__ import annotations

from tests.proof import forgeries
from tests.proof.scorecard import Scale


def test_nothing_private_is_called_by_any_way_and_planted_bugs_are_found() -> None:
    assert len(forgeries.VECTORS) >= forgeries.VECTORS_MIN
    outcome = forgeries.run(Scale(share=0.05))
    assert outcome.broken == []
    refused = {name: one for name, one in outcome.figures.items() if name[:3] == "by "}
    assert len(refused) == 21
    assert all(refused.values())
    planted = [one for name, one in outcome.figures.items() if name[:8] == "planted:"]
    assert len(planted) == 6
