"""Draws docs/machines/ from the kernel's tables.

`python -m tests.tidy.machine_pages` writes the pages anew; a test proves that they are.
"""

from __future__ import annotations

from plait.kernel.events import StepEvent
from plait.kernel.lifecycle import TRANSITIONS, StepState
from tests.tidy.tree import ROOT

STEP_PAGE = "docs/machines/step.md"

_ABOVE = """\
# The life of a step

Drawn from `TRANSITIONS` in `src/plait/kernel/lifecycle.py` by
`python -m tests.tidy.machine_pages`. Do not edit.

A step instance is in one state. Each arrow is an event of the execution's history; a pair
of state and event that has no arrow cannot happen, and the kernel stops rather than go on.

"""

_BELOW = """
| state | means |
|---|---|
| pending | its dependencies have settled, or not yet; nothing has begun |
| running | an attempt is under way |
| backing off | an attempt failed; a timer will start the next |
| falling back | the attempts are used up; its fallback answers in its place |
| in doubt | nobody knows whether its `unsafe` call was made; a person decides |
| completed | it has its response |
| failed | it failed for good; with `on_error: continue` the workflow goes on |
| skipped | its condition was false, or it is disabled |
| cancelled | its outcome no longer mattered |

Completed, skipped, and failed with `on_error: continue` are *settled*: what waits for the
step goes on. See [what the kernel owns](../concepts/kernel.md).
"""


def step_page() -> str:
    """Return the page about a step's states, diagram included."""
    return f"{_ABOVE}```mermaid\n{_diagram()}```\n{_BELOW}"


def _diagram() -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {_id(StepState.PENDING)}"]
    lines += [f'    state "{state.value}" as {_id(state)}' for state in StepState]
    for (state, event), after in TRANSITIONS.items():
        lines.append(f"    {_id(state)} --> {_id(after)}: {_event(event)}")
    starts = {state for state, _ in TRANSITIONS}
    lines += [f"    {_id(state)} --> [*]" for state in StepState if state not in starts]
    return "\n".join(lines) + "\n"


def _id(state: StepState) -> str:
    return state.name.lower()


def _event(event: type[StepEvent]) -> str:
    return event.__name__


if __name__ == "__main__":
    (ROOT / STEP_PAGE).write_text(step_page(), encoding="utf-8")
