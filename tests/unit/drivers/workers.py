"""Workers in virtual time, on one store: together, or one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.operations import Hand
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Calls, Done
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's course in virtual time."""
    run_virtually(main())


async def a_while(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


def driver_on(
    store: MemoryStore,
    worker_id: str,
    calls: Calls,
    kernel_for: Callable[[Plan], Kernel] = Kernel,
    **options: Any,
) -> JournalDriver:
    """Return a worker whose wall clock is the loop's."""
    clock = asyncio.get_running_loop().time
    return JournalDriver(
        store, calls, kernel_for, worker_id=worker_id, wall_clock_s=clock, **options
    )


class Answers:
    """Answers each call after 10 ms; those whose key is in `broken` with a failure.

    Attributes:
        made: The keys of the calls, without the execution's id.
    """

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.made: list[str] = []
        self.response: JsonValue = None

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer in a while."""
        key = str(call.idempotency_key).removeprefix("x/")
        self.made.append(key)
        answer: Any = CallReply(self.response, {})
        if key in self.broken:
            answer = Failure("connector.http.500", "broken")
        return asyncio.get_running_loop().call_later(0.01, done, answer)

    async def close(self) -> None:
        """Nothing to close."""


class Lives:
    """Workers that live for a while, one after the other, with an execution `x`.

    Args:
        given: What `x` begins with.
    """

    def __init__(
        self,
        store: MemoryStore,
        calls: Calls,
        kernel_for: Callable[[Plan], Kernel] = Kernel,
        given: JsonValue = None,
    ) -> None:
        self.store = store
        self.calls = calls
        self.kernel_for = kernel_for
        self.given = given
        self.count = 0

    async def live(
        self,
        plan: Plan | None = None,
        *,
        for_s: float = 1.0,
        dies: bool = True,
        **options: Any,
    ) -> None:
        """Be a worker; begin `plan`; then die, or leave."""
        self.count += 1
        name = f"worker-{self.count}"
        driver = driver_on(self.store, name, self.calls, self.kernel_for, **options)
        await driver.open()
        if plan is not None:
            await driver.start(plan, Start("x", self.given, key="k"))
        await a_while(for_s)
        if dies:
            await driver.perish()
            await self.store.leave(name)
        else:
            await driver.close()

    async def status(self, execution_id: str = "x") -> str:
        """Return how an execution stands."""
        return (await self.store.read(execution_id)).summary.standing.status

    def hand(self, **secrets: str) -> Hand:
        """Return what somebody has who changes executions from outside."""
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        return Hand(self.store, self.kernel_for, f"hand-{self.count}", now_ms, secrets)
