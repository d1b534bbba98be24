"""The gateway's endpoints, run by the engine and the runtime.

Rule 1. A plan is named by its hash; its bytes are sent only when the other side asks.
Rule 2. That may be another process each time: who asks for what was sent already is sent
        everything, and some calls that follow bring along what was asked for again, so that
        the process that asked gets it, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from plait.drivers.children import KIND
from plait.drivers.inline import Result
from plait.drivers.inline import Start as InlineStart
from plait.drivers.journal import Start
from plait.kernel import Kernel
from plait.model.caller import Caller
from plait.model.errors import PlaitError
from plait.model.record import record
from plait.plan import Plan, all_nodes, dump_plan
from plait.ports.remote import PlanUnknown
from plait.services.remote.link import Link
from plait.services.results import result_of
from plait.services.v1.engine_pb2 import RunPlanRequest
from plait.services.v1.runtime_pb2 import StartPlanRequest
from plait.services.wire import Asked, dumped

# Who may call an endpoint, the gateway has decided.
_GATEWAY: Final = Caller("service:gateway", role="operator")
_KERNELS_KEPT_MAX: Final = 10_000
# How many calls bring a plan along. Processes take turns: always as many would miss the
# same one each time.
_BRINGING_MAX: Final = 16


class RemoteDriver:
    """Runs express workflows in the engine, as `InlineDriver` does here.

    Args:
        link: To the engine.
        deployed: Returns the plans that are served of a tenant: its `workflow` steps may
            name any of them.
        wait_ms: What a whole request may take.
    """

    def __init__(
        self, link: Link, deployed: Callable[[str], Iterable[Plan]], *, wait_ms: int
    ) -> None:
        self._link = link
        self._deployed = deployed
        self._wait_ms = wait_ms
        self._owed = _Owed()
        self._has_children: dict[str, bool] = {}

    async def run(self, kernel: Kernel, start: InlineStart) -> Result:
        """Run one execution to its end.

        Raises:
            PlaitError: The engine refused it, or cannot be reached (plait.ports.remote).
        """
        plan = kernel.plan
        plans = {plan.content_hash: plan}
        request = _run_request(plan, start)
        if self._runs_others(plan):
            others = {one.name: one for one in reversed([*self._deployed(start.tenant)])}
            plans |= {one.content_hash: one for one in others.values()}
            request.workflows.update(
                {name: one.content_hash for name, one in others.items()}
            )
        wait_ms = plan.timeout_ms or self._wait_ms
        asked = Asked(replace(_GATEWAY, tenant=start.tenant), start.trace)
        sending = _Sending("run_plan", request, request, plans, asked, wait_ms)
        reply = await _sent(self._link, sending, self._owed)
        return result_of(reply, plan)

    def _runs_others(self, plan: Plan) -> bool:
        known = self._has_children.get(plan.content_hash)
        if known is None:
            if len(self._has_children) >= _KERNELS_KEPT_MAX:
                self._has_children.clear()
            known = any(node.kind == KIND for node in all_nodes(plan.scope))
            self._has_children[plan.content_hash] = known
        return known


class RemoteRuns:
    """Starts durable executions in the runtime, as `plait.operations.runs` does here."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._owed = _Owed()

    def check(self) -> None:
        """See `plait.operations.runs.Durable`: the runtime says so itself."""

    async def start(
        self, plan: Plan, start: Start, wait_ms: int, *, is_promotable: bool
    ) -> Result | str:
        """Start a plan; return its result, or its id when it lasts longer than the wait.

        Raises:
            PlaitError: The runtime refused it, or cannot be reached.
        """
        request = StartPlanRequest(
            run=_run_request(plan, start),
            key=start.key,
            wait_ms=wait_ms,
            is_promotable=is_promotable,
        )
        plans = {plan.content_hash: plan}
        asked = Asked(replace(_GATEWAY, tenant=start.tenant), start.trace)
        # Under a key it is begun once, however often it is asked for.
        is_safe = start.key is not None
        run = request.run
        sending = _Sending("start_plan", request, run, plans, asked, wait_ms, is_safe)
        reply = await _sent(self._link, sending, self._owed)
        return reply.execution_id if reply.status == "running" else result_of(reply, plan)


def _run_request(plan: Plan, start: InlineStart | Start) -> RunPlanRequest:
    endpoint = plan.endpoint
    return RunPlanRequest(
        plan_hash=plan.content_hash,
        execution_id=start.execution_id,
        input=dumped(start.input),
        trigger=dumped(start.trigger),
        wants_names=endpoint is not None
        and (endpoint.headers is not None or bool(endpoint.status)),
    )


class _Owed:
    """The plans that another process lacks than the one that was sent them."""

    def __init__(self) -> None:
        # How many calls bring each along: none, once it was asked for a first time.
        self._calls_left: dict[str, int] = {}

    def lacked(self, hashes: Iterable[str]) -> None:
        """Have some calls that follow bring along what was asked for before."""
        if len(self._calls_left) >= _KERNELS_KEPT_MAX:
            self._calls_left.clear()
        count = random.randint(1, _BRINGING_MAX)
        for one in hashes:
            self._calls_left[one] = count if one in self._calls_left else 0

    def brought(self, hashes: Iterable[str]) -> list[str]:
        """Return which of these the next call brings along."""
        brought = [one for one in hashes if self._calls_left.get(one)]
        for one in brought:
            self._calls_left[one] -= 1
        return brought


@record
class _Sending:
    """A call that names plans.

    Attributes:
        run: The part of the request that does.
        plans: Those that it names, by hash.
        is_safe: Whether it may be sent again when nobody knows if it arrived.
    """

    method: str
    request: Any
    run: RunPlanRequest
    plans: dict[str, Plan]
    asked: Asked
    wait_ms: int
    is_safe: bool = False

    def bring(self, hashes: Iterable[str]) -> None:
        """Send these plans along."""
        del self.run.plans[:]
        plans = self.plans
        self.run.plans.extend(dump_plan(plans[one]) for one in hashes if one in plans)


async def _sent(link: Link, sending: _Sending, owed: _Owed) -> Any:
    """Send a request; what plans the other side lacks, it gets."""
    method, plans, asked = sending.method, sending.plans, sending.asked
    sent: set[str] = set()
    sending.bring(owed.brought(plans))
    while True:
        try:
            return await link.call(
                method,
                sending.request,
                asked,
                is_safe=sending.is_safe,
                wait_ms=sending.wait_ms,
            )
        except PlaitError as error:
            if error.code != PlanUnknown.code:
                raise
            lacking = _lacking(error)
            if not lacking or sent >= plans.keys():
                raise
        owed.lacked(lacking)
        if not sent.isdisjoint(lacking):
            lacking = [*plans]
        sent.update(lacking)
        sending.bring(lacking)


def _lacking(error: PlaitError) -> list[str]:
    details = getattr(error, "details", {})
    return [one for one in details.get("plans", []) if isinstance(one, str)]
