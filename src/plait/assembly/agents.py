"""The agent, put together from settings: what it drafts with, and what it drafts from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from plait.agent import (
    AgentLimits,
    Drafter,
    DraftingAgent,
    EmbeddedDrafter,
    Knowledge,
    KnownWorkflow,
    OpenapiUnusable,
    Operation,
    read_openapi,
)
from plait.agent.model_drafter import ModelDrafter
from plait.agent.openai import OpenaiModel, OpenaiSettings
from plait.assembly import compose
from plait.assembly.deploying import deployable
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured, SettingsInvalid
from plait.connectors.http.streamed import StreamedPosts
from plait.document import Catalog
from plait.document.source import SourceErrors, read_source
from plait.model.caller import Caller
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.place import Span
from plait.operations.deploying import EndpointTaken
from plait.ports.platform import Deployments, Wanted
from plait.ports.records import Records

# More deployed workflows than this are not offered to a draft.
_WORKFLOWS_MAX: Final = 500
_PAGE: Final = 100


def agent(
    configured: Configured,
    catalog: Catalog,
    records: Records,
    deployments: Deployments | None = None,
) -> DraftingAgent:
    """Return the agent service. Call it inside the event loop; close it when done.

    Args:
        catalog: The step types that a draft may have.
        records: Where sessions are kept.
        deployments: The workflows that can be called and edited; None: there are none.

    Raises:
        OpenapiUnusable: A file of `agent.openapi` is no OpenAPI document.
    """
    own = configured.settings.agent
    return DraftingAgent(
        records,
        drafter(configured, catalog),
        SettingsLibrary(operations(configured.settings), deployments),
        limits=AgentLimits(ttl_ms=own.session_ttl, sessions_max=own.sessions_max),
    )


def drafter(configured: Configured, catalog: Catalog) -> Drafter:
    """Return what drafts: by rules, or by the model that the settings name.

    Raises:
        SettingsInvalid: `agent.key` names a secret that is not there.
    """
    own = configured.settings.agent
    limits = compose.source_limits(configured.settings)
    checks = partial(deployable, name="draft.yaml", catalog=catalog, limits=limits)
    if own.endpoint is None:
        return EmbeddedDrafter(catalog, checks)
    if own.key and own.key not in configured.secrets:
        raise SettingsInvalid([f"agent.key: there is no secret '{own.key}'"])
    model = OpenaiSettings(
        endpoint=own.endpoint,
        model=own.model,
        key=configured.secrets.get(own.key, ""),
        timeout_ms=own.timeout,
    )
    # The operator wrote the endpoint: no rule about addresses applies to it.
    posts = StreamedPosts(compose.egress(configured.settings), is_trusted=True)
    written = OpenaiModel(model, posts)
    return ModelDrafter(written, catalog, checks, rounds_max=own.rounds_max)


def operations(settings: Settings, folder: Path | None = None) -> list[Operation]:
    """Return the operations of all OpenAPI documents of the settings.

    Args:
        folder: Where their paths begin; None: where the command runs.

    Raises:
        OpenapiUnusable: One cannot be read, or is none.
    """
    found: list[Operation] = []
    for name, path in settings.agent.openapi.items():
        found += read_operations((folder or Path()) / path, name)
    return found


def read_operations(path: Path, name: str) -> list[Operation]:
    """Return the operations of the OpenAPI document in a file.

    Raises:
        OpenapiUnusable: It cannot be read, or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OpenapiUnusable(name, f"{path} cannot be read: {error.strerror}") from None
    return read_openapi(data, name)


class SettingsLibrary:
    """What drafts can be made of: operations of the settings, deployed workflows."""

    def __init__(
        self, operations: list[Operation], deployments: Deployments | None
    ) -> None:
        self._operations = operations
        self._deployments = deployments
        self._alone = Knowledge(operations)

    async def knowledge(self, caller: Caller) -> Knowledge:
        """Return the operations and the deployed workflows that a caller sees."""
        known = await self._workflows(caller)
        return Knowledge(self._operations, known) if known else self._alone

    async def _workflows(self, caller: Caller) -> list[KnownWorkflow]:
        if self._deployments is None:
            return []
        found: list[KnownWorkflow] = []
        after = ""
        while len(found) < _WORKFLOWS_MAX:
            page: Any = await self._deployments.list(caller, after=after, limit=_PAGE)
            for one in page["deployments"]:
                text = await self.text(caller, one["deployment_id"])
                workflow = None if text is None else known_workflow(text)
                if workflow is not None:
                    found.append(workflow)
            after = page.get("next") or ""
            if not after:
                break
        return found

    async def text(self, caller: Caller, workflow_id: str) -> str | None:
        """Return the text of a deployed workflow; None: there is none for the caller."""
        if self._deployments is None:
            return None
        try:
            found: Any = await self._deployments.get(caller, workflow_id)
        except PlaitError as error:
            if error.code.endswith(".unknown"):
                return None
            raise
        text = found.get("definition") or found.get("workflow_definition")
        return text if isinstance(text, str) else None

    async def refusals(self, caller: Caller, text: str) -> list[Diagnostic]:
        """Return what deploying a text for a caller would be refused for; empty: nothing.

        Raises:
            StoreUnavailable: Nobody can tell.
        """
        if self._deployments is None:
            return []
        known = known_workflow(text)
        wanted = Wanted("" if known is None else known.name, text)
        try:
            told: Any = await self._deployments.validate(caller, wanted)
        except PlaitError as error:
            if error.advice is not Advice.FIX_REQUEST:
                raise
            return [_refusal(error, text)]
        return [] if told["valid"] else [*map(_finding, told["diagnostics"])]


def _refusal(error: PlaitError, text: str) -> Diagnostic:
    """Return a refusal to deploy a text as a finding in it."""
    source = read_source(text.encode(), name="draft.yaml")
    if not isinstance(error, EndpointTaken):
        return Diagnostic(error.code, str(error), "", source.span_of(("name",)))
    is_webhook = str(error.details["endpoint"]).startswith("webhook ")
    span = source.span_of(("triggers" if is_webhook else "endpoint",))
    return Diagnostic("G001", str(error), "choose another path", span)


def _finding(told: Mapping[str, Any]) -> Diagnostic:
    """Return a finding as it was before it was told."""
    span = Span(told["line"], told["column"], told["end_line"], told["end_column"])
    severity = Severity(told["severity"])
    return Diagnostic(told["code"], told["message"], told["hint"], span, severity)


def known_workflow(text: str) -> KnownWorkflow | None:
    """Return what a draft needs to know of a workflow; None: the text is none."""
    try:
        value = read_source(text.encode(), name="workflow.yaml").value
    except SourceErrors:
        return None
    own: JsonObject = value if isinstance(value, dict) else {}
    name, said, schema = own.get("name"), own.get("description"), own.get("input")
    if not isinstance(name, str):
        return None
    return KnownWorkflow(
        name,
        said if isinstance(said, str) else "",
        schema if isinstance(schema, dict) else {},
    )
