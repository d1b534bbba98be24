"""`plait explain`: what can be told of a workflow without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer

from plait.cli.options import ConfigOption, FileArgument
from plait.cli.output import json_text, write
from plait.cli.plans import plan_of
from plait.compile.explain import Explanation, StepExplanation, explain
from plait.compile.iterations import UNBOUNDED
from plait.compile.reasons import Reason
from plait.compile.worst_case import Bound, duration_text

_NAMES_SHOWN_MAX: Final = 8


def command(
    file: FileArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say what waits for what, and the worst case.

    For each step: what it waits for and why, what may run at the same time, and how long
    it can take at worst, by its time limits and retries. For the whole: the waves in which
    steps start, the longest path, the worst case of time and of calls. Of a state machine:
    its states and where they lead, and the same of its actions.

    Examples:

    - `plait explain profile.yaml`

    - `plait explain profile.yaml --json`
    """
    explanation = explain(plan_of(file, config))
    if as_json:
        write(json_text(explanation.as_json(), is_pretty=True) + "\n")
    else:
        write("".join(f"{line}\n" for line in explanation_lines(explanation)))


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Yield the text, line by line."""
    if explanation.states:
        yield from _machine_lines(explanation)
        return
    yield f"{explanation.name}: {_count(len(explanation.steps), 'step')}"
    yield ""
    if explanation.order == "sequence":
        yield f"Order: {' → '.join(wave[0] for wave in explanation.waves)}"
    else:
        yield "Waves (what stands in one line can run at the same time)"
        for number, wave in enumerate(explanation.waves, start=1):
            yield f"  {number}  {_names(wave)}"
    yield ""
    yield "Steps"
    for step in explanation.steps:
        yield from _step_lines(step)
    yield ""
    yield from _whole_lines(explanation)


def _machine_lines(explanation: Explanation) -> Iterator[str]:
    actions = [step for step in explanation.steps if step.depth]
    counts = _count(len(explanation.states), "state"), _count(len(actions), "action")
    yield f"{explanation.name}: {', '.join(counts)}"
    yield ""
    yield "States"
    for state in explanation.states:
        yield f"  {state.id}" + (f" ({state.kind})" if state.kind != "state" else "")
        yield from (f"      {line}" for line in state.lines)
    yield ""
    yield "Actions"
    for step in actions:
        yield from _step_lines(step)
    yield ""
    limit = explanation.timeout_ms
    longest = f"{duration_text(limit)} (timeout)" if limit else "unbounded"
    yield f"Worst case: {longest}; it waits for events, as often as they come"


def _step_lines(step: StepExplanation) -> Iterator[str]:
    margin = "  " * (step.depth + 1)
    where = f", line {step.line}" if step.line else ""
    yield f"{margin}{step.path} ({step.kind}{where})"
    yield from _wait_lines(step.waits_for, margin)
    if step.beside_count:
        more = step.beside_count - len(step.beside)
        yield f"{margin}    beside: {_names(step.beside, more)}"
    yield f"{margin}    worst case: {_bound_text(step.bound)}"


def _wait_lines(reasons: Sequence[Reason], margin: str) -> Iterator[str]:
    waits = [reason for reason in reasons if reason.why != "goto"]
    if not waits:
        yield f"{margin}    waits for nothing"
    for reason in waits:
        yield f"{margin}    waits for {reason.step}: {reason.text()}"
    for reason in reasons:
        if reason.why == "goto":
            yield f"{margin}    begins again, or at once, when {reason.step} jumps to it"


def _bound_text(bound: Bound) -> str:
    asked = ""
    if bound.asked_ms != bound.ms:
        asked = (
            f"; {duration_text(bound.asked_ms)} if Retry-After asks for the longest waits"
        )
    calls = f"; {_calls(bound.calls)}" if bound.calls else ""
    if not bound.ms and not bound.calls:
        return bound.why or "no time"
    why = f" = {bound.why}" if bound.why else ""
    return f"{duration_text(bound.ms)}{why}{asked}{calls}"


def _whole_lines(explanation: Explanation) -> Iterator[str]:
    bound = explanation.bound
    if bound.ms:
        yield f"Longest path, by time:  {_names(bound.slowest, between=' → ')}"
    yield f"Longest path, by steps: {_names(bound.deepest, between=' → ')}"
    limit = explanation.timeout_ms
    capped = (
        f", cut off by the workflow's timeout of {duration_text(limit)}" if limit else ""
    )
    yield f"Worst case: {_bound_text(bound)}{capped}"


def _names(names: Sequence[str], more: int = 0, *, between: str = ", ") -> str:
    shown = names[:_NAMES_SHOWN_MAX]
    hidden = len(names) - len(shown) + more
    text = between.join(shown)
    return f"{text} … and {hidden} more" if hidden else text


def _calls(number: float) -> str:
    return "unbounded calls" if number == UNBOUNDED else _count(int(number), "call")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
