"""What the control plane is asked, and what it replies: models for the OpenAPI document.

Rule 1. A request with a key that nobody knows is refused: a mistyped `compensate`, passed
        over, would cancel and undo nothing.
Rule 2. A reply may grow. Whoever reads one passes over what they do not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from plait.model.diagnostic import did_you_mean
from plait.ports.journal import RUNNING, TERMINAL

PAGE_SIZE_MAX: Final = 1_000
PAGE_SIZE: Final = 50
_NAME_LENGTH_MAX: Final = 256
_TEXT_LENGTH_MAX: Final = 32_000

Status = Literal["running", "completed", "failed", "cancelled", "compensated"]
assert set(get_args(Status)) == {RUNNING, *TERMINAL}

Name = Annotated[str, Field(min_length=1, max_length=_NAME_LENGTH_MAX)]
Text = Annotated[str, Field(max_length=_TEXT_LENGTH_MAX)]
Json = Annotated[Any, Field(description="Any JSON value.")]
Object = dict[str, Any]
Moment = Annotated[
    str, Field(description="ISO 8601, UTC.", examples=["2026-12-24T18:00:00.000Z"])
]
Duration = Annotated[
    str,
    Field(
        pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$",
        max_length=40,
        description="A number and its unit: `800ms`, `30s`, `5m`.",
        examples=["30s"],
    ),
]
Workflow = Annotated[str, Field(description="The workflow's name.", examples=["order"])]
ExecutionId = Annotated[str, Field(examples=["18beeb1ac031a309dfc144bd16835cae"])]


class Asking(BaseModel):
    """Base of requests."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        """Refuse keys that nobody knows, with the nearest that somebody does."""
        fields = cls.model_fields.items()
        known = tuple(field.alias or name for name, field in fields)
        unknown = [name for name in given if name not in known] if _is_object(given) else []
        if unknown:
            hint = did_you_mean(str(unknown[0]), known)
            others = f"known: {', '.join(known)}" if known else "it takes nothing: send {}"
            told = f"unknown key '{str(unknown[0])[:80]}'; {hint or others}"
            raise PydanticCustomError("unknown_key", "{told}", {"told": told})
        return given


def _is_object(given: Any) -> bool:
    return isinstance(given, dict)


class Telling(BaseModel):
    """Base of replies."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


# -- executions ----------------------------------------------------------------------


class Filters(Asking):
    """Which executions a list has: everything given must hold."""

    # A query has texts only.
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, strict=False)

    workflow: Annotated[str, Field(max_length=_NAME_LENGTH_MAX)] | None = None
    """Of this workflow."""
    status: list[Status] = Field(default=[], max_length=5)
    """In this state, or one of these."""
    error: Annotated[str, Field(max_length=_NAME_LENGTH_MAX)] | None = None
    """With this error code."""
    tag: Annotated[str, Field(max_length=_NAME_LENGTH_MAX)] | None = None
    """With this tag."""
    key: Annotated[str, Field(max_length=_NAME_LENGTH_MAX)] | None = None
    """Started with this idempotency key."""
    text: Annotated[str, Field(max_length=_NAME_LENGTH_MAX)] | None = None
    """With this text somewhere in the input's JSON."""
    since: Annotated[str, Field(max_length=40, examples=["1d"])] | None = None
    """Begun then or later: a duration ago (`1d`), or a moment."""
    until: Annotated[str, Field(max_length=40)] | None = None
    """Begun before."""
    limit: Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX)] | None = None
    """At most so many; 50 where nothing is said."""
    page: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Which page; 1 is the first."""
    page_size: Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX)] | None = None
    """The same as `limit`."""
    # 63 bits, as stores count.
    before: Annotated[str, Field(pattern="^[0-9]{1,18}$")] | None = None
    """Those after the page whose reply said this. For long lists: a deep page costs what
    all pages before it cost."""


class ExecutionRow(Telling):
    """One execution in a list."""

    id: ExecutionId
    workflow: Workflow
    status: Status
    created_at: Moment
    updated_at: Moment
    wake_at: Moment | None = None
    """When it is due."""
    error_code: str | None = None
    """Why it failed; of one that runs: why it stands."""
    plan: str | None = None
    """The hash of the plan that it runs by."""
    key: str | None = None
    tags: list[str] = []
    priority: int = 0
    lane: str | None = None
    queued: bool = False
    """Whether it waits for its turn."""
    parent: str | None = None
    """What it was forked, restarted or started from."""
    worker: str | None = None
    entries: int = 0


class Execution(Telling):
    """One execution. What callers may not see is not there."""

    id: ExecutionId
    workflow: Workflow
    status: Status
    created_at: Moment
    updated_at: Moment
    started_by: Object | None = None
    """Who or what: `type` (`api`, `http`, `webhook`, `cli`, `workflow`, `alert`, `restart`,
    `fork`), and what is known: `by`, `method`, `path`, `id`, `alert`, `step`,
    `execution_id`. Of a key `by` has its id, never the key."""
    input: Json = None
    output: Json = None
    error: Object | None = None
    """Null unless it failed; its `details` name step and place."""
    waits: list[Object] = []
    """What it waits for."""
    steps: list[Object] = []
    """Its steps, in the order in which they began."""


class ExecutionPage(Telling):
    """A page of a list, the latest first."""

    executions: list[ExecutionRow]
    total_count: int | None
    """Null behind a `before`, and where there are more than 10,000."""
    page: int | None
    page_size: int
    before: str | None
    """What to ask the next page with; null on the last one."""


class Timeline(Telling):
    """The steps of an execution with their times."""

    execution_id: ExecutionId
    status: Status
    steps: list[Object]


class Reasoned(Asking):
    """`rollback`."""

    reason: Text = "through the API"


class Cancel(Reasoned):
    """`cancel`."""

    compensate: bool = False
    """Undo first what it did."""


class Nothing(Asking):
    """An empty object."""


class Fork(Asking):
    """`fork`."""

    from_: Annotated[str, Field(alias="from", examples=["charge"])]
    """The step to begin from."""
    input: Json = None
    """Another input; without it, the same."""


class Signal(Asking):
    """`signals`."""

    name: Annotated[str, Field(examples=["payment-received"])]
    payload: Json = None
    id: Annotated[str, Field(min_length=1)] | None = None
    """Of several with one id the first counts. Without: a new one."""


class Verdict(Asking):
    """`approve` and `reject`."""

    by: Annotated[str, Field(examples=["ada"])] = ""
    """Who decides. Default: whoever asks; another name is for admins."""
    roles: list[str] = []
    """What else they decide as. Default: the caller's own; others are for admins."""
    comment: str = ""
    step: str = ""
    """Which approval; needed only where it asks for several."""


class Decide(Asking):
    """`decide`: what became of a call that a crash cut off."""

    as_: Annotated[Literal["retry", "done", "fail"], Field(alias="as")]
    response: Json = None
    """What it was answered; with `done` only."""
    by: str = ""
    """Who says so. Default: whoever asks; another name is for admins."""
    step: str = ""


# -- workflows -----------------------------------------------------------------------


class Execute(Asking):
    """A wish to run a workflow: one that is deployed, or one that comes with it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"workflow": "order", "input": {"id": 7}}]}
    )

    workflow: Name | None = None
    """The name of a deployed workflow."""
    definition: Annotated[
        Object | None, Field(json_schema_extra={"x-plait-role": "editor"})
    ] = None
    """A whole workflow document, instead of a name; for editors of the whole tenant."""
    input: Json = None
    mode: Literal["express", "durable"] | None = None
    """Default: as the document says."""
    wait: Duration | None = None
    """How long to wait for the end of a durable execution: at most a minute, `0s` not at
    all. Default: 30 s."""
    stream: bool = False
    """Answer with server-sent events, as `Accept: text/event-stream` does."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Execute:
        if (self.workflow is None) == (self.definition is None):
            raise ValueError("send either `workflow`, a name, or `definition`, a document")
        return self


class ExecutionResult(Telling):
    """An execution that was started."""

    execution_id: ExecutionId
    status: str
    """`running` when the wait was shorter than the execution."""
    output: Json = None
    error: Object | None = None


class Version(Asking):
    """What a version of a workflow is made of."""

    workflow_definition: Annotated[str, Field(min_length=1)] | Object
    """The document: as text, which is kept byte by byte, or as an object."""
    triggers: list[Object] = []
    description: Text = ""
    expected_version: str | None = None
    """The version that is to be replaced; otherwise 409. Default: whichever it is."""
    activate: bool = True
    """False: keep it, and do not switch to it."""


class Deploy(Version):
    """A wish to deploy a workflow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "hello",
                    "workflow_definition": {
                        "name": "hello",
                        "steps": [{"id": "said", "type": "set", "value": "hello"}],
                        "output": "${said.response}",
                    },
                    "triggers": [],
                }
            ]
        }
    )

    name: Name
    """The workflow's name."""


class Activate(Asking):
    """Which version shall be served."""

    version: Name


class Deployed(Telling):
    """What became of a deployment."""

    deployment_id: str
    name: str
    status: str
    version: str | None = None
    """What was deployed, also where it is kept only (`activate: false`)."""
    webhook_url: str | None = None
    created_at: str | None = None
    changed: bool | None = None
    """False: it was just so already."""


class Deployment(Telling):
    """One deployment, with its versions and the active definition."""

    deployment_id: str
    name: str
    status: str


class DeploymentPage(Telling):
    """Deployments, by name."""

    deployments: list[Deployment]
    next: str | None = None
    """What to ask the next page with, as `after`; null on the last one."""


class Versions(Telling):
    """The versions of a deployment."""

    deployment_id: str
    versions: list[Object]


class Difference(Telling):
    """How two versions differ."""

    old: str
    new: str
    changes: list[Any]
    text: str


class Validation(Telling):
    """What is to be said about a document. Nothing was kept."""

    valid: bool
    diagnostics: list[Object]


class TriggerList(Telling):
    """The triggers of all active deployments."""

    triggers: list[Object]


# -- agent ---------------------------------------------------------------------------


class NewSession(Asking):
    """A wish to draft a workflow in conversation."""

    action: Literal["create", "edit"]
    workflow_id: Name | None = None
    """With `edit`: the deployment to change, needed. Else what the new one shall be."""

    @model_validator(mode="after")
    def _edits_something(self) -> NewSession:
        if self.action == "edit" and self.workflow_id is None:
            raise ValueError("`edit` needs a `workflow_id`")
        return self


class Session(Telling):
    """A conversation that has begun."""

    session_id: str
    created_at: Moment


# -- administration ------------------------------------------------------------------


class CredentialValue(Asking):
    """What a credential shall be."""

    type: Annotated[str, Field(max_length=40, examples=["bearer"])]
    """`basic`, `bearer`, `api_key`, `oauth2`, `mtls`, `database`, `smtp`."""
    hosts: Annotated[list[Text], Field(min_length=1, max_length=50)]
    """Whom it may be shown to: `api.example.com`, `*.example.com`, `http://orders:8080`."""
    workflows: Annotated[list[Name], Field(max_length=200)] = []
    """Which workflows may show it; empty: all of the tenant."""
    fields: dict[str, Any]
    """What it holds, by its type. It is never told again."""


class NewCredential(CredentialValue):
    """A credential to be kept."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["shop"])]


class Credential(Telling):
    """A credential, without what it holds. Moments in ms since the Unix epoch."""

    name: str
    type: str
    hosts: list[str]
    workflows: list[str]
    number: int
    """Grows whenever it is replaced."""
    key: str
    """The name of the vault's key that it is encrypted with."""
    created_at_ms: int
    changed_at_ms: int
    rotated_at_ms: int | None


class CredentialPage(Telling):
    """Credentials, by name."""

    credentials: list[Credential]
    next: str | None = None
    """What to ask the next page with, as `after`; null on the last one."""


class Scoped(Asking):
    """What a key or a user may, in the caller's tenant."""

    role: Annotated[str | None, Field(max_length=40, examples=["operator"])] = None
    """On all workflows: `viewer`, `operator`, `editor`, `admin`. Null: only the grants."""
    grants: Annotated[dict[str, str], Field(max_length=1_000)] = {}
    """Roles on single workflows, by name; at most 16 kB of JSON."""


class NewKey(Scoped):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["ci"])]
    """For people."""
    expires_in: Duration | None = None
    """For how long it counts; null: for ever."""


class Key(Telling):
    """An API key. Moments in ms since the Unix epoch."""

    id: str
    name: str
    tenant: str
    role: str | None
    grants: dict[str, str]
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    used_at_ms: int | None
    """When it was used last, to the hour."""


class MadeKey(Key):
    """A key that was made just now."""

    key: str
    """The key itself, which nobody can be told again."""


class KeyList(Telling):
    """Keys, the oldest first."""

    keys: list[Key]


class NewPassword(Asking):
    """Another password."""

    password: Annotated[str, Field(max_length=1_024)]
    """12 characters or more."""


class NewUser(Scoped, NewPassword):
    """A user to be added."""

    name: Annotated[str, Field(min_length=1, max_length=128, examples=["ann"])]


class User(Telling):
    """A user."""

    name: str
    tenant: str
    role: str | None
    grants: dict[str, str]
    created_at_ms: int
    password_number: int
    """Grows with each new password."""


class UserList(Telling):
    """Users, by name."""

    users: list[User]


class AuditEntry(Telling):
    """One change. Moments in ms since the Unix epoch."""

    number: int
    who: str
    action: str
    subject: str
    outcome: str
    """`done`, `refused`, `failed`; `unknown`: nobody told its end."""
    code: str | None
    at_ms: int
    ended_at_ms: int
    request_id: str
    peer: str
    previous: str
    """The hash of the entry before."""
    hash: str


class AuditPage(Telling):
    """Changes, the newest first."""

    entries: list[AuditEntry]
    next: int | None = None
    """What to ask the next page with, as `before`; null on the last one."""


# -- all -----------------------------------------------------------------------------


class Told(Telling):
    """What went wrong."""

    code: Annotated[str, Field(examples=["request.invalid"])]
    """Stable; never renamed."""
    message: str
    """For people."""
    details: Object


class ErrorReply(Telling):
    """Every error has this shape."""

    error: Told
