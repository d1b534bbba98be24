"""Shares: however many things one tenant makes up, another finds room and keeps its own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from plait.drivers.policies.gates import Gate
from plait.drivers.policies.shared import Shared
from plait.drivers.policies.shares import Shares
from plait.kernel import CallPolicies
from plait.plan import (
    BreakerPolicy,
    BulkheadPolicy,
    HedgePolicy,
    Policies,
    RateLimitPolicy,
    RetryBudget,
)
from plait.resilience import RateLimited

Given: TypeAlias = dict[str, Any]

ROOM = 60
_numbers = itertools.count()
LIMIT = RateLimitPolicy(limit=1, period_ms=3_600_000, queue_max=0, queue_ms=0)
# Each of them is in use once a call has gone through, or is going.
IN_USE: tuple[Given, ...] = ({"rate_limit": LIMIT}, {"bulkhead": BulkheadPolicy(1)})


def filled(shares: Shares[str, bool], tenant: str, count: int, *, idle: bool) -> int:
    """Make up so many; return how many there was room for."""
    made = 0
    for _ in range(count):
        if shares.make_room(tenant):
            shares.add(tenant, f"{next(_numbers)}", idle)
            made += 1
    return made


def shares(room: int = ROOM) -> Shares[str, bool]:
    return Shares(room, bool, looked_at=8)


def test_a_tenant_alone_has_half_and_each_that_follows_half_of_what_is_left() -> None:
    some = shares()
    assert [filled(some, one, 100, idle=False) for one in "abcd"] == [30, 15, 8, 4]
    assert len(some) == 57
    assert [some.count(one) for one in "abcd"] == [30, 15, 8, 4]


def test_what_is_idle_goes_for_the_tenants_own_first() -> None:
    some = shares()
    some.add("a", "first", True)
    filled(some, "a", 29, idle=True)
    assert filled(some, "b", 500, idle=True) == 500
    assert some.count("a") == 30
    assert some.get("a", "first") is True


def test_the_idle_of_the_tenant_that_has_most_go_for_one_that_has_less() -> None:
    some = shares()
    filled(some, "a", 30, idle=True)
    filled(some, "b", 4, idle=False)
    assert filled(some, "c", 100, idle=False) == 21
    assert [some.count(one) for one in "ab"] == [14, 4]


def test_a_few_that_are_busy_do_not_hide_the_idle_behind_them() -> None:
    some = shares()
    filled(some, "a", 20, idle=False)
    assert some.make_room("a")
    some.add("a", "idle", True)
    filled(some, "a", 9, idle=False)
    assert filled(some, "a", 4, idle=False) == 1


def test_never_more_than_there_is_room_for_and_nothing_in_use_goes() -> None:
    dice = random.Random(7)
    for _ in range(50):
        room = dice.randrange(1, 40)
        some, in_use = shares(room), set[tuple[str, str]]()
        for number in range(300):
            tenant, idle = dice.choice("abcde"), dice.random() < 0.5
            if some.make_room(tenant):
                some.add(tenant, str(number), idle)
                if not idle:
                    in_use.add((tenant, str(number)))
            assert len(some) <= room
            assert len(some) == len([*some]) == sum(map(some.count, "abcde"))
        assert all(some.get(*one) is False for one in in_use)


# -- gates, budgets and hedges -----------------------------------------------------------


def gates(shared: Shared, upstream: object, tenant: str, given: Given) -> list[Gate]:
    asked = CallPolicies(Policies(**given), {}, None, None)
    return [gate for gate, _ in shared.gates(f"http://{upstream}", tenant, asked)]


def begun(shared: Shared, upstream: object, tenant: str, given: Given) -> list[Gate]:
    """Let a call through, and leave it there; return its gates."""
    around = gates(shared, upstream, tenant, given)
    for gate, policy in zip(around, given.values(), strict=True):
        gate.try_enter(policy)
    return around


def made_up(shared: Shared, tenant: str, given: Given) -> int:
    """Call one upstream after the other, as long as there is room; return how many."""
    for number in range(1_000):
        try:
            begun(shared, number, tenant, given)
        except RateLimited:
            return number
    return 1_000


@pytest.mark.parametrize("given", IN_USE)
def test_a_tenant_that_makes_up_upstreams_takes_no_room_from_another(given: Given) -> None:
    shared = Shared(gates_max=ROOM)
    kept = [begun(shared, number, "beta", given) for number in range(10)]
    assert made_up(shared, "acme", given) == 25
    with pytest.raises(RateLimited, match="25 upstreams and keys of this tenant are in"):
        begun(shared, "another", "acme", given)
    assert [gates(shared, number, "beta", given) for number in range(10)] == kept
    for tenant in ("beta", "gamma"):
        for number in range(100, 105):
            begun(shared, number, tenant, given)


def test_a_tenant_that_makes_up_names_closes_no_breaker_of_another() -> None:
    shared = Shared(gates_max=ROOM)
    given: Given = {"circuit_breaker": BreakerPolicy(failure_threshold=2)}
    own = gates(shared, "a", "beta", given)
    for number in range(1_000):
        gates(shared, number, "acme", given)
    assert gates(shared, "a", "beta", given) == own


def _budget(shared: Shared, upstream: str, tenant: str) -> object:
    return shared.budget(upstream, tenant, RetryBudget())


def _hedge(shared: Shared, upstream: str, tenant: str) -> object:
    return shared.hedge(upstream, tenant, HedgePolicy(after_ms=5))


@pytest.mark.parametrize("made", [_budget, _hedge])
def test_a_tenant_that_makes_up_upstreams_resets_nothing_of_another(
    made: Callable[[Shared, str, str], object],
) -> None:
    shared = Shared(gates_max=ROOM)
    first = made(shared, "http://a", "beta")
    for number in range(3_000):
        made(shared, f"http://{number}", "acme")
    assert made(shared, "http://a", "beta") is first
