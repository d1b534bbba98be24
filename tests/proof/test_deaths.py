"""Row 2 of the scorecard, in little: processes that are killed at their commits."""

from __future__ import annotations

import pytest

from tests.proof import deaths
from tests.proof.places import KINDS
from tests.proof.scorecard import Scale

LITTLE = Scale(share=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_killed_at_a_commit_loses_and_doubles_nothing(kind: str) -> None:
    outcome = deaths.run_on(kind, LITTLE)
    assert outcome.broken == []
    assert outcome.figures["deaths"] > 5
    # On a busy machine the recovery, on the same store, can be what it breaks first; or the
    # worker itself, which finds nothing of what it was told is written.
    signs = ("acknowledged and lost", "the recovery ended with", "the process ended with")
    assert str(outcome.figures["late commits"]).startswith(signs)
