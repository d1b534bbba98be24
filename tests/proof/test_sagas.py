"""Row 7 of the scorecard, in little: sagas that fail, and crash while they are undone."""

from __future__ import annotations

import pytest

from tests.proof import sagas
from tests.proof.plants import Plant
from tests.proof.scorecard import Scale
from tests.proof.undoing import cases
from tests.proof.undoing_plants import UNDOING_PLANTS

LITTLE = Scale(share=0.0)


def test_whatever_fails_and_crashes_what_was_done_is_undone_in_reverse_order() -> None:
    outcome = sagas.simulate(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["trials"] > 80


def test_a_process_killed_while_it_undoes_is_followed_by_one_that_goes_on() -> None:
    outcome = sagas.kill(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["deaths"] > 5


@pytest.mark.parametrize("planted", UNDOING_PLANTS, ids=lambda planted: planted.name)
def test_a_planted_bug_in_undoing_is_caught(planted: Plant) -> None:
    assert sagas.catch(planted) is not None


def test_every_step_of_every_form_fails_in_some_case() -> None:
    failing = {form: set[int]() for form in {case.form for case in cases()}}
    for case in cases():
        failing[case.form].add(case.failing)
    several = {form: len(steps) for form, steps in failing.items()}
    # Where step 8 fails for good, only those before it can fail and be passed over.
    wanted = {form: 7 if form in ("goes on", "falls back") else 8 for form in several}
    assert several == wanted
