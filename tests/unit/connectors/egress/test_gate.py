"""The gate: the resolve map, the policy and the resolver together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from plait.connectors.egress import (
    Egress,
    EgressPolicy,
    ForbiddenAddress,
    ResolveMap,
    UnknownHost,
    read_host,
)
from plait.connectors.egress.resolver import LOOKUP_COUNT_MAX, Resolver

Asked = list[str]


def resolver_of(names: dict[str, list[str]], ttl_s: float = 60) -> tuple[Resolver, Asked]:
    """Return a resolver over these names, and what the system was asked."""
    asked: Asked = []

    def ask(name: str) -> tuple[str, ...]:
        asked.append(name)
        return tuple(names.get(name, ()))

    return Resolver(ttl_s=ttl_s, ask=ask), asked


class Silent:
    """Name servers that give no answer for some names until they are let go."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent
        self.asked: Asked = []
        self.let_go = threading.Event()

    def ask(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if name.startswith(self.silent):
            assert self.let_go.wait(30)
        return ("10.0.0.1",)


@pytest.fixture
def silent() -> Iterator[Silent]:
    servers = Silent("hung")
    yield servers
    servers.let_go.set()


async def settle(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task], timeout=5)
    assert task.done()


async def test_names_that_hang_hold_up_no_other_name(silent: Silent) -> None:
    resolver = Resolver(ask=silent.ask)
    hung = [asyncio.create_task(resolver.addresses(f"hung{n}")) for n in range(20)]
    assert await asyncio.wait_for(resolver.addresses("users"), 4) == ("10.0.0.1",)
    assert not any(task.done() for task in hung)
    silent.let_go.set()
    await asyncio.gather(*hung)


async def test_names_out_of_templates_cannot_starve_the_operators_names(
    silent: Silent,
) -> None:
    resolver = Resolver(ask=silent.ask)
    count = LOOKUP_COUNT_MAX + 1
    hung = [
        asyncio.create_task(resolver.addresses(f"hung{n}", is_trusted=False))
        for n in range(count)
    ]
    other = asyncio.create_task(resolver.addresses("x.example", is_trusted=False))
    assert await asyncio.wait_for(resolver.addresses("users"), 4) == ("10.0.0.1",)
    assert "x.example" not in silent.asked
    assert len(silent.asked) == LOOKUP_COUNT_MAX + 1
    silent.let_go.set()
    await asyncio.gather(*hung, other)


async def test_a_caller_in_line_that_gives_up_is_never_asked_for(silent: Silent) -> None:
    resolver = Resolver(ask=silent.ask)
    hung = [
        asyncio.create_task(resolver.addresses(f"hung{n}")) for n in range(LOOKUP_COUNT_MAX)
    ]
    given_up = asyncio.create_task(resolver.addresses("given-up"))
    await asyncio.sleep(0)
    given_up.cancel()
    await settle(given_up)
    silent.let_go.set()
    await asyncio.gather(*hung)
    await resolver.addresses("last")
    assert "given-up" not in silent.asked


async def test_nobody_joins_a_question_that_was_just_given_up(silent: Silent) -> None:
    resolver = Resolver(ask=silent.ask)
    hung = [
        asyncio.create_task(resolver.addresses(f"hung{n}")) for n in range(LOOKUP_COUNT_MAX)
    ]
    given_up = asyncio.create_task(resolver.addresses("wanted"))

    async def ask_next() -> Any:
        with suppress(asyncio.CancelledError):
            await given_up
        return await resolver.addresses("wanted")

    asking = asyncio.create_task(ask_next())
    await asyncio.sleep(0)
    given_up.cancel()
    await settle(given_up)
    silent.let_go.set()
    await settle(asking)
    assert asking.result() == ("10.0.0.1",)
    await asyncio.gather(*hung)


async def test_a_name_that_hangs_is_given_up_and_not_asked_for_twice(
    silent: Silent,
) -> None:
    resolver = Resolver(ask=silent.ask, timeout_s=0.02)
    for _ in range(3):
        with pytest.raises(UnknownHost, match="no name server answered within 20ms"):
            await resolver.addresses("hung")
    assert silent.asked == ["hung"]


async def test_an_answer_that_comes_late_serves_the_next_caller(silent: Silent) -> None:
    resolver = Resolver(ask=silent.ask, timeout_s=0.02)
    with pytest.raises(UnknownHost):
        await resolver.addresses("hung")
    silent.let_go.set()
    await asyncio.gather(*(flight.task for flight in resolver._flights.values()))
    assert await resolver.addresses("hung") == ("10.0.0.1",)
    assert silent.asked == ["hung"]


async def test_closing_waits_for_no_name_server(silent: Silent) -> None:
    resolver = Resolver(ask=silent.ask)
    hung = asyncio.create_task(resolver.addresses("hung"))
    await asyncio.sleep(0)
    await asyncio.wait_for(resolver.close(), 4)
    with pytest.raises(asyncio.CancelledError):
        await hung


async def test_callers_at_the_same_time_share_one_question() -> None:
    resolver, asked = resolver_of({"users": ["10.0.0.1", "10.0.0.2"]})
    answers = await asyncio.gather(*(resolver.addresses("users") for _ in range(20)))
    assert set(answers) == {("10.0.0.1", "10.0.0.2")}
    assert asked == ["users"]
    await resolver.addresses("users")
    assert asked == ["users"]


async def test_answers_grow_old() -> None:
    resolver, asked = resolver_of({"users": ["10.0.0.1"]}, ttl_s=0)
    for _ in range(2):
        await resolver.addresses("users")
    assert asked == ["users", "users"]


async def test_failures_are_not_remembered() -> None:
    names: dict[str, list[str]] = {}
    resolver, asked = resolver_of(names)
    with pytest.raises(UnknownHost):
        await resolver.addresses("users")
    names["users"] = ["10.0.0.1"]
    assert await resolver.addresses("users") == ("10.0.0.1",)
    assert asked == ["users", "users"]


async def test_a_caller_that_gives_up_takes_the_answer_from_nobody() -> None:
    resolver, asked = resolver_of({"users": ["10.0.0.1"]})
    first = asyncio.ensure_future(resolver.addresses("users"))
    second = asyncio.ensure_future(resolver.addresses("users"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ("10.0.0.1",)
    assert asked == ["users"]


async def test_known_names_are_bounded() -> None:
    names = {f"h{n}": ["10.0.0.1"] for n in range(1100)}
    resolver, _ = resolver_of(names)
    for name in names:
        await resolver.addresses(name)
    assert len(resolver._known) <= 1024


async def test_a_mapped_address_may_be_a_name() -> None:
    resolver, asked = resolver_of({"backend": ["10.0.0.1"]})
    egress = Egress(EgressPolicy(), ResolveMap({"users": "backend:8001"}), resolver)
    route = await egress.route(read_host("users"), 80, is_trusted=False)
    assert (route, asked) == ((("10.0.0.1", 8001),), ["backend"])


async def test_addresses_are_asked_of_nobody() -> None:
    egress = Egress(EgressPolicy(), ResolveMap({}))
    route = await egress.route(read_host("[::1]"), 80, is_trusted=True)
    assert route == (("::1", 80),)


async def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    names = {"mixed": ["93.184.216.34", "10.0.0.1"]}
    resolver, _ = resolver_of(names)
    egress = Egress(EgressPolicy(), ResolveMap({}), resolver)
    with pytest.raises(ForbiddenAddress, match="a private address"):
        await egress.route(read_host("mixed"), 80, is_trusted=False)
    trusted = await egress.route(read_host("mixed"), 80, is_trusted=True)
    assert len(trusted) == 2


@pytest.mark.parametrize(
    ("source", "target", "port", "found"),
    [
        ("users", "127.0.0.1", 80, ("127.0.0.1", 80)),
        ("users", "127.0.0.1:8001", 80, ("127.0.0.1", 8001)),
        ("USERS.", "127.0.0.1:8001", 443, ("127.0.0.1", 8001)),
        ("users:81", "127.0.0.1:8001", 80, None),
        ("users:80", "::1", 80, ("::1", 80)),
        ("users", "[::1]:8001", 80, ("::1", 8001)),
        ("other", "127.0.0.1", 80, None),
    ],
)
def test_the_map_knows_hosts_with_and_without_port(
    source: str, target: str, port: int, found: tuple[str, int] | None
) -> None:
    assert ResolveMap({source: target}).find(read_host("users"), port) == found


def test_an_entry_with_port_goes_before_one_without() -> None:
    resolve = ResolveMap({"users": "127.0.0.1:1", "users:80": "127.0.0.1:2"})
    assert resolve.find(read_host("users"), 80) == ("127.0.0.1", 2)
    assert resolve.find(read_host("users"), 81) == ("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("", "127.0.0.1"),
        ("users", ""),
        ("users", "127.0.0.1:"),
        ("users", "127.0.0.1:0"),
        ("users", "127.0.0.1:65536"),
        ("users", "127.0.0.1:http"),
        ("users", "http://127.0.0.1"),
        ("http://users", "127.0.0.1"),
        ("users", "[::1"),
    ],
)
def test_a_malformed_entry_is_refused(source: str, target: str) -> None:
    with pytest.raises(ValueError, match="resolve map"):
        ResolveMap({source: target})
