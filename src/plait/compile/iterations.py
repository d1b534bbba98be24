"""How often the steps inside a loop run at most, and how the times add up."""

from __future__ import annotations

import math
from typing import Final

from plait.compile.jumps import rounds_of
from plait.kernel.machines import built_in_machines
from plait.model.duration import format_ms, parse_duration_ms
from plait.model.record import record
from plait.plan import Node, Scope

UNBOUNDED: Final = math.inf


@record
class Iterations:
    """What a loop makes of one iteration's worst case.

    Attributes:
        count: Most iterations, or items; UNBOUNDED if nobody knows before it runs.
        in_a_row: So many of them one after the other, at worst.
        delay_ms: All waits between them.
        text: The same for people: `at most 100 iterations`.
    """

    count: float
    in_a_row: float
    delay_ms: float
    text: str

    def total_ms(self, one_ms: float) -> float:
        """Return the longest time of all of them."""
        return (self.in_a_row * one_ms if one_ms else 0) + self.delay_ms

    def total_calls(self, calls: float) -> float:
        """Return the most calls that all of them make."""
        return self.count * calls if calls else 0


def iterations_of(node: Node) -> Iterations | None:
    """Return what is known of a loop; None: the node is none."""
    if not built_in_machines()[node.machine].repeats:
        return None
    if node.machine == "foreach":
        return _of_items(node)
    count = node.options["max_iterations"]
    assert isinstance(count, int)
    delay_ms = _total_delay_ms(node, "delay", count - 1)
    what = "iterations" if "max_hops" not in node.options else "handlers"
    text = f"at most {count} {what}"
    return Iterations(count, count, delay_ms, _with_delay(text, delay_ms))


def visits_in(scope: Scope) -> list[int]:
    """Return, for each step of a sequence, how often it begins at most.

    Each jump back begins one round more; it is made so often as its target may begin again.
    """
    visits = [1] * len(scope.nodes)
    for one in rounds_of(_jumps(scope)):
        # In a round each step may be a target: whatever leads back, leads into it.
        again = sum(
            _max_visits(scope.nodes[at]) - 1
            for at, to in _jumps(scope)
            if at in one and to <= at
        )
        for at in one:
            visits[at] += again
    return visits


def jump_text(node: Node) -> str:
    """Return where a `goto` leads, and how often at most; of another step nothing."""
    if not built_in_machines()[node.machine].jumps:
        return ""
    return (
        f"goes on with {node.options['to']}, which begins {_max_visits(node)} times at most"
    )


def _jumps(scope: Scope) -> list[tuple[int, int]]:
    return [
        (node.index, scope.jumps[str(node.options["to"])])
        for node in scope.nodes
        if built_in_machines()[node.machine].jumps
    ]


def _max_visits(node: Node) -> int:
    most = node.options["max_visits"]
    assert isinstance(most, int)
    return most


def _of_items(node: Node) -> Iterations:
    template, most = node.templates.get("items"), node.options["max_concurrency"]
    assert isinstance(most, int)
    items = template.render({}) if template and template.is_constant else None
    if not isinstance(items, list):
        return Iterations(UNBOUNDED, UNBOUNDED, 0, "nobody knows how many items")
    count, size = len(items), node.options["batch_size"] or len(items) or 1
    assert isinstance(size, int)
    full, rest = divmod(count, size)
    in_a_row = full * math.ceil(size / most) + math.ceil(rest / most)
    delay_ms = _total_delay_ms(node, "batch_delay", full + (rest > 0) - 1)
    text = f"{count} items, {most} at once"
    return Iterations(count, in_a_row, delay_ms, _with_delay(text, delay_ms))


def _total_delay_ms(node: Node, name: str, count: int) -> float:
    template = node.templates.get(name)
    if template is None or count < 1:
        return 0
    if not template.is_constant:
        return UNBOUNDED
    return count * parse_duration_ms(str(template.render({})))


def _with_delay(text: str, delay_ms: float) -> str:
    if not delay_ms:
        return text
    told = "unbounded" if delay_ms == UNBOUNDED else format_ms(delay_ms)
    return f"{text}, {told} of delays"
