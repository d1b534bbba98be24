"""SSRF: no host out of a template reaches a private place, however it is spelled.

Proof: an audit hook sees every connection that this process opens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest

from plait.connectors.http import HttpCalls, HttpSettings
from plait.testing.calls_suite import call_to, failure_of, outcome_of, reply_of
from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.unit.connectors.forbidden import ADDRESSES, AMBIGUOUS, DISGUISES
from tests.unit.connectors.scenes import http, on_both_loops

opened: list[Any] = []


def watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        opened.append(args[1])


# Once per process: audit hooks cannot be taken off.
sys.addaudithook(watch)


@pytest.fixture(autouse=True)
def nothing_opened_yet() -> None:
    opened.clear()


async def code_of(calls: HttpCalls, url: str) -> str:
    call = call_to({"url": url}, host_is_literal=False)
    failure = failure_of(await outcome_of(calls, call))
    assert not failure.sent
    return failure.code


def run(scene: Any) -> None:
    """On asyncio's loop, whose connections the hook sees."""
    with asyncio.Runner() as runner:
        runner.run(scene)


def test_there_are_enough_vectors() -> None:
    assert len(ADDRESSES) + len(DISGUISES) + len(AMBIGUOUS) >= 120


def test_the_hook_sees_connections() -> None:
    async def scene() -> None:
        async with http(reply(json=1)) as on_stage:
            await on_stage.reply()
            assert ("127.0.0.1", on_stage.upstream.port) in opened

    run(scene())


@pytest.mark.parametrize("host", [*ADDRESSES, *DISGUISES])
def test_a_private_host_out_of_a_template_is_refused(host: str) -> None:
    async def scene() -> None:
        calls = HttpCalls()
        for url in (f"http://{host}/", f"https://{host}:8443/x", f"HTTP://{host}?x"):
            assert await code_of(calls, url) == "connector.forbidden_address"
        await calls.close()

    run(scene())
    assert opened == []


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_an_ambiguous_url_is_refused(url: str) -> None:
    async def scene() -> None:
        calls = HttpCalls()
        assert await code_of(calls, url) == "connector.invalid_request"
        literal = failure_of(await outcome_of(calls, call_to({"url": url})))
        assert literal.code == "connector.invalid_request"
        await calls.close()

    run(scene())
    assert opened == []


def answer(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Let the system's resolver give these answers; return what it was asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: Any, *rest: Any, **more: Any) -> list[Any]:
        del rest, more
        asked.append(host)
        found = names.get(host, [host] if host[0].isdigit() or ":" in host else [])
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        stream = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, stream, 6, "", (a, port or 0, 0, 0))
            if ":" in a
            else (socket.AF_INET, stream, 6, "", (a, port or 0))
            for a in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["93.184.216.34", "127.0.0.1"],
        ["2606:2800:220:1::1", "::ffff:10.0.0.1"],
        ["fe80::1%2"],
    ],
)
def test_a_name_is_judged_by_all_its_addresses(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    answer(monkeypatch, {"rebind.example": addresses})

    async def scene() -> None:
        calls = HttpCalls()
        code = await code_of(calls, "http://rebind.example/")
        assert code == "connector.forbidden_address"
        await calls.close()

    run(scene())
    assert opened == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
@on_both_loops
async def test_localhost_is_refused_in_every_spelling(host: str) -> None:
    calls = HttpCalls()
    assert await code_of(calls, f"http://{host}/") == "connector.forbidden_address"
    await calls.close()


def test_a_public_name_is_connected_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answer(monkeypatch, {"api.example": ["93.184.216.34"]})
    tried: list[tuple[str, int]] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()

        async def refuse(make: Any, host: str, port: int, **more: Any) -> None:
            del make, more
            tried.append((host, port))
            raise ConnectionRefusedError(111, "refused")

        monkeypatch.setattr(loop, "create_connection", refuse)
        calls = HttpCalls()
        assert await code_of(calls, "http://api.example/") == "connector.connect"
        # The second answer would be private; nobody asks again while the first is fresh.
        assert await code_of(calls, "http://api.example:81/") == "connector.connect"
        await calls.close()

    run(scene())
    assert tried == [("93.184.216.34", 80), ("93.184.216.34", 81)]
    assert asked == ["api.example"]


@on_both_loops
async def test_a_literal_host_may_be_private_and_lends_its_connection_to_nobody() -> None:
    async with http(reply(json=1)) as scene:
        url = scene.upstream.url()
        await scene.reply()
        assert await code_of(scene.calls, url) == "connector.forbidden_address"
        assert (await scene.reply()).response == 1
        assert len(scene.upstream.requests) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"allow_private": True},
        {"allow": ("127.0.0.1",)},
        {"allow": ("127.0.0.0/8",)},
        {"allow": ("10.0.0.0/8", "127.0.0.1/32")},
    ],
)
@on_both_loops
async def test_the_operator_can_open_more(settings: dict[str, Any]) -> None:
    async with http(reply(json=1), **settings) as scene:
        call = call_to({"url": scene.upstream.url()}, host_is_literal=False)
        assert reply_of(await outcome_of(scene.calls, call)).response == 1


@on_both_loops
async def test_a_host_can_be_opened_by_name() -> None:
    async with http(reply(json=1), allow=("localhost",)) as scene:
        url = f"http://localhost:{scene.upstream.port}/"
        call = call_to({"url": url}, host_is_literal=False)
        assert reply_of(await outcome_of(scene.calls, call)).response == 1
        code = await code_of(scene.calls, scene.upstream.url())
        assert code == "connector.forbidden_address"


@on_both_loops
async def test_metadata_services_stay_closed_when_private_addresses_are_open() -> None:
    calls = HttpCalls(HttpSettings(allow_private=True))
    for host in ("169.254.169.254", "[fd00:ec2::254]", "168.63.129.16"):
        assert await code_of(calls, f"http://{host}/") == "connector.forbidden_address"
    await calls.close()


@on_both_loops
async def test_a_mapped_host_counts_as_the_operators_own() -> None:
    async with Upstream(reply(json=1)) as upstream:
        calls = HttpCalls(HttpSettings(resolve={"users": upstream.address}))
        call = call_to({"url": "http://users/x"}, host_is_literal=False)
        assert reply_of(await outcome_of(calls, call)).response == 1
        assert upstream.requests[0].headers["host"] == "users"
        await calls.close()


@on_both_loops
async def test_a_refusal_names_the_host_and_not_its_address() -> None:
    calls = HttpCalls()
    call = call_to({"url": "http://localhost/?token=s3cret"}, host_is_literal=False)
    failure = failure_of(await outcome_of(calls, call))
    assert failure.details == {
        "host": "localhost",
        "reason": "it leads to a loopback address",
    }
    assert "127.0.0.1" not in str(failure)
    assert "s3cret" not in str(failure)
    await calls.close()
