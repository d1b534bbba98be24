"""Several processes of one role: all are called, and those that come later are found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import trustme

from plait.drivers.inline import Start
from plait.kernel import Kernel
from plait.model.caller import LOCAL
from plait.ports.platform import Order
from plait.services.channel import Security, Sizes
from plait.services.engine import EngineServicer
from plait.services.plans import PLANS_ASKED_MAX
from plait.services.remote import RemoteDriver, RemoteEngine
from plait.services.server import ServiceServer
from plait.services.wire import Asked
from tests.conformance.platform.platforms import SUM, linked, local, plan_of

WAIT_S = 30
KEYED = Order(workflow="sum", input={"a": 1}, key="k", wait_ms=10_000)


class Counting(EngineServicer):
    """An engine that counts what it was asked to execute."""

    count = run_count = 0

    async def execute(self, asked: Asked, request: Any) -> Any:
        """See EngineServicer."""
        self.count += 1
        return await super().execute(asked, request)

    async def run_plan(self, asked: Asked, request: Any) -> Any:
        """See EngineServicer."""
        reply = await super().run_plan(asked, request)
        self.run_count += 1
        return reply


class Replicas:
    """Engines on ports of this machine, over one store."""

    def __init__(self) -> None:
        self.engines: list[Counting] = []
        self.servers: list[ServiceServer] = []
        self.addresses: list[str] = []

    @property
    def address(self) -> str:
        """All of them, as the setting has it."""
        return ",".join(self.addresses)

    async def add(self, engine: Counting, **options: Any) -> None:
        """Have one more."""
        server = ServiceServer({"engine": engine}, **options)
        port = await server.listen("127.0.0.1:0")
        self.engines.append(engine)
        self.servers.append(server)
        self.addresses.append(f"127.0.0.1:{port}")


@asynccontextmanager
async def replicas(count: int = 2, **options: Any) -> AsyncIterator[Replicas]:
    made = Replicas()
    async with local() as own:
        for _ in range(count):
            await made.add(Counting(own.engine, own.runner), **options)
        try:
            yield made
        finally:
            for server in made.servers:
                await server.drain(0.0)


async def test_every_address_of_a_service_is_called() -> None:
    async with replicas() as made, linked("engine", made.address) as link:
        engine = RemoteEngine(link)
        for _ in range(20):
            assert (await engine.execute(LOCAL, KEYED))["output"] == 2
        assert [one.count > 5 for one in made.engines] == [True, True]


async def test_what_may_be_sent_again_goes_on_with_those_that_are_left() -> None:
    async with replicas() as made, linked("engine", made.address) as link:
        engine = RemoteEngine(link)
        while not all(one.count for one in made.engines):
            await engine.execute(LOCAL, KEYED)
        await made.servers[0].drain(0.0)
        left, before = made.engines[1], made.engines[1].count
        for _ in range(20):
            assert (await engine.execute(LOCAL, KEYED))["output"] == 2
        assert left.count == before + 20


async def test_several_addresses_have_certificates_that_name_the_first() -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    certificate, key = own.cert_chain_pems[0].bytes(), own.private_key_pem.bytes()
    security = Security(certificate, key, authority.cert_pem.bytes())
    async with (
        replicas(security=security) as made,
        linked("engine", made.address, security=security) as link,
    ):
        for _ in range(20):
            await RemoteEngine(link).execute(LOCAL, KEYED)
        assert all(one.count for one in made.engines)


class Balancer:
    """Leads each connection to another address, as a cluster's virtual address does."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses
        self._next = 0

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take a connection, and pass on what comes, both ways."""
        address = self._addresses[self._next % len(self._addresses)]
        self._next += 1
        host, _, port = address.rpartition(":")
        there = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_passed_on(reader, there[1]), _passed_on(there[0], writer))


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def test_connections_are_made_anew_and_no_call_is_lost_by_it() -> None:
    sizes = Sizes(connection_age_ms=20)
    async with replicas(sizes=sizes) as made, AsyncExitStack() as stack:
        balancer = Balancer(made.addresses)
        front = await asyncio.start_server(balancer.accept, "127.0.0.1", 0)
        stack.push_async_callback(front.wait_closed)
        stack.callback(front.close)
        port = front.sockets[0].getsockname()[1]
        link = await stack.enter_async_context(linked("engine", f"127.0.0.1:{port}"))
        engine, order = RemoteEngine(link), Order(workflow="sum", input={"a": 1})

        async def ask() -> None:
            # None of them has a key: who loses one hears of it.
            while not all(one.count > 500 for one in made.engines):
                assert (await engine.execute(LOCAL, order))["output"] == 2

        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*(ask() for _ in range(16)))


async def test_plans_that_one_engine_was_sent_are_sent_to_another_too() -> None:
    others = [
        plan_of({**SUM, "name": f"sum-{number}"}) for number in range(3 * PLANS_ASKED_MAX)
    ]
    outer = plan_of(
        {
            "name": "outer",
            "mode": "express",
            "steps": [
                {
                    "id": "inner",
                    "type": "workflow",
                    "request": {"name": "sum-1", "input": "${input}"},
                }
            ],
            "output": "${inner.response}",
        }
    )
    async with replicas(3) as made, linked("engine", made.address) as link:
        driver, number = RemoteDriver(link, lambda _: others, wait_ms=10_000), 0
        async with asyncio.timeout(WAIT_S):
            # One after the other: they would ask the same engine in vain for ever.
            while not all(one.run_count for one in made.engines):
                start = Start(f"x{number}", {"a": number})
                assert (await driver.run(Kernel(outer), start)).output == number + 1
                number += 1
