"""Row 9 of the scorecard, in little: three times as much as the gateway can do."""

from __future__ import annotations

from tests.proof import overload
from tests.proof.scorecard import Scale


def test_what_is_too_much_is_refused_with_advice_and_the_rest_is_done() -> None:
    outcome = overload.run(Scale(share=0.0))
    assert outcome.broken == []
    assert outcome.figures["express: refused with advice"] > 0
    for name in ("express", "durable", "accepted"):
        assert outcome.figures[f"{name}: done"] > 0
