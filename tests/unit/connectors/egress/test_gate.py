"""The gate: the resolve map, the policy and the resolver together."""

from __future__ import annotations

import asyncio
import socket
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
from plait.connectors.egress.resolver import Resolver

Asked = list[str]


def resolver_of(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]], ttl_s: float = 60
) -> tuple[Resolver, Asked]:
    """Return a resolver over these names, and what the system was asked."""
    asked: Asked = []

    async def getaddrinfo(
        self: asyncio.BaseEventLoop, host: str, port: Any, **more: Any
    ) -> list[Any]:
        del self, port, more
        asked.append(host)
        await asyncio.sleep(0)
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(2, 1, 6, "", (address, 0)) for address in names[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return Resolver(ttl_s=ttl_s), asked


async def test_callers_at_the_same_time_share_one_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver, asked = resolver_of(monkeypatch, {"users": ["10.0.0.1", "10.0.0.2"]})
    answers = await asyncio.gather(*(resolver.addresses("users") for _ in range(20)))
    assert set(answers) == {("10.0.0.1", "10.0.0.2")}
    assert asked == ["users"]
    await resolver.addresses("users")
    assert asked == ["users"]


async def test_answers_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver, asked = resolver_of(monkeypatch, {"users": ["10.0.0.1"]}, ttl_s=0)
    for _ in range(2):
        await resolver.addresses("users")
    assert asked == ["users", "users"]


async def test_failures_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, list[str]] = {}
    resolver, asked = resolver_of(monkeypatch, names)
    with pytest.raises(UnknownHost):
        await resolver.addresses("users")
    names["users"] = ["10.0.0.1"]
    assert await resolver.addresses("users") == ("10.0.0.1",)
    assert asked == ["users", "users"]


async def test_a_caller_that_gives_up_takes_the_answer_from_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver, asked = resolver_of(monkeypatch, {"users": ["10.0.0.1"]})
    first = asyncio.ensure_future(resolver.addresses("users"))
    second = asyncio.ensure_future(resolver.addresses("users"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ("10.0.0.1",)
    assert asked == ["users"]


async def test_known_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {f"h{n}": ["10.0.0.1"] for n in range(1100)}
    resolver, _ = resolver_of(monkeypatch, names)
    for name in names:
        await resolver.addresses(name)
    assert len(resolver._known) <= 1024


async def test_a_mapped_address_may_be_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver, asked = resolver_of(monkeypatch, {"backend": ["10.0.0.1"]})
    egress = Egress(EgressPolicy(), ResolveMap({"users": "backend:8001"}), resolver)
    route = await egress.route(read_host("users"), 80, is_trusted=False)
    assert (route, asked) == ((("10.0.0.1", 8001),), ["backend"])


async def test_addresses_are_asked_of_nobody() -> None:
    egress = Egress(EgressPolicy(), ResolveMap({}))
    route = await egress.route(read_host("[::1]"), 80, is_trusted=True)
    assert route == (("::1", 80),)


async def test_one_private_address_among_public_ones_refuses_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"mixed": ["93.184.216.34", "10.0.0.1"]}
    resolver, _ = resolver_of(monkeypatch, names)
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
