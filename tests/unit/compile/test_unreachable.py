"""Steps behind the end of a workflow, also where it ends inside another step."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of_steps

ROW = "{id: end, type: sequence, steps: [{id: x, type: set, value: 1}, %s]}"
RETURNING = "{steps: [{id: %s, type: return}]}"
GOING_ON = "{steps: [{id: %s, type: set, value: 1}]}"


@pytest.mark.parametrize(
    ("end", "ends"),
    [
        (ROW % "{id: r, type: return}", True),
        (ROW % "{id: r, type: fail}", True),
        (ROW % "{id: r, type: sequence, steps: [{id: q, type: fail}]}", True),
        (ROW % "{id: r, type: return, condition: '${true}'}", True),
        (ROW % "{id: r, type: return, condition: '${false}'}", False),
        (ROW % "{id: r, type: return, condition: '${input.x}'}", False),
        (ROW % "{id: r, type: return, disabled: true}", False),
        (ROW % "{id: r, type: fail, on_error: continue}", False),
        (ROW.replace("steps", "on_error: continue, steps") % "{id: r, type: fail}", False),
        (ROW.replace("steps", "condition: false, steps") % "{id: r, type: fail}", False),
        (ROW.replace("steps", "fallback: 1, steps") % "{id: r, type: fail}", False),
    ],
)
def test_p009_a_row_ends_the_workflow_when_a_step_in_it_does(end: str, ends: bool) -> None:
    steps = f"- {end}\n- {{id: a, type: set, value: 1, depends_on: [end]}}"
    found = ["P009" in line for line in lines_of_steps(steps)]
    assert found == [True] * ends


@pytest.mark.parametrize(
    ("join", "left", "right", "ends"),
    [
        ("all", RETURNING, GOING_ON, True),
        ("all", GOING_ON, GOING_ON, False),
        ("any", RETURNING, GOING_ON, False),
        ("any", RETURNING, RETURNING, True),
        ("1", RETURNING, GOING_ON, False),
        ("2", RETURNING, GOING_ON, True),
    ],
)
def test_p009_branches_end_the_workflow_when_too_few_can_complete(
    join: str, left: str, right: str, ends: bool
) -> None:
    branches = f"{{l: {left % 'x'}, r: {right % 'y'}}}"
    found = lines_of_steps(f"""
        - {{id: end, type: parallel, join: {join}, branches: {branches}}}
        - {{id: a, type: set, value: 1, depends_on: [end]}}
    """)
    assert ["P009" in line for line in found] == [True] * ends
