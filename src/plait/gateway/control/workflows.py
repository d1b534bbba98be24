"""Operations on workflows: run them, deploy them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query, Request

from plait.document.limits import DEFAULT_LIMITS
from plait.gateway.control import models
from plait.gateway.control.asked import Asked
from plait.gateway.control.executions import wait_ms_of
from plait.gateway.control.route import Answer, asked, by_name, told
from plait.gateway.durable import EXECUTIONS_PATH, idempotency_key
from plait.model.json import readable_bytes
from plait.ports.journal import RUNNING
from plait.ports.platform import Order, Wanted

_WAIT_MS: Final = 30_000
_PAGE_SIZE_MAX: Final = 500

DeploymentId = Annotated[str, Path(max_length=256)]
ValidateOnly = Annotated[
    bool,
    Query(
        description="Say what is wrong with the document, and deploy nothing. Whatever "
        "else would be refused is refused: triggers, an expected version, a taken path."
    ),
]


async def execute_workflow(request: Request, wish: models.Execute) -> Answer:
    """Run a workflow: one that is deployed, or one that comes with the request.

    A deployed one is for operators, and for whom a grant on it makes one; a `definition`
    is for editors of the whole tenant.

    Waits for its end (200), or answers with a link (202) when the wait is over or none is
    wanted. An express execution ends within the request: its `timeout`, or else
    `gateway.request_timeout`, says when, and `wait` does not; `0s` is refused with
    `execution.needs_durable`. With `stream`, or `Accept: text/event-stream`, what happens
    in it comes as events: `start`, with its id and `mode`, turns, and `result` at last.
    `Idempotency-Key` makes it safe to repeat: with another input, or another `definition`,
    the key is refused.
    """
    ask = asked(request)
    engine, order = ask.services.the_engine(), _order(ask, wish)
    accepts = ask.exchange.request.headers.get(b"accept", b"")
    if wish.stream or b"text/event-stream" in accepts:
        events = engine.execute_stream(ask.caller, order)
        return Answer(await ask.events.reply(events, is_run=True))
    result = await engine.execute(ask.caller, order)
    if result["status"] != RUNNING:
        return told(result)
    answer = told(result, 202)
    link = f"{EXECUTIONS_PATH}/{result['execution_id']}"
    answer.reply.headers.append((b"location", link.encode()))
    return answer


def _order(ask: Asked, wish: models.Execute) -> Order:
    wait_ms = _WAIT_MS if wish.wait is None else wait_ms_of(wish.wait)
    return Order(
        workflow=wish.workflow,
        definition=wish.definition,
        input=wish.input,
        mode=wish.mode,
        wait_ms=wait_ms,
        is_unawaited=not wait_ms,
        key=idempotency_key(ask.exchange.request),
        trace=ask.exchange.identity.trace,
    )


async def deploy_workflow(
    request: Request,
    wish: models.Deploy,
    validate_only: ValidateOnly = False,
) -> Answer:
    """Deploy a workflow: keep this version of it, and serve it from now on.

    The same again changes nothing. Executions in flight stay on their version.
    """
    ask = asked(request)
    deployments = ask.services.the_deployments()
    # Either will do: what is not recorded is not done, however the parameter was read.
    if validate_only or ask.is_trial:
        return told(await deployments.validate(ask.caller, _wanted(wish.name, wish)))
    made = await deployments.deploy(ask.caller, _wanted(wish.name, wish))
    return told(made, 201 if made.get("changed", True) else 200)


def _wanted(name: str, wish: models.Version) -> Wanted:
    return Wanted(
        name=name,
        definition=_text(wish),
        triggers=wish.triggers,
        description=wish.description,
        expected=wish.expected_version,
        activates=wish.activate,
    )


def _text(wish: models.Version) -> str:
    """Return the document as text: as it came, or, of an object, in the order it came."""
    given = wish.workflow_definition
    if isinstance(given, str):
        return given
    # A version is known by this text: what was deployed so far is indented, and stays so.
    return readable_bytes(given, DEFAULT_LIMITS.bytes_max - 1).decode() + "\n"


async def list_deployments(
    request: Request,
    after: Annotated[
        str, Query(max_length=256, description="`next` of the page before.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=_PAGE_SIZE_MAX)] = models.PAGE_SIZE,
) -> Answer:
    """List deployments, by name."""
    ask = asked(request)
    deployments = ask.services.the_deployments()
    return told(await deployments.list(ask.caller, after=after, limit=limit))


async def get_deployment(request: Request, deployment_id: DeploymentId) -> Answer:
    """Show one deployment with its versions and the active definition."""
    ask = asked(request)
    return told(await ask.services.the_deployments().get(ask.caller, deployment_id))


async def update_deployment(
    request: Request,
    deployment_id: DeploymentId,
    wish: models.Version,
    validate_only: ValidateOnly = False,
) -> Answer:
    """Deploy a new version of a workflow that is deployed."""
    ask = asked(request)
    deployments = ask.services.the_deployments()
    kept = await deployments.get(ask.caller, deployment_id)
    wanted = _wanted(str(kept["name"]), wish)
    if validate_only or ask.is_trial:
        return told(await deployments.validate(ask.caller, wanted))
    return told(await deployments.deploy(ask.caller, wanted))


async def undeploy_workflow(request: Request, deployment_id: DeploymentId) -> Answer:
    """Serve a workflow no longer. Its executions in flight go on."""
    ask = asked(request)
    return told(await ask.services.the_deployments().undeploy(ask.caller, deployment_id))


async def list_versions(request: Request, deployment_id: DeploymentId) -> Answer:
    """List the versions of a deployment that are kept."""
    ask = asked(request)
    kept: Any = await ask.services.the_deployments().get(ask.caller, deployment_id)
    return told({"deployment_id": deployment_id, "versions": kept.get("versions", [])})


async def compare_versions(
    request: Request,
    deployment_id: DeploymentId,
    old: Annotated[str, Query(min_length=1, max_length=256)],
    new: Annotated[str, Query(min_length=1, max_length=256)],
) -> Answer:
    """Show how two versions differ."""
    ask = asked(request)
    deployments = ask.services.the_deployments()
    return told(await deployments.difference(ask.caller, deployment_id, old, new))


async def activate_version(
    request: Request, deployment_id: DeploymentId, wish: models.Activate
) -> Answer:
    """Serve another version that is kept."""
    ask = asked(request)
    deployments = ask.services.the_deployments()
    return told(await deployments.activate(ask.caller, deployment_id, wish.version))


async def roll_back_deployment(
    request: Request, deployment_id: DeploymentId, _: models.Nothing
) -> Answer:
    """Serve the version before the active one."""
    ask = asked(request)
    deployments = ask.services.the_deployments()
    return told(await deployments.activate(ask.caller, deployment_id, None))


async def list_triggers(request: Request) -> Answer:
    """List the triggers of all active deployments."""
    ask = asked(request)
    return told(await ask.services.the_triggers().list(ask.caller))


HANDLERS: Final = by_name(
    execute_workflow,
    deploy_workflow,
    list_deployments,
    get_deployment,
    update_deployment,
    undeploy_workflow,
    list_versions,
    compare_versions,
    activate_version,
    roll_back_deployment,
    list_triggers,
)
