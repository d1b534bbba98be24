"""Explain a plan: what each step waits for and why, what runs at the same time, the
longest path, and the worst case of time and calls.

Everything follows from the plan alone; nothing is run and nothing is asked.

Not here: the text that `plait explain` prints (plait.cli), where the figures come from
(plait.compile.worst_case).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from plait.compile.draw.graph import GraphNode
from plait.compile.draw.states import states_graph
from plait.compile.inside import inner_scopes, waits_of
from plait.compile.iterations import UNBOUNDED
from plait.compile.layers import bits, levels, overlaps
from plait.compile.reasons import Reason, jumps_to, reasons_in
from plait.compile.worst_case import Bound, worst_cases
from plait.kernel.machines import built_in_machines
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import Node, Plan, Scope

# Of a thousand steps at once, naming a hundred says enough; the count is exact.
BESIDE_COUNT_MAX: Final = 100


@record
class StepExplanation:
    """What there is to say of one step.

    Attributes:
        path: The step's address: `orders`, `enrich[left]/fetch`.
        line: Where it stands in the document, from 1; 0 if unknown.
        depth: How many steps it is inside of.
        wave: How many steps of its scope must settle before it, one after the other.
        waits_for: Why it waits, for each step of its scope that it waits for; and which
            ones jump to it.
        beside: Steps and branches that may run at the same time, the first
            BESIDE_COUNT_MAX of them; what is inside them is meant too.
        beside_count: How many there are.
        bound: The worst case; UNBOUNDED times mean that there is none.
    """

    path: str
    kind: str
    line: int
    depth: int
    wave: int
    waits_for: tuple[Reason, ...]
    beside: tuple[str, ...]
    beside_count: int
    bound: Bound

    def as_json(self) -> JsonObject:
        """Return the step as an object; times in milliseconds, null if unbounded."""
        return {
            "step": self.path,
            "kind": self.kind,
            "line": self.line,
            "wave": self.wave,
            "waits_for": [reason.as_json() for reason in self.waits_for],
            "runs_beside": list(self.beside),
            "runs_beside_count": self.beside_count,
            **_worst(self.bound),
            "worst_case_why": self.bound.why,
        }


@record
class Explanation:
    """What there is to say of a workflow.

    Attributes:
        steps: Every step, each before those inside it, in document order.
        waves: The document's own steps, by how many steps must settle before them.
        bound: The worst case of an execution, its slowest and its deepest path.
        timeout_ms: The document's own time limit; None: it has none.
        states: Of a state machine: its states, each with the transitions out of it.
    """

    name: str
    order: str
    steps: tuple[StepExplanation, ...]
    waves: tuple[tuple[str, ...], ...]
    bound: Bound
    timeout_ms: int | None
    states: tuple[GraphNode, ...] = ()

    def as_json(self) -> JsonObject:
        """Return everything as an object; times in milliseconds, null if unbounded."""
        states: list[JsonValue] = [
            {"state": one.id, "kind": one.kind, "transitions": [*one.lines]}
            for one in self.states
        ]
        return {
            "name": self.name,
            "order": self.order,
            "steps": [step.as_json() for step in self.steps],
            "waves": [list(wave) for wave in self.waves],
            "slowest_path": list(self.bound.slowest),
            "longest_path": list(self.bound.deepest),
            **_worst(self.bound),
            "timeout_ms": self.timeout_ms,
            **({"states": states} if states else {}),
        }


def explain(plan: Plan) -> Explanation:
    """Return what there is to say of `plan` without running it."""
    whole, bounds = worst_cases(plan)
    scope = plan.scope
    machine = states_graph(plan, plan.name)
    wave_of = levels(waits_of(scope))
    waves: list[list[str]] = [[] for _ in range(max(wave_of, default=-1) + 1)]
    for node, wave in zip(scope.nodes, wave_of, strict=True):
        waves[wave].append(node.id)
    return Explanation(
        plan.name,
        scope.order,
        tuple(_Explainer(bounds).steps(scope, "", 0, (), 0)),
        tuple(tuple(wave) for wave in waves),
        whole,
        plan.timeout_ms,
        () if machine is None else machine.root.nodes,
    )


class _Explainer:
    def __init__(self, bounds: Mapping[str, Bound]) -> None:
        self._bounds = bounds

    def steps(
        self, scope: Scope, prefix: str, depth: int, around: tuple[str, ...], count: int
    ) -> Iterator[StepExplanation]:
        """Yield the steps of `scope` and those inside them.

        Args:
            around: What runs beside the scope as a whole, and `count`, how much that is.
        """
        deps = waits_of(scope)
        wave_of, beside = levels(deps), overlaps(deps)
        reasons, jumps = reasons_in(scope, prefix), jumps_to(scope, prefix)
        for index, node in enumerate(scope.nodes):
            path = prefix + node.id
            named = bits(beside[index], BESIDE_COUNT_MAX)
            own = tuple(prefix + scope.nodes[other].id for other in named)
            seen = (own + around)[:BESIDE_COUNT_MAX]
            seen_count = beside[index].bit_count() + count
            yield StepExplanation(
                path,
                node.kind,
                node.place.line,
                depth,
                wave_of[index],
                tuple(reasons[index] + jumps[index]),
                seen,
                seen_count,
                self._bounds[path],
            )
            yield from self._inside(node, path, depth, seen, seen_count)

    def _inside(
        self, node: Node, path: str, depth: int, around: tuple[str, ...], count: int
    ) -> Iterator[StepExplanation]:
        inner = list(inner_scopes(node, path))
        is_together = built_in_machines()[node.machine].runs_together(node)
        branches = [one.id for one in inner if is_together and not one.is_fallback]
        for scope in inner:
            others = tuple(one for one in branches if one != scope.id)
            if scope.is_fallback:
                others = ()
            beside = (others[:BESIDE_COUNT_MAX] + around)[:BESIDE_COUNT_MAX]
            total = len(others) + count
            yield from self.steps(scope.scope, scope.prefix, depth + 1, beside, total)


def _worst(bound: Bound) -> dict[str, JsonValue]:
    return {
        "worst_case_ms": _ms(bound.ms),
        "worst_case_ms_with_retry_after": _ms(bound.asked_ms),
        "calls_max": None if bound.calls == UNBOUNDED else int(bound.calls),
    }


def _ms(ms: float) -> JsonValue:
    return None if ms == UNBOUNDED else round(ms)
