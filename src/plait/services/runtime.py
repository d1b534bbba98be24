"""RuntimeService, for any implementation of deployments, executions and triggers."""

from __future__ import annotations

from collections.abc import AsyncIterator

from plait.ports.platform import Delivery, Deployments, Executions, Triggers, Wanted
from plait.services.plans import Plans, PlanStarter, started_of
from plait.services.results import message_of
from plait.services.searches import search_of
from plait.services.streams import events_of
from plait.services.v1 import runtime_pb2 as messages
from plait.services.v1.common_pb2 import Event, JsonReply
from plait.services.v1.engine_pb2 import RunReply
from plait.services.wire import Asked, given_object, json_reply


class RuntimeServicer:
    """Answers for RuntimeService (proto/plait/v1/runtime.proto)."""

    def __init__(
        self,
        deployments: Deployments,
        executions: Executions,
        triggers: Triggers,
        starter: PlanStarter,
    ) -> None:
        self._deployments = deployments
        self._executions = executions
        self._triggers = triggers
        self._starter = starter
        self._plans = Plans()

    async def validate_definition(
        self, asked: Asked, request: messages.ValidateDefinitionRequest
    ) -> JsonReply:
        """See the proto."""
        wanted = _wanted(request)
        return json_reply(await self._deployments.validate(asked.caller, wanted))

    async def deploy(self, asked: Asked, request: messages.DeployRequest) -> JsonReply:
        """See the proto."""
        return json_reply(await self._deployments.deploy(asked.caller, _wanted(request)))

    async def list_deployments(
        self, asked: Asked, request: messages.ListDeploymentsRequest
    ) -> JsonReply:
        """See the proto."""
        after, limit = request.after, request.limit
        told = await self._deployments.list(asked.caller, after=after, limit=limit)
        return json_reply(told)

    async def get_deployment(
        self, asked: Asked, request: messages.GetDeploymentRequest
    ) -> JsonReply:
        """See the proto."""
        told = await self._deployments.get(asked.caller, request.deployment_id)
        return json_reply(told)

    async def diff_deployment(
        self, asked: Asked, request: messages.DiffDeploymentRequest
    ) -> JsonReply:
        """See the proto."""
        told = await self._deployments.difference(
            asked.caller, request.deployment_id, request.old, request.new
        )
        return json_reply(told)

    async def activate_deployment(
        self, asked: Asked, request: messages.ActivateDeploymentRequest
    ) -> JsonReply:
        """See the proto."""
        version = request.version if request.HasField("version") else None
        told = await self._deployments.activate(
            asked.caller, request.deployment_id, version
        )
        return json_reply(told)

    async def undeploy(self, asked: Asked, request: messages.UndeployRequest) -> JsonReply:
        """See the proto."""
        told = await self._deployments.undeploy(asked.caller, request.deployment_id)
        return json_reply(told)

    async def find_executions(
        self, asked: Asked, request: messages.FindExecutionsRequest
    ) -> JsonReply:
        """See the proto."""
        search, page = search_of(request)
        return json_reply(await self._executions.find(asked.caller, search, page))

    async def get_execution(
        self, asked: Asked, request: messages.GetExecutionRequest
    ) -> JsonReply:
        """See the proto."""
        told = await self._executions.get(
            asked.caller, request.execution_id, max(request.wait_ms, 0)
        )
        return json_reply(told)

    def follow_execution(
        self, asked: Asked, request: messages.FollowExecutionRequest
    ) -> AsyncIterator[Event]:
        """See the proto."""
        after = max(request.after, 0)
        return events_of(self._executions.events(asked.caller, request.execution_id, after))

    async def get_timeline(
        self, asked: Asked, request: messages.GetTimelineRequest
    ) -> JsonReply:
        """See the proto."""
        told = await self._executions.timeline(asked.caller, request.execution_id)
        return json_reply(told)

    async def change_execution(
        self, asked: Asked, request: messages.ChangeExecutionRequest
    ) -> JsonReply:
        """See the proto."""
        body = given_object("body", request.body)
        told = await self._executions.change(
            asked.caller, request.execution_id, request.verb, body
        )
        return json_reply(told)

    async def start_plan(
        self, asked: Asked, request: messages.StartPlanRequest
    ) -> RunReply:
        """See the proto."""
        plan, _ = self._plans.of(asked.caller, request.run)
        start = started_of(request, asked)
        ended = await self._starter.start(
            plan, start, request.wait_ms, is_promotable=request.is_promotable
        )
        if isinstance(ended, str):
            return RunReply(execution_id=ended, status="running")
        return message_of(ended, wants_names=request.run.wants_names)

    async def deliver_webhook(
        self, asked: Asked, request: messages.DeliverWebhookRequest
    ) -> JsonReply:
        """See the proto."""
        delivery = Delivery(
            request.path,
            request.method,
            request.query,
            # The execution is in the trace of this call, which is in the request's.
            dict(request.headers) | dict(asked.trace),
            request.body,
        )
        return json_reply(await self._triggers.deliver(delivery))

    async def list_triggers(
        self, asked: Asked, request: messages.ListTriggersRequest
    ) -> JsonReply:
        """See the proto."""
        return json_reply(await self._triggers.list(asked.caller))


def _wanted(request: messages.DeployRequest | messages.ValidateDefinitionRequest) -> Wanted:
    return Wanted(
        request.name,
        request.definition,
        [given_object("triggers", one) for one in request.triggers],
        request.description,
        request.expected if request.HasField("expected") else None,
        not request.is_kept_only,
        request.triggers_text if request.HasField("triggers_text") else None,
    )
