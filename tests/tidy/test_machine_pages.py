"""The pages of docs/machines/ are what the kernel's tables say."""

from __future__ import annotations

from plait.kernel.lifecycle import TRANSITIONS, StepState
from tests.tidy.machine_pages import STEP_PAGE, step_page
from tests.tidy.tree import ROOT


def test_the_page_of_a_steps_life_is_drawn_from_its_transitions() -> None:
    page = (ROOT / STEP_PAGE).read_text(encoding="utf-8")
    assert page == step_page(), "run: python -m tests.tidy.machine_pages"


def test_every_transition_is_an_arrow_and_every_state_is_explained() -> None:
    page = step_page()
    assert page.count(" --> ") == len(TRANSITIONS) + 1 + 4
    assert all(f"\n| {state.value} | " in page for state in StepState)
