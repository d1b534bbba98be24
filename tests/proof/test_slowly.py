"""Row 10 of the scorecard, in little: clients whose headers never end."""

from __future__ import annotations

from tests.proof import slowly
from tests.proof.scorecard import Scale


def test_slow_clients_are_shown_the_door_and_others_are_answered() -> None:
    outcome = slowly.run(Scale(share=0.04))
    assert outcome.broken == []
    figures = outcome.figures
    assert figures["attackers closed"] >= figures["attackers at a time"] == 20
    assert figures["attackers told why (408)"] > 0
    assert figures["good answers, attacked"] > 0
