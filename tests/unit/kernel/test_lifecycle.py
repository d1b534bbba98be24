"""A step's life: the table is complete, and nothing outside it can happen."""

from __future__ import annotations

from typing import get_args

import pytest

from plait.kernel.events import (
    RetryStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepSkipped,
    StepStarted,
)
from plait.kernel.lifecycle import (
    ACTIVE,
    TRANSITIONS,
    InvariantBroken,
    StepState,
    advance,
)

ENDS = {StepState.COMPLETED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED}


def test_a_settled_or_cancelled_step_has_no_further_transition() -> None:
    assert not {state for state, _ in TRANSITIONS} & ENDS


def test_every_state_is_reached_and_every_event_is_used() -> None:
    assert {*TRANSITIONS.values(), StepState.PENDING} == set(StepState)
    assert {event for _, event in TRANSITIONS} == set(get_args(StepEvent))


def test_exactly_the_active_states_can_be_cancelled() -> None:
    can_be = {state for state, event in TRANSITIONS if event is StepCancelled}
    assert can_be == set(ACTIVE)


def test_every_state_that_is_no_end_leads_to_one() -> None:
    for start in set(StepState) - ENDS:
        reached, left = {start}, [start]
        while left:
            state = left.pop()
            following = {TRANSITIONS[pair] for pair in TRANSITIONS if pair[0] is state}
            left.extend(following - reached)
            reached |= following
        assert reached & ENDS


def test_a_transition_in_the_table_gives_the_next_state() -> None:
    assert advance(StepState.PENDING, StepSkipped, "a") is StepState.SKIPPED
    assert advance(StepState.BACKING_OFF, RetryStarted, "a") is StepState.RUNNING


@pytest.mark.parametrize("state", [state for state in StepState if state in ENDS])
def test_what_is_not_in_the_table_is_a_bug_that_names_step_event_and_state(
    state: StepState,
) -> None:
    text = f"step 'fan.a.': StepStarted is impossible in state {state.value}"
    with pytest.raises(InvariantBroken, match=text):
        advance(state, StepStarted, "fan[a]")
    with pytest.raises(InvariantBroken):
        advance(state, StepCompleted, "fan[a]")
