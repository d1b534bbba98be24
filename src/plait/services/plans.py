"""Plans that the gateway's endpoints run in another process: sent once, then named.

Rule 1. A plan is known by the hash of its bytes, which is checked here: whoever sends one
        cannot make it another's.
Rule 2. What is not known is asked for, some at a time; the plans stay until many others
        have come.
Rule 3. Only the gateway itself runs plans: an operator of all workflows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol

from plait.drivers.inline import Result
from plait.drivers.inline import Start as InlineStart
from plait.drivers.journal import Start
from plait.model.caller import Caller, require
from plait.model.errors import PlaitError
from plait.plan import Plan, PlanUnreadable, load_plan
from plait.ports.remote import PlanUnknown
from plait.services.v1.engine_pb2 import RunPlanRequest
from plait.services.v1.runtime_pb2 import StartPlanRequest
from plait.services.wire import Asked, given

_PLANS_KEPT_MAX: Final = 10_000
# So that they fit a message: a document has 1 MB at most, and its plan not much more.
PLANS_ASKED_MAX: Final = 8


class PlanRefused(PlaitError):
    """What was sent as a plan is none, or one for another version than this service's."""

    code: ClassVar[str] = "plan.refused"


class PlanRunner(Protocol):
    """Runs plans within a request. Its own binding: plait.operations.runs."""

    async def run(
        self, plan: Plan, workflows: Mapping[str, Plan], start: InlineStart
    ) -> Result:
        """Run a plan; `workflows` are those that it may run as steps, by name."""
        ...


class PlanStarter(Protocol):
    """Starts plans that may outlast a request. Its own binding: plait.operations.runs."""

    async def start(
        self, plan: Plan, start: Start, wait_ms: int, *, is_promotable: bool
    ) -> Result | str:
        """Start a plan; return its result, or its id when it lasts longer than the wait."""
        ...


class Plans:
    """The plans that were sent here, by content hash."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Plan] = OrderedDict()

    def of(self, caller: Caller, request: RunPlanRequest) -> tuple[Plan, dict[str, Plan]]:
        """Return the plan that is to be run, and those that it may run as steps.

        Raises:
            PlanUnknown: Some are not known.
            PlanRefused: One that was sent is none that this version can run.
            Forbidden: The caller is not the gateway.
        """
        require(caller, "operator")
        for data in request.plans:
            self._keep(_plan_in(data))
        wanted = {request.plan_hash, *request.workflows.values()}
        unknown = sorted(wanted - self._kept.keys())
        if unknown:
            raise PlanUnknown(unknown[:PLANS_ASKED_MAX])
        for plan_hash in wanted:
            self._kept.move_to_end(plan_hash)
        workflows = {name: self._kept[one] for name, one in request.workflows.items()}
        return self._kept[request.plan_hash], workflows

    def _keep(self, plan: Plan) -> None:
        self._kept[plan.content_hash] = plan
        while len(self._kept) > _PLANS_KEPT_MAX:
            self._kept.popitem(last=False)


def _plan_in(data: bytes) -> Plan:
    try:
        return load_plan(data)
    except PlanUnreadable as error:
        raise PlanRefused(str(error)) from None


def started_of(request: StartPlanRequest, asked: Asked) -> Start:
    """Return what a durable execution starts with."""
    run = request.run
    return Start(
        run.execution_id,
        given("input", run.input),
        given("trigger", run.trigger),
        request.key if request.HasField("key") else None,
        trace=asked.trace,
        tenant=asked.caller.tenant,
    )
