"""Row 14 of the scorecard, in little: secrets that are looked for."""

from __future__ import annotations

import pytest

from tests.proof import canaries
from tests.proof.scorecard import Scale


@pytest.mark.timeout(300)
def test_no_secret_stands_anywhere_and_a_gateway_that_masks_none_is_found() -> None:
    outcome = canaries.run(Scale(share=0.0))
    assert outcome.broken == []
    assert outcome.figures["canaries"] >= canaries.CANARIES_MIN
    assert outcome.figures["requests that reached the other side"] > 28
    assert outcome.figures["places searched"] > 100
    told = [n for name, n in outcome.figures.items() if name.startswith("heard by ")]
    assert len(told) == 4
    assert min(told) > 0
