"""The worst case: how long steps can take, and how many calls they can make.

Rule 1. Every figure is a bound that a run does not pass, given that each call ends within
        its time limit, as the connectors promise. The work of Plait itself is not counted.
Rule 2. Nothing is guessed: what has no bound is UNBOUNDED, and `why` says why.

Steps in a row add up; steps side by side, and alternatives, count as their longest. A join
of some branches counts as a join of all: in the worst case those it waits for are slowest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from plait.compile.inside import inner_scopes, waits_of
from plait.compile.iterations import UNBOUNDED, iterations_of, jump_text, visits_in
from plait.compile.layers import topological
from plait.kernel.calls import CALL_TIMEOUT_MS_DEFAULT
from plait.kernel.machines import built_in_machines
from plait.kernel.retry import retry_of_items
from plait.model.duration import format_ms, parse_duration_ms
from plait.model.record import record
from plait.plan import Node, Plan, RetryPolicy, Scope

_WAITS: Final = frozenset({"wait", "wait_event"})
# A failed `set` or `return` is an expression's failure, which nothing tries again. A `fail`
# is tried again if `retry.on` says so, and waits in between.
_INSTANT: Final = frozenset({"set", "return", "goto"})
_ASKS_FOR_NO_WAIT: Final = _WAITS | {"fail"}


@record
class Bound:
    """What a step, a scope or an execution can come to.

    Attributes:
        ms: Longest time, from time limits and retries; UNBOUNDED if there is none.
        asked_ms: The same, when services ask for the longest waits that `max_delay`
            allows (`Retry-After`); never below `ms`.
        calls: Most calls made, retries and fallbacks included; UNBOUNDED if nobody knows.
        slowest: Paths of the steps that add up to `ms`, in the order in which they run.
        deepest: Paths of the longest chain of steps.
        why: How `ms` comes about, for people; empty for scopes.
    """

    ms: float
    asked_ms: float
    calls: float
    slowest: tuple[str, ...] = ()
    deepest: tuple[str, ...] = ()
    why: str = ""


def worst_cases(plan: Plan) -> tuple[Bound, Mapping[str, Bound]]:
    """Return the bound of a whole execution of `plan`, and of each step by path."""
    found: dict[str, Bound] = {}
    whole = _scope(plan.scope, "", found)
    if plan.timeout_ms is None:
        return whole, found
    ms, asked_ms = min(whole.ms, plan.timeout_ms), min(whole.asked_ms, plan.timeout_ms)
    return Bound(ms, asked_ms, whole.calls, whole.slowest, whole.deepest), found


def _scope(scope: Scope, prefix: str, found: dict[str, Bound]) -> Bound:
    """Return the bound of `scope`: its longest paths, by time and by number of steps."""
    bounds = [_step(node, prefix + node.id, found) for node in scope.nodes]
    if scope.jumps:
        bounds = [*map(_visited, bounds, visits_in(scope))]
    deps = waits_of(scope)
    ms = [bound.ms for bound in bounds]
    slowest_end, slowest = _longest(deps, ms)
    asked_end, _ = _longest(deps, [bound.asked_ms for bound in bounds])
    _, deepest = _longest(deps, [len(bound.deepest) for bound in bounds])
    return Bound(
        slowest_end,
        asked_end,
        sum(bound.calls for bound in bounds),
        tuple(path for node in slowest for path in bounds[node].slowest),
        tuple(path for node in deepest for path in bounds[node].deepest),
    )


def _visited(bound: Bound, visits: int) -> Bound:
    """Return the bound of a step that a `goto` may let run again, all visits together."""
    return replace(
        bound,
        ms=bound.ms * visits,
        asked_ms=bound.asked_ms * visits,
        calls=bound.calls * visits,
    )


def _longest(
    deps: list[list[int]], weights: list[float] | list[int]
) -> tuple[float, list[int]]:
    """Return the weight of the heaviest chain, and the chain. Ties go to the first."""
    total: list[float] = [0.0] * len(deps)
    before: list[int | None] = [None] * len(deps)
    for node in topological(deps):
        before[node] = max(deps[node], key=lambda dep: total[dep], default=None)
        previous = before[node]
        total[node] = weights[node] + (0 if previous is None else total[previous])
    last: int | None = max(range(len(deps)), key=lambda node: total[node])
    heaviest = total[last] if last is not None else 0
    chain: list[int] = []
    while last is not None:
        chain.append(last)
        last = before[last]
    return heaviest, chain[::-1]


# -- one step --------------------------------------------------------------------------


def _step(node: Node, path: str, found: dict[str, Bound]) -> Bound:
    inner = [
        (scope.is_fallback, _scope(scope.scope, scope.prefix, found))
        for scope in inner_scopes(node, path)
    ]
    inside = [_repeated(node, bound) for is_fallback, bound in inner if not is_fallback]
    bound = Bound(0, 0, 0, (path,), (path,), "disabled")
    if not node.disabled:
        machine = built_in_machines()[node.machine]
        turns = machine.turns(node)
        if turns:
            inside = _in_turns(turns, dict(zip(node.scopes, inside, strict=True)))
        if machine.is_endless:
            inside = [_endless(one) for one in inside]
        bound = _own(node, path, inside)
        for is_fallback, fallback in inner:
            bound = _with_fallback(bound, fallback) if is_fallback else bound
    found[path] = bound
    return bound


def _in_turns(
    turns: tuple[tuple[str, ...], ...], inside: Mapping[str, Bound]
) -> list[Bound]:
    """Return the bound of scopes that run one after the other, or exclude each other."""
    named = ([inside[name] for name in turn if name in inside] for turn in turns)
    each = [_one_of(bounds) for bounds in named if bounds]
    if len(each) < 2:
        return each
    whole = Bound(
        sum(one.ms for one in each),
        sum(one.asked_ms for one in each),
        sum(one.calls for one in each),
        tuple(path for one in each for path in one.slowest),
        tuple(path for one in each for path in one.deepest),
    )
    return [whole]


def _one_of(bounds: list[Bound]) -> Bound:
    """Return the bound of scopes of which only one runs, nobody knows which."""
    slowest = max(bounds, key=lambda bound: bound.ms)
    return replace(
        slowest,
        asked_ms=max(one.asked_ms for one in bounds),
        calls=max(one.calls for one in bounds),
        deepest=max(bounds, key=lambda bound: len(bound.deepest)).deepest,
    )


def _endless(inside: Bound) -> Bound:
    """Return the bound of what runs whenever somebody outside says so."""
    calls = UNBOUNDED if inside.calls else 0
    why = "it waits for events, as often as they come"
    return Bound(UNBOUNDED, UNBOUNDED, calls, inside.slowest, inside.deepest, why)


def _own(node: Node, path: str, inside: list[Bound]) -> Bound:
    """Return the bound of the step's own attempts."""
    if node.machine in _INSTANT:
        return Bound(0, 0, 0, (path,), (path,), jump_text(node) or "takes no time")
    tries = _Attempts(node)
    slowest = max(inside, key=lambda bound: bound.ms, default=None)
    deepest = max(inside, key=lambda bound: len(bound.deepest), default=None)
    one_ms, why = _attempt_ms(node, slowest)
    one_asked_ms = max((bound.asked_ms for bound in inside), default=one_ms)
    calls = _calls_of(node) if node.machine == "call" else sum(b.calls for b in inside)
    return Bound(
        tries.total_ms(one_ms, asked=False),
        tries.total_ms(one_asked_ms, asked=node.machine not in _ASKS_FOR_NO_WAIT),
        calls * tries.count_max,
        slowest.slowest if slowest else (path,),
        deepest.deepest if deepest else (path,),
        tries.explain(one_ms, why),
    )


def _calls_of(node: Node) -> int:
    """Return how many calls one attempt makes at most."""
    hedge = None if node.policies is None else node.policies.hedge
    return 1 if hedge is None else 1 + hedge.hedges_max


def _repeated(node: Node, inside: Bound) -> Bound:
    """Return what a loop makes of the bound of its scope; of any other step, the same."""
    iterations = iterations_of(node)
    if iterations is None:
        return inside
    ms, asked_ms, tries = inside.ms, inside.asked_ms, 1
    policy = retry_of_items(node)
    if policy is not None:
        tries = policy.attempts_max
        between = range(1, tries)
        waits_ms = sum(longest_delay_ms(policy, attempt) for attempt in between)
        ms = ms * tries + waits_ms
        asked_ms = asked_ms * tries + policy.delay_ms_max * len(between)
    limit_ms = node.options.get("item_timeout_ms")
    if isinstance(limit_ms, int):
        ms, asked_ms = min(ms, limit_ms), min(asked_ms, limit_ms)
    return Bound(
        iterations.total_ms(ms),
        iterations.total_ms(asked_ms),
        iterations.total_calls(inside.calls * tries),
        inside.slowest,
        inside.deepest,
        f"{iterations.text}, each {duration_text(ms)}",
    )


def _with_fallback(own: Bound, fallback: Bound) -> Bound:
    return Bound(
        own.ms + fallback.ms,
        own.asked_ms + fallback.asked_ms,
        own.calls + fallback.calls,
        own.slowest + fallback.slowest,
        own.deepest + fallback.deepest,
        f"{own.why}, then the fallback: {duration_text(fallback.ms)}",
    )


def _attempt_ms(node: Node, slowest: Bound | None) -> tuple[float, str]:
    """Return the longest that one attempt can take by itself, and why."""
    if slowest is not None:
        return slowest.ms, slowest.why or "what is inside"
    if node.machine == "fail":
        return 0, "takes no time"
    if node.machine == "call":
        ms, why = _call_ms(node)
        waits_ms = _in_line_ms(node)
        return (ms + waits_ms, f"{why} and waiting in line") if waits_ms else (ms, why)
    if node.machine == "approval":
        return UNBOUNDED, "it waits for a person"
    if node.machine in _WAITS:
        return _wait_ms(node)
    return UNBOUNDED, f"'{node.kind}' has no bound of its own"


def _call_ms(node: Node) -> tuple[float, str]:
    """Return the longest that a call can take once it is made, and why."""
    if node.attempt_timeout_ms is not None:
        return node.attempt_timeout_ms, "attempt_timeout"
    if node.timeout_ms is not None:
        return node.timeout_ms, "timeout"
    if "timeout_ms_default" in node.options:
        return UNBOUNDED, f"'{node.kind}' has no time limit of its own"
    return CALL_TIMEOUT_MS_DEFAULT, "the default time limit of a call"


def _in_line_ms(node: Node) -> int:
    """Return the longest that a call can wait for its policies to let it through."""
    if node.policies is None:
        return 0
    lines = (node.policies.rate_limit, node.policies.bulkhead)
    return sum(one.queue_ms for one in lines if one is not None and one.queue_max)


def _wait_ms(node: Node) -> tuple[float, str]:
    """Return the longest that a wait can take by itself, and why."""
    if "until" in node.templates:
        return UNBOUNDED, "it waits until a moment"
    is_event = node.machine == "wait_event"
    limit = node.templates.get("timeout" if is_event else "for")
    if limit is None:
        return UNBOUNDED, f"it waits for the event '{node.options['name']}'"
    if not limit.is_constant:
        return UNBOUNDED, "a template gives the duration of the wait"
    why = "the timeout of its event" if is_event else "the wait"
    return parse_duration_ms(str(limit.render({}))), why


class _Attempts:
    """How a step's attempts add up under its time limits."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._policy = node.retry
        self.count_max = self._count_max()

    def _count_max(self) -> int:
        """Return how many attempts there can be: fast ones, with the shortest waits."""
        policy, node = self._policy, self._node
        if policy is None:
            return 1
        if node.machine == "wait" and node.attempt_timeout_ms is None:
            return 1
        waited_ms = 0.0
        for attempt in range(1, policy.attempts_max):
            waited_ms += shortest_delay_ms(policy, attempt)
            # An attempt is not begun at or after the step's deadline.
            if node.timeout_ms is not None and waited_ms >= node.timeout_ms:
                return attempt
        return policy.attempts_max

    def total_ms(self, one_ms: float, *, asked: bool) -> float:
        """Return the longest time of all attempts and the waits between them."""
        node = self._node
        if node.attempt_timeout_ms is not None:
            # Of a call waiting in line comes before, and is part of `one_ms`.
            one_ms = min(one_ms, node.attempt_timeout_ms + _in_line_ms(node))
        total_ms = one_ms * self.count_max + self._waits_ms(asked=asked)
        return total_ms if node.timeout_ms is None else min(total_ms, node.timeout_ms)

    def _waits_ms(self, *, asked: bool) -> float:
        policy = self._policy
        if policy is None:
            return 0
        attempts = range(1, self.count_max)
        if asked:
            return float(policy.delay_ms_max * len(attempts))
        return sum(longest_delay_ms(policy, attempt) for attempt in attempts)

    def explain(self, one_ms: float, why: str) -> str:
        """Return how the time comes about.

        For example `2 attempts × 800ms (attempt_timeout) + 50ms of waits, cut off at 1s
        (timeout)`.
        """
        node, limit_ms = self._node, self._node.attempt_timeout_ms
        if limit_ms is not None and limit_ms < one_ms:
            one_ms, why = limit_ms, "attempt_timeout"
        text = f"{duration_text(one_ms)} ({why})"
        if self.count_max > 1:
            waits_ms = self._waits_ms(asked=False)
            text = f"{self.count_max} attempts × {text}"
            text += f" + {duration_text(waits_ms)} of waits" if waits_ms else ""
        whole_ms = one_ms * self.count_max + self._waits_ms(asked=False)
        if node.timeout_ms is not None and node.timeout_ms < whole_ms:
            text += f", cut off at {duration_text(node.timeout_ms)} (timeout)"
        return text


def longest_delay_ms(policy: RetryPolicy, attempt: int) -> int:
    """Return the longest own wait after failed attempt number `attempt`.

    >>> policy = RetryPolicy(5, 100, "exponential", 2.0, 500, 0.5, None, None)
    >>> [longest_delay_ms(policy, attempt) for attempt in (1, 2, 3)]
    [150, 300, 500]
    """
    return _delay_ms(policy, attempt, 1 + policy.jitter, max)


def shortest_delay_ms(policy: RetryPolicy, attempt: int) -> int:
    """Return the shortest wait after failed attempt number `attempt`.

    >>> policy = RetryPolicy(5, 100, "random", 2.0, 500, 0.0, None, None)
    >>> shortest_delay_ms(policy, 1), longest_delay_ms(policy, 1)
    (100, 500)
    """
    return _delay_ms(policy, attempt, 1 - policy.jitter, min)


def _delay_ms(
    policy: RetryPolicy, attempt: int, spread: float, pick: Callable[[int, int], int]
) -> int:
    """Return an extreme of what `plait.kernel.backoff.next_delay_ms` can give."""
    match policy.backoff:
        case "fixed":
            base_ms: float = policy.delay_ms
        case "linear":
            base_ms = policy.delay_ms * attempt
        case "exponential":
            # 63: past this the power only builds numbers that the ceiling discards.
            power = min(attempt - 1, 63)
            base_ms = min(policy.delay_ms * policy.factor**power, policy.delay_ms_max)
        case "random":
            base_ms = pick(policy.delay_ms, policy.delay_ms_max)
    return round(min(base_ms * spread, policy.delay_ms_max))


def duration_text(ms: float) -> str:
    """Return a bound as people write it.

    >>> duration_text(1500), duration_text(UNBOUNDED)
    ('1.5s', 'unbounded')
    """
    return "unbounded" if ms == UNBOUNDED else format_ms(ms)
