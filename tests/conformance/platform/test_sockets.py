"""Services on real sockets: who is let in, what is told, and what happens when one ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from plait.drivers.journal import Start
from plait.model.caller import LOCAL
from plait.model.errors import Advice, PlaitError
from plait.ports.platform import Order, Told, Wanted
from plait.ports.remote import OpenService, ServiceRefused, ServiceUnavailable
from plait.ports.status import details_of, status_of
from plait.services.channel import Security, security_of
from plait.services.methods import METHODS
from plait.services.remote import (
    Link,
    LinkTimes,
    RemoteDeployments,
    RemoteEngine,
    RemoteExecutions,
    RemoteRuns,
)
from plait.services.server import ServiceServer
from plait.services.v1.engine_pb2 import ExecuteReply, ExecuteRequest
from tests.conformance.platform.platforms import (
    CALLING,
    WAITING,
    FakeAgent,
    linked,
    local,
    plan_of,
    served,
)

SUM = Order(workflow="sum", input={"a": 1})
TOKEN = Security(token="a-token-of-32-characters-or-more-x")


class Certificates:
    """A common authority, a certificate of it, and one of somebody else's."""

    def __init__(self, folder: Path) -> None:
        own, other = trustme.CA(), trustme.CA()
        self.member = self._written(folder / "member", own, own)
        self.stranger = self._written(folder / "stranger", other, own)

    def _written(self, folder: Path, issuer: trustme.CA, trusted: trustme.CA) -> Security:
        folder.mkdir()
        made = issuer.issue_cert("localhost")
        made.private_key_pem.write_to_path(folder / "key.pem")
        made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        trusted.cert_pem.write_to_path(folder / "ca.pem")
        return security_of(
            certificate=folder / "cert.pem",
            key=folder / "key.pem",
            authority=folder / "ca.pem",
            token=None,
        )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of this module's own authority."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def refused(coroutine: Any) -> PlaitError:
    """Return what a call was refused with."""
    with pytest.raises(PlaitError) as caught:
        await coroutine
    return caught.value


async def test_reflection_lists_every_service() -> None:
    async with (
        local() as own,
        served(own.servicers(FakeAgent())) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="*")
        async for reply in stub.ServerReflectionInfo(iter([request])):
            names = {one.name for one in reply.list_services_response.service}
            break
    assert names == {
        "plait.v1.EngineService",
        "plait.v1.RuntimeService",
        "plait.v1.AgentService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_a_client_without_our_code_finds_the_way_by_reflection() -> None:
    async with (
        local() as own,
        served(own.servicers(FakeAgent())) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        wanted = "plait.v1.RuntimeService"
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=wanted)
        async for reply in stub.ServerReflectionInfo(iter([request])):
            files = reply.file_descriptor_response.file_descriptor_proto
            break
    assert any(b"FindExecutions" in one for one in files)


async def test_health_tells_of_each_service_until_it_drains() -> None:
    async with local() as own:
        server = ServiceServer({"engine": own.servicers(FakeAgent())["engine"]})
        address = f"127.0.0.1:{await server.listen('127.0.0.1:0')}"
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            name = "plait.v1.EngineService"
            watched = stub.Watch(health_pb2.HealthCheckRequest(service=name))
            seen = [(await watched.read()).status]
            for is_ready in (True, False, True):
                await server.tell(is_ready=is_ready)
                seen.append((await watched.read()).status)
            draining = asyncio.ensure_future(server.drain(5.0))
            seen.append((await watched.read()).status)
            watched.cancel()
            await draining
    unknown, serving, not_serving = 3, 1, 2
    assert seen == [unknown, serving, not_serving, serving, not_serving]


async def test_a_call_that_takes_too_long_ends_with_its_deadline() -> None:
    async with local() as own, served(own.servicers(FakeAgent())) as address:
        times = LinkTimes(deadline_ms=100)
        async with linked("engine", address, times=times) as link:
            engine = RemoteEngine(link)
            error = await refused(engine.execute(LOCAL, Order(workflow="calling")))
            assert (error.code, status_of(error).http) == ("service.timeout", 504)
            assert "engine" in str(error)
            await own.calls.cancelled.wait()


async def test_a_wait_has_its_time_beside_the_deadline() -> None:
    async with local() as own, served(own.servicers(FakeAgent())) as address:
        times = LinkTimes(deadline_ms=500)
        async with linked("engine", address, times=times) as link:
            order = Order(workflow="waiting", wait_ms=700)
            assert (await RemoteEngine(link).execute(LOCAL, order))["status"] == "running"


LASTING: Any = {**CALLING, "timeout": "700ms"}


@pytest.mark.parametrize(
    "order", [Order(definition=LASTING), Order(workflow="lasting")], ids=["sent", "named"]
)
async def test_a_workflow_has_its_own_time_beside_the_deadline(order: Order) -> None:
    plan = plan_of({**LASTING, "name": "lasting"})
    async with local() as own, served(own.servicers(FakeAgent())) as address:
        own.plans["lasting"] = plan
        times = LinkTimes(deadline_ms=500)
        async with linked("engine", address, times=times) as link:
            found = own.plans.get
            engine = RemoteEngine(link, 100, lambda _, name: found(name))
            told: Any = await engine.execute(LOCAL, order)
            assert (told["status"], told["error"]["code"]) == (
                "failed",
                "execution.timeout",
            )


@pytest.mark.parametrize(
    ("order", "wait_ms"),
    [
        (Order(workflow="hour"), 3_600_000),
        (Order(workflow="hour", mode="durable", wait_ms=7), 7),
        (Order(workflow="hour", key="k", wait_ms=7), 7),
        (Order(workflow="calling", wait_ms=7), 100),
        (Order(workflow="waiting", wait_ms=7), 7),
        (Order(workflow="waiting", mode="express", wait_ms=7), 100),
        (Order(workflow="nobody knows", wait_ms=7), 100),
        (Order(workflow="nobody knows", wait_ms=700), 700),
        (Order(definition={**CALLING, "timeout": "1h"}), 3_600_000),
        (Order(definition={**CALLING, "timeout": "PT1H"}), 3_600_000),
        (Order(definition={**CALLING, "timeout": "1h", "mode": "durable"}), 0),
        (Order(definition={"timeout": "1h"}, mode="express"), 3_600_000),
        (Order(definition={**CALLING, "timeout": "soon"}), 100),
        (Order(definition={**CALLING, "timeout": 3_600_000}), 100),
    ],
)
async def test_the_engine_is_waited_for_as_long_as_it_may_take(
    order: Order, wait_ms: int
) -> None:
    plans = {"hour": {**CALLING, "timeout": "1h"}, "calling": CALLING, "waiting": WAITING}
    known = {name: plan_of(one) for name, one in plans.items()}
    link = Noting("engine", "nowhere:1")
    await RemoteEngine(link, 100, lambda _, name: known.get(name)).execute(LOCAL, order)
    assert link.waits_ms == [wait_ms]


class Noting(Link):
    """Notes how long each answer would be waited for; asks nobody."""

    waits_ms: list[int]

    async def call(self, *_: Any, wait_ms: int = 0, **__: Any) -> Any:
        """See Link."""
        self.waits_ms = [*getattr(self, "waits_ms", []), wait_ms]
        return ExecuteReply(json=b"{}")


async def test_a_service_that_is_not_there_is_named_and_found_again() -> None:
    async with local() as own:
        servicers = own.servicers(FakeAgent())
        async with served(servicers) as address:
            pass
        times = LinkTimes(retries_max=0)
        async with linked("engine", address, times=times) as link:
            engine = RemoteEngine(link)
            error = await refused(engine.execute(LOCAL, SUM))
            assert (error.code, status_of(error).http) == ("service.unavailable", 502)
            assert details_of(error) == {"service": "engine"}
            assert error.advice is Advice.RETRY
            server = ServiceServer(servicers)
            await server.listen(address.replace("localhost", "127.0.0.1"))
            assert (await _until_there(engine))["output"] == 2
            assert link.state == "ready"
            await server.drain(0.0)


async def _until_there(engine: RemoteEngine) -> Any:
    """Return the first answer; the link connects again by itself."""
    async with asyncio.timeout(20):
        while True:
            with suppress(ServiceUnavailable):
                return await engine.execute(LOCAL, SUM)


async def test_what_reads_or_has_a_key_waits_for_a_service_that_comes_back() -> None:
    async with local() as own:
        servicers = own.servicers(FakeAgent())
        async with served(servicers) as address:
            pass
        times = LinkTimes(retries_max=1_000)
        async with (
            linked("engine", address, times=times) as link,
            linked("runtime", address, times=times) as runtime,
        ):
            order = Order(workflow="sum", input={"a": 1}, key="k", wait_ms=10_000)
            keyed = asyncio.ensure_future(RemoteEngine(link).execute(LOCAL, order))
            error = await refused(RemoteEngine(link).execute(LOCAL, SUM))
            assert error.code == "service.unavailable"
            read = RemoteExecutions(runtime).get(LOCAL, "x")
            plan = plan_of(WAITING)
            runs = RemoteRuns(runtime)
            unkeyed = runs.start(plan, Start("e1", {}), 1, is_promotable=False)
            assert (await refused(unkeyed)).code == "service.unavailable"
            own_key = Start("e2", {}, key="k2")
            begun = runs.start(plan, own_key, 1, is_promotable=False)
            beginning = asyncio.ensure_future(begun)
            reading = asyncio.ensure_future(refused(read))
            changing = RemoteDeployments(runtime).deploy(LOCAL, Wanted("a", "b"))
            assert (await refused(changing)).code == "service.unavailable"
            server = ServiceServer(servicers)
            await server.listen(address.replace("localhost", "127.0.0.1"))
            assert (await keyed)["output"] == 2
            assert (await reading).code == "execution.unknown"
            assert await beginning == "e2"
            await server.drain(0.0)


async def test_a_service_that_ends_at_work_is_named() -> None:
    async with local() as own:
        server = ServiceServer(own.servicers(FakeAgent()))
        address = f"127.0.0.1:{await server.listen('127.0.0.1:0')}"
        async with linked("engine", address) as link:
            order = Order(workflow="calling")
            running = asyncio.ensure_future(RemoteEngine(link).execute(LOCAL, order))
            await own.calls.started.wait()
            await server.drain(0.0)
            error = await refused(running)
            assert (error.code, status_of(error).http) == ("service.unavailable", 502)


async def test_a_stream_that_is_cut_off_ends_with_the_error_that_says_so() -> None:
    async with (
        local() as own,
        served(own.servicers(FakeAgent())) as address,
        linked("engine", address) as link,
    ):
        order = Order(workflow="calling")
        async with aclosing(RemoteEngine(link).execute_stream(LOCAL, order)) as events:
            assert (await anext(events)).type == "start"
            await own.calls.started.wait()
            own.engine.cut()
            error = await refused(_last(events))
        assert (error.code, status_of(error).http) == ("request.cut_off", 503)
        assert error.advice is Advice.RETRY
        await own.calls.cancelled.wait()
        own.engine.cut()  # there is nothing left


async def _last(events: AsyncIterator[Told]) -> None:
    async for told in events:
        assert told.type == "turn"


async def test_what_nobody_foresaw_is_told_without_its_secrets() -> None:
    async with (
        local() as own,
        served(own.servicers(FakeAgent())) as address,
        linked("runtime", address) as link,
    ):
        error = await refused(RemoteDeployments(link).undeploy(LOCAL, "d"))
    assert (error.code, status_of(error).http) == ("internal", 500)
    assert "hunter2" not in str(error)
    assert "runtime" in str(error)


async def test_a_call_that_names_no_caller_is_refused() -> None:
    async with (
        local() as own,
        served(own.servicers(FakeAgent())) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call: Any = channel.unary_unary(
            METHODS["engine"]["execute"].path,
            request_serializer=ExecuteRequest.SerializeToString,
            response_deserializer=ExecuteReply.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(ExecuteRequest(workflow="sum"))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_mutual_tls_lets_members_in_and_refuses_a_stranger(
    certificates: Certificates,
) -> None:
    async with local() as own:
        servicers = own.servicers(FakeAgent())
        async with served(servicers, certificates.member) as address:
            async with linked("engine", address, security=certificates.member) as link:
                assert (await RemoteEngine(link).execute(LOCAL, SUM))["output"] == 2
            for security in (certificates.stranger, Security()):
                async with linked("engine", address, security=security) as link:
                    error = await refused(RemoteEngine(link).execute(LOCAL, SUM))
                    assert error.code == "service.unavailable"


async def test_a_member_does_not_talk_to_a_stranger(certificates: Certificates) -> None:
    async with local() as own:
        servicers = own.servicers(FakeAgent())
        async with (
            served(servicers, certificates.stranger) as address,
            linked("engine", address, security=certificates.member) as link,
        ):
            error = await refused(RemoteEngine(link).execute(LOCAL, SUM))
            assert error.code == "service.unavailable"


async def test_the_token_lets_in_and_health_asks_for_none() -> None:
    async with local() as own, served(own.servicers(FakeAgent()), TOKEN) as address:
        async with linked("engine", address, security=TOKEN) as link:
            assert (await RemoteEngine(link).execute(LOCAL, SUM))["output"] == 2
        for security in (Security(), Security(token="another")):
            async with linked("engine", address, security=security) as link:
                error = await refused(RemoteEngine(link).execute(LOCAL, SUM))
                assert isinstance(error, ServiceRefused)
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest())
            assert reply.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
async def test_no_service_is_open_to_the_network(address: str) -> None:
    async with local() as own:
        server = ServiceServer(own.servicers(FakeAgent()))
        with pytest.raises(OpenService):
            await server.listen(address)
        await server.drain(0.0)
        guarded = ServiceServer(own.servicers(FakeAgent()), security=TOKEN)
        assert await guarded.listen(address)
        await guarded.drain(0.0)


async def test_an_address_that_is_taken_is_an_error_of_the_system() -> None:
    async with local() as own, served(own.servicers(FakeAgent())) as address:
        server = ServiceServer(own.servicers(FakeAgent()))
        with pytest.raises(OSError, match="127"):
            await server.listen(address.replace("localhost", "127.0.0.1"))
        await server.drain(0.0)
