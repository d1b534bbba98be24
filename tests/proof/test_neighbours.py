"""Row 11 of the scorecard, in little: one of ten upstreams is ill."""

from __future__ import annotations

from tests.proof import neighbours
from tests.proof.scorecard import Scale


def test_who_calls_other_upstreams_is_answered_and_the_ill_one_is_not_pressed() -> None:
    outcome = neighbours.run(Scale(share=0.0))
    assert outcome.broken == []
    for state in ("hangs", "fails"):
        assert outcome.figures[f"requests of what {state}"] > 10
        assert outcome.figures[f"attempts at what {state}"] > 10
