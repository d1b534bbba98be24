"""From what a version holds to its plan: the document's text, and triggers beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from pydantic import ValidationError

from plait.compile import Compiled
from plait.document.triggers import Webhook as WebhookModel
from plait.model.json import JsonObject
from plait.operations.deploying.errors import DeploymentRefused
from plait.operations.deploying.kept import Document
from plait.plan import Webhook
from plait.plan.codec import hash_plan
from plait.plan.origin import without_trust

# From a document's name and text to its plan; raises CompileErrors.
Compiles: TypeAlias = Callable[[str, str], Awaitable[Compiled]]


async def compiled_version(compiles: Compiles, name: str, document: Document) -> Compiled:
    """Return the plan of a version, all its triggers included.

    Raises:
        CompileErrors: The document does not compile.
        DeploymentRefused: A trigger beside it is none, or cannot be with this workflow.
    """
    compiled = await compiles(name, document.definition)
    if not document.is_operators:
        compiled = replace(compiled, plan=without_trust(compiled.plan))
    if not document.triggers:
        return compiled
    plan = compiled.plan
    webhooks = (*plan.webhooks, *_webhooks(document.triggers))
    if plan.mode == "express":
        raise DeploymentRefused(
            "a webhook starts durable executions, and this workflow is express: set "
            "`mode: durable`"
        )
    paths = [one.path for one in webhooks]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise DeploymentRefused(f"the webhook '{twice}' is given twice: leave one out")
    return replace(compiled, plan=hash_plan(replace(plan, webhooks=webhooks)))


def _webhooks(triggers: Iterable[JsonObject]) -> Iterable[Webhook]:
    for index, one in enumerate(triggers):
        try:
            model = WebhookModel.model_validate(one)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, ("triggers", index, *wrong["loc"])))
            message = f"{where}: {wrong['msg']}; a webhook has type, path and secret"
            raise DeploymentRefused(message) from None
        yield Webhook(model.path, model.secret)
