"""The end of a real gateway: nothing that was accepted is lost, and it does end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, raw_then_hang, reply
from tests.acceptance.gateways import GatewayProcess, ask, request_bytes, serving
from tests.unit.gateway.wires import WAIT_S, Client

CALL = """
name: call
mode: express
endpoint: {path: /call}
steps: [{id: upstream, type: http, request: {url: "http://upstream/x"}}]
output: ${upstream.response}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A workflow that calls the upstream."""
    path = tmp_path / "call.yaml"
    path.write_text(CALL)
    return path


async def until_draining(client: Client) -> None:
    """Ask until the signal has arrived; the reply then says that it is the last."""
    while (answer := await ask(client, "/health/ready")).status == 200:
        assert "connection" not in answer.headers
    assert (answer.status, answer.headers["connection"]) == (503, "close")


async def until_refused(gateway: GatewayProcess) -> None:
    """Ask until nobody listens; whoever is still let in is answered."""
    while True:
        try:
            answer = await gateway.ask("/health")
        except ConnectionRefusedError:
            return
        assert (answer.status, answer.headers["connection"]) == (200, "close")


async def test_requests_under_way_finish_and_the_exit_is_clean(document: Path) -> None:
    release = asyncio.Event()
    async with (
        Upstream(after(release, reply(json="done"))) as upstream,
        serving(document, upstreams={"upstream": upstream}) as gateway,
        gateway.client() as first,
        gateway.client() as second,
        gateway.client() as idle,
    ):
        assert (await ask(idle, "/health/ready")).status == 200
        for client in (first, second):
            client.send(request_bytes("/call"))
        await upstream.until_requests(2)
        gateway.stop()
        await until_draining(idle)
        await until_refused(gateway)
        release.set()
        for client in (first, second):
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b'"done"')
            assert await client.closed() == b""
        assert await gateway.ended() == 0


async def test_a_second_signal_cuts_off_what_is_under_way(document: Path) -> None:
    async with (
        Upstream(raw_then_hang()) as upstream,
        serving(document, upstreams={"upstream": upstream}) as gateway,
        gateway.client() as client,
        gateway.client() as idle,
    ):
        await ask(idle, "/health")
        client.send(request_bytes("/call"))
        await upstream.until_requests(1)
        gateway.stop()
        await until_draining(idle)
        gateway.stop()
        assert await gateway.ended() == 1
        await upstream.until_open(0)


@asynccontextmanager
async def cut_short(
    document: Path, request: bytes
) -> AsyncIterator[tuple[GatewayProcess, Client]]:
    """Stop a gateway that has hardly any patience while its upstream hangs."""
    async with (
        Upstream(raw_then_hang()) as upstream,
        serving(
            document,
            upstreams={"upstream": upstream},
            settings={"PLAIT_GATEWAY_DRAIN_TIMEOUT": "50ms"},
        ) as gateway,
        gateway.client() as client,
    ):
        client.send(request)
        await upstream.until_requests(1)
        gateway.stop()
        yield gateway, client


async def test_what_takes_longer_than_the_drain_is_cut_off(document: Path) -> None:
    async with cut_short(document, request_bytes("/call")) as (gateway, _):
        assert await gateway.ended() == 1
        assert any("1 requests were cut off" in line for line in gateway.lines)


RUN = request_bytes(
    "/api/v1/workflow/execute", "POST", body={"workflow": "call", "stream": True}
)


async def test_an_express_run_that_is_streamed_comes_to_its_result(document: Path) -> None:
    release = asyncio.Event()
    async with (
        Upstream(after(release, reply(json="done"))) as upstream,
        serving(document, upstreams={"upstream": upstream}) as gateway,
        gateway.client() as client,
        gateway.client() as idle,
    ):
        await ask(idle, "/health")
        client.send(RUN)
        await upstream.until_requests(1)
        gateway.stop()
        await until_draining(idle)
        await until_refused(gateway)
        release.set()
        heard = await client.closed()
        assert b"event: result\n" in heard
        assert b'"output":"done"' in heard
        assert await gateway.ended() == 0


async def test_one_that_outlasts_the_drain_is_told_so(document: Path) -> None:
    async with cut_short(document, RUN) as (gateway, client):
        assert b'event: error\ndata: {"error":{"code":"request.cut_off"' in (
            await client.closed()
        )
        assert await gateway.ended() == 1


@dataclass
class Tally:
    """How a client's requests ended."""

    answered: int = 0
    broken: int = 0


async def keep_asking(client: Client, tally: Tally) -> None:
    """Ask on one connection until the gateway says that it closes it."""
    while True:
        try:
            answer = await ask(client, "/call")
        except (ConnectionError, asyncio.IncompleteReadError):
            tally.broken += 1
            return
        assert (answer.status, answer.body) == (200, b'"done"')
        tally.answered += 1
        if answer.headers.get("connection") == "close":
            return


async def test_under_load_no_request_is_lost(document: Path) -> None:
    """Every connection is busy when the signal comes; each is told that it was the last."""
    async with (
        Upstream(reply(json="done")) as upstream,
        serving(document, upstreams={"upstream": upstream}) as gateway,
    ):
        tally, clients = Tally(), 24
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(one_client(gateway, tally))
            await upstream.until_requests(clients * 10)
            gateway.stop()
        assert await gateway.ended() == 0
    assert tally.broken == 0
    assert tally.answered == len(upstream.requests)


async def test_under_load_with_a_connection_each_no_request_is_lost(document: Path) -> None:
    """Whoever got a connection gets a reply; whoever got none is told so, not reset."""
    async with (
        Upstream(reply(json="done")) as upstream,
        serving(document, upstreams={"upstream": upstream}) as gateway,
    ):
        clients = 12
        asking = asyncio.gather(
            *(asyncio.to_thread(ask_until_refused, gateway.address) for _ in range(clients))
        )
        await upstream.until_requests(clients * 10)
        gateway.stop()
        tallies = await asking
        assert await gateway.ended() == 0
    assert [tally.broken for tally in tallies] == [0] * clients
    assert sum(tally.answered for tally in tallies) == len(upstream.requests)


def ask_until_refused(address: tuple[str, int]) -> Tally:
    """Ask with a new connection each time, until nobody listens any more."""
    tally = Tally()
    while True:
        try:
            connection = socket.create_connection(address, WAIT_S)
        except ConnectionRefusedError:
            return tally
        with connection:
            if answered_in_full(connection):
                tally.answered += 1
            else:
                tally.broken += 1


def answered_in_full(connection: socket.socket) -> bool:
    """Ask, read to the end, and tell whether that was the whole reply."""
    try:
        connection.sendall(request_bytes("/call", Connection="close"))
        told = b""
        while piece := connection.recv(65_536):
            told += piece
    except OSError:
        return False
    return told.startswith(b"HTTP/1.1 200 ") and told.endswith(b'"done"')


async def one_client(gateway: GatewayProcess, tally: Tally) -> None:
    """Connect, and ask until told to go."""
    async with gateway.client() as client:
        await keep_asking(client, tally)
