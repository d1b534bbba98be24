"""Row 2 of the scorecard, in little: processes that are killed at their commits."""

from __future__ import annotations

from tests.proof import deaths
from tests.proof.scorecard import Scale

LITTLE = Scale(share=0.0)


def test_a_process_killed_at_a_commit_loses_and_doubles_nothing() -> None:
    outcome = deaths.run(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["deaths"] > 10


def test_a_store_that_commits_after_it_answers_is_caught() -> None:
    found = deaths.catch_late_commits()
    assert found is not None
    assert "acknowledged and lost" in found
