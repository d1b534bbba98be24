"""Workflows under policies: run by the real driver, through the real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from plait.assembly import compose
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.compile.compiler import compile_text
from plait.drivers.inline import InlineDriver, Result, Start
from plait.drivers.policies import PolicedCalls
from plait.kernel import Kernel
from plait.model.caller import DEFAULT_TENANT
from plait.plan import Plan
from plait.plan.origin import without_trust
from plait.testing.upstream import Upstream


class Bench:
    """One process's policies, and workflows that run under them.

    Attributes:
        calls: The calls, with all policies of the process.
    """

    def __init__(self, calls: PolicedCalls, driver: InlineDriver) -> None:
        self.calls = calls
        self._driver = driver
        self._count = 0

    async def run(
        self,
        text: str,
        *,
        tenant: str = DEFAULT_TENANT,
        over_the_api: bool = False,
        **given: Any,
    ) -> Result:
        """Run a document once, in express mode.

        Args:
            over_the_api: Whether it came that way; else it is the operator's own file.
        """
        self._count += 1
        start = Start(f"e{self._count}of{id(self)}", given, tenant=tenant)
        plan = plan_of(text)
        plan = without_trust(plan) if over_the_api else plan
        return await self._driver.run(Kernel(plan), start)

    def told(self, policy: str, name: str = "http://service:80") -> dict[str, Any]:
        """Return what a policy tells of itself."""
        snapshot: Any = self.calls.snapshot()
        found: dict[str, Any] = snapshot[policy][name]
        return found


@cache
def plan_of(text: str) -> Plan:
    """Return a document's plan."""
    return compile_text(text.encode(), name="w.yaml", catalog=compose.catalog()).plan


@asynccontextmanager
async def bench(
    *upstreams: Upstream, secrets: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    """Give a process, to which `upstreams` are `service`, `service2`, …"""
    names = ("service", "service2", "service3")
    resolve = {name: one.address for name, one in zip(names, upstreams, strict=False)}
    own = Settings(resolve=resolve, **settings)
    calls = compose.calls(own, secrets=secrets)
    try:
        yield Bench(calls, compose.driver(Configured(own, secrets or {}), calls))
    finally:
        await calls.close()


async def grown_old() -> None:
    """Return when what was kept for a millisecond is stale."""
    stale = asyncio.Event()
    asyncio.get_running_loop().call_later(0.005, stale.set)
    await stale.wait()


async def turns() -> None:
    """Let whoever can go on do so: starting a call takes three turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)


def step(policies: str, *, host: str = "service", more: str = "") -> str:
    """Return a document of one call with `policies`, which are lines of YAML."""
    lines = "\n".join(f"    {line}" for line in policies.splitlines())
    return (
        f"name: w\nmode: express\n{more}steps:\n  - id: get\n    type: http\n"
        f"    request: {{url: http://{host}/x}}\n{lines}\n"
    )


def said_by(result: Result, name: str = "get") -> list[dict[str, Any]]:
    """Return what policies did on the way of a step's attempts."""
    (line,) = [line for line in result.trace.as_json() if line["step"] == name]
    attempts: Any = line["attempts"]
    return [note for attempt in attempts for note in attempt.get("policies", ())]
