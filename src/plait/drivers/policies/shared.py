"""What is shared: one gate per upstream (or name, or key), and one retry budget.

Rule 1. Gates are shared by all workflows of a tenant that say the same of one upstream;
        what is said otherwise is another gate. No tenant uses up what is another's.
Rule 2. Their number is bounded, and each tenant's (plait.drivers.policies.shares). A gate
        that is in use is never dropped for another: who comes with more upstreams or keys
        than there is room for is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from plait.drivers.policies.gates import (
    BreakerGate,
    BulkheadGate,
    Gate,
    Given,
    LimitGate,
)
from plait.drivers.policies.shares import Shares
from plait.kernel import CallPolicies
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import (
    BreakerPolicy,
    BulkheadPolicy,
    HedgePolicy,
    Policies,
    RateLimitPolicy,
)
from plait.plan import RetryBudget as BudgetPolicy
from plait.resilience import BreakerState as State
from plait.resilience import Hedge, RateLimited, RetryBudget

# A gate takes 1 to 2 KB, so all of them 40 MB. One tenant alone has half of them.
GATES_MAX: Final = 20_000
# Looked at for each new gate, the longest unused first: so the idle go faster than new ones
# come, and a few busy ones do not hide them.
_LOOKED_AT: Final = 8
# Of several breakers under one name an open one is told: alerts are about that.
_BY_CONCERN: Final[Sequence[JsonValue]] = [
    *(State.CLOSED.value, State.HALF_OPEN.value, State.OPEN.value, State.ISOLATED.value)
]
# Each keeps the times of 500 calls, 4 KB.
_HEDGES_MAX: Final = 2_000

Around: TypeAlias = tuple[Gate, Given]
# A tenant, and a key.
Whose: TypeAlias = tuple[str, str]
# Policy, name, whose, and what is said of it.
_Id: TypeAlias = tuple[Any, ...]


@record
class Kinds:
    """What makes the gates: of an upstream (or name), whose, and what is said of them.

    Whose is the tenant and the key: what a gate has in common between processes, it has
    under those too.
    """

    circuit_breaker: Callable[[str, Whose, BreakerPolicy], Gate]
    rate_limit: Callable[[str, Whose, RateLimitPolicy], Gate]
    bulkhead: Callable[[str, Whose, BulkheadPolicy], Gate]


LOCAL: Final = Kinds(
    lambda name, _, given: BreakerGate(name, given),
    lambda name, _, given: LimitGate(name, given),
    lambda name, _, given: BulkheadGate(name, given),
)


class Shared:
    """The gates and budgets of one process.

    Args:
        gates_max: How many there may be.
        kinds: How they are made; by default all of them are in this process alone.
    """

    def __init__(self, gates_max: int = GATES_MAX, *, kinds: Kinds = LOCAL) -> None:
        self._gates_max = gates_max
        self._kinds = kinds
        self._known: dict[tuple[int, str, str], tuple[Policies, tuple[Around, ...]]] = {}
        self._gates = Shares[_Id, Gate](
            gates_max, lambda gate: gate.is_idle, looked_at=_LOOKED_AT
        )
        # Nothing of these is held: one that is used again begins anew.
        self._hedges = Shares[tuple[str, HedgePolicy], Hedge](
            _HEDGES_MAX, lambda _: True, looked_at=1
        )
        self._budgets = Shares[tuple[str, BudgetPolicy], RetryBudget](
            gates_max, lambda _: True, looked_at=1
        )

    def gates(self, upstream: str, tenant: str, asked: CallPolicies) -> Iterable[Around]:
        """Return the gates around a call, outermost first, with what its step says of each.

        Args:
            tenant: On whose behalf it is made.

        To go through them may raise RateLimited: there is no room for another gate.
        """
        policies = asked.policies
        if policies is None:
            return ()
        if asked.keys:
            return self._around(upstream, tenant, policies, asked.keys)
        # Looking for each of them takes 5 µs: what is said of it is hashed. A plan's
        # policies are the same object in all its calls, and are held here beside their id.
        at = id(policies), upstream, tenant
        known = self._known.get(at)
        if known is None:
            around = tuple(self._around(upstream, tenant, policies, {}))
            if len(self._known) >= self._gates_max:
                self._known.clear()
            known = self._known[at] = policies, around
        return known[1]

    def _around(
        self, upstream: str, tenant: str, policies: Policies, keys: Mapping[str, str]
    ) -> Iterator[Around]:
        breaker, limit, bulkhead = (
            policies.circuit_breaker,
            policies.rate_limit,
            policies.bulkhead,
        )
        for policy, given in (
            ("circuit_breaker", breaker),
            ("rate_limit", limit),
            ("bulkhead", bulkhead),
        ):
            if given is not None:
                whose = tenant, keys.get(policy, "")
                yield self._gate(policy, given.name or upstream, whose, given), given

    def budget(self, upstream: str, tenant: str, given: BudgetPolicy) -> RetryBudget:
        """Return what pays for a tenant's retries of an upstream."""
        at = upstream, given
        budget = self._budgets.get(tenant, at)
        if budget is not None:
            return budget
        made = RetryBudget(
            ratio=given.ratio,
            min_retries=given.retries_min,
            window_s=given.window_ms / 1000,
        )
        if self._budgets.make_room(tenant):
            self._budgets.add(tenant, at, made)
        return made

    def hedge(self, upstream: str, tenant: str, given: HedgePolicy) -> Hedge:
        """Return what knows how fast an upstream is, and counts the hedges of a tenant's
        calls.
        """
        at = upstream, given
        hedge = self._hedges.get(tenant, at)
        if hedge is not None:
            return hedge
        after_ms = given.after_ms
        made = Hedge(
            None if after_ms is None else after_ms / 1000,
            quantile=given.quantile,
            max_hedges=given.hedges_max,
            max_share=given.share,
            name=upstream,
        )
        if self._hedges.make_room(tenant):
            self._hedges.add(tenant, at, made)
        return made

    def snapshot(self) -> JsonObject:
        """Return what all policies hold and did, by policy and name.

        Those of several tenants, keys or settings are added up; `count` says of how many.
        """
        told: dict[str, dict[str, JsonObject]] = {}
        for (policy, name, *_), gate in self._gates:
            _add(told.setdefault(policy, {}), name, gate.snapshot())
        for (name, *_), budget in self._budgets:
            now = budget.snapshot()
            counts: JsonObject = {
                "requests": now.requests,
                "retries": now.retries,
                "refused": now.refused,
            }
            _add(told.setdefault("retry_budget", {}), name, counts)
        for (name, *_), hedge in self._hedges:
            so_far = hedge.snapshot()
            made: JsonObject = {
                "hedged": so_far.hedges,
                "won": so_far.won,
                "refused": so_far.refused,
            }
            _add(told.setdefault("hedge", {}), name, made)
        whole: dict[str, JsonValue] = {kind: {**named} for kind, named in told.items()}
        return whole

    def _gate(self, policy: str, name: str, whose: Whose, given: Given) -> Gate:
        gate_id = (policy, name, whose, *said_of(given))
        tenant = whose[0]
        gate = self._gates.get(tenant, gate_id)
        if gate is not None:
            return gate
        self._make_room(tenant, name)
        made: Gate = getattr(self._kinds, policy)(name, whose, given)
        self._gates.add(tenant, gate_id, made)
        return made

    def _make_room(self, tenant: str, name: str) -> None:
        before = len(self._gates)
        has_room = self._gates.make_room(tenant)
        if len(self._gates) != before:
            self._known.clear()
        if not has_room:
            count = self._gates.count(tenant)
            text = f"{count} upstreams and keys of this tenant are in use already"
            raise RateLimited(text, name=name)


def said_of(given: Given) -> tuple[Any, ...]:
    """Return what makes two policies one, beside their name."""
    match given:
        case BreakerPolicy():
            return (given,)
        case RateLimitPolicy():
            size = given.limit, given.period_ms, given.strategy, given.burst
            return *size, given.queue_max
        case BulkheadPolicy():
            return given.concurrency_max, given.queue_max, given.queue_ms


def _add(named: dict[str, JsonObject], name: str, found: JsonObject) -> None:
    known = named.get(name)
    if known is None:
        named[name] = {**found, "count": 1}
        return
    for key, value in {**found, "count": 1}.items():
        before = known[key]
        if isinstance(value, int) and isinstance(before, int):
            known[key] = before + value
        else:
            known[key] = max(before, value, key=_BY_CONCERN.index)
