"""The platform's services, as the gateway asks them: engine, runtime and agent.

The runtime is three protocols here and one service. Each has two bindings: one inside the
process (plait.operations, plait.agent), one over gRPC (plait.services). Whoever calls
cannot tell which it has.

Rule 1. `caller` was authenticated by the gateway. A service refuses what its role may
        not, and shows nothing of another tenant: it does not exist.
Rule 2. What is yielded is yielded at once. Whoever leaves a stream ends what is done
        for it.
Rule 3. Everything refused is a PlaitError with a stable code; anything else is a defect.
Rule 4. Replies are JSON in the shape that the API gives out (docs/reference/api.md).

Contract: tests/conformance/platform, run by both bindings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Literal, Protocol

from plait.model.caller import Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.ports.journal import Search


class InvalidRequest(PlaitError):
    """What is asked for cannot be; whoever asks can mend it."""

    code: ClassVar[str] = "request.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.details = details


class CutOff(PlaitError):
    """Whoever runs an execution stops, and has waited for its end as long as it may."""

    code: ClassVar[str] = "request.cut_off"
    advice: ClassVar[Advice] = Advice.RETRY


@record
class Order:
    """A wish to run a workflow.

    Attributes:
        workflow: The name of a deployed one; None: `definition` is run.
        definition: A whole workflow document.
        mode: `express`, `durable`; None: as the document says.
        wait_ms: How long to wait for the end of a durable execution; 0: not at all.
        is_unawaited: Whoever asks does not want to wait, which no express execution can do
            for them; who follows a stream waits.
        key: The caller's idempotency key.
        trace: Trace context to pass on: pairs of header names and values.
    """

    workflow: str | None = None
    definition: JsonObject | None = None
    input: JsonValue = None
    mode: Literal["express", "durable"] | None = None
    wait_ms: int = 0
    key: str | None = None
    is_unawaited: bool = False
    trace: tuple[tuple[str, str], ...] = ()


@record
class Told:
    """One event of a stream.

    Attributes:
        type: What kind it is: `message`, `draft`, `step`, `complete`.
        data: What it says.
        number: Its place; whoever comes again asks for what follows it. 0: it has none.
    """

    type: str
    data: JsonObject
    number: int = 0


@record
class Wanted:
    """What a deployment shall be.

    Attributes:
        definition: The workflow document, as text: deployed bytes are exported again.
        triggers_text: The file that `triggers` were read from, which is exported again;
            None: they stood in none.
        expected: The version that is to be replaced; None: whichever is active.
        activates: False: the version is kept and not switched to.
    """

    name: str
    definition: str
    triggers: Sequence[JsonObject] = ()
    description: str = ""
    expected: str | None = None
    activates: bool = True
    triggers_text: str | None = None


@record
class Delivery:
    """A request to a webhook, as it came."""

    path: str
    method: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Engine(Protocol):
    """Runs workflows at the request of somebody who waits."""

    async def execute(self, caller: Caller, order: Order) -> JsonObject:
        """Run a workflow; return `{execution_id, status, output, error, …}`.

        `status` is `running` when the wait was shorter than the execution.
        """
        ...

    def execute_stream(self, caller: Caller, order: Order) -> AsyncIterator[Told]:
        """Run a workflow; yield what happens in it, and `result` at last."""
        ...


class Deployments(Protocol):
    """Keeps what is deployed. Of the runtime."""

    async def validate(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """Return `{valid, diagnostics, name}`: what speaks against a document. Nothing is
        kept, and whatever else `deploy` would refuse is refused.
        """
        ...

    async def deploy(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """Keep a version of a workflow, and serve it from now on.

        Returns:
            `{deployment_id, name, version, status, webhook_url, created_at, changed}`.
        """
        ...

    async def list(self, caller: Caller, *, after: str, limit: int) -> JsonObject:
        """Return `{deployments, next}`, by name."""
        ...

    async def get(self, caller: Caller, deployment_id: str) -> JsonObject:
        """Return one deployment with its versions and the active definition."""
        ...

    async def difference(
        self, caller: Caller, deployment_id: str, old: str, new: str
    ) -> JsonObject:
        """Return how two versions differ: `{old, new, changes, text}`."""
        ...

    async def activate(
        self, caller: Caller, deployment_id: str, version: str | None
    ) -> JsonObject:
        """Serve another kept version; None: the one before the active one."""
        ...

    async def undeploy(self, caller: Caller, deployment_id: str) -> JsonObject:
        """Serve it no longer. Executions in flight go on."""
        ...


class Executions(Protocol):
    """Shows executions, and changes their course. Of the runtime."""

    async def find(
        self, caller: Caller, search: Search, page: int | None = None
    ) -> JsonObject:
        """Return `{executions, total_count, page, page_size, before}`."""
        ...

    async def get(self, caller: Caller, execution_id: str, wait_ms: int = 0) -> JsonObject:
        """Return one execution: at once, or at its end within the wait."""
        ...

    def events(self, caller: Caller, execution_id: str, after: int) -> AsyncIterator[Told]:
        """Yield what happened in an execution behind `after`, and what will, to its end."""
        ...

    async def timeline(self, caller: Caller, execution_id: str) -> JsonObject:
        """Return the steps of an execution with their times: `{execution_id, steps}`."""
        ...

    async def change(
        self, caller: Caller, execution_id: str, verb: str, body: JsonObject
    ) -> JsonObject:
        """Change an execution's course: `cancel`, `resume`, `fork`, `signals`, … ."""
        ...


class Triggers(Protocol):
    """Starts executions because something happened. Of the runtime."""

    async def deliver(self, delivery: Delivery) -> JsonObject:
        """Take a webhook's request: `{status, execution_id}`. It is kept when this returns.

        Its sender is checked here, by the trigger's own signature rules.
        """
        ...

    async def list(self, caller: Caller) -> JsonObject:
        """Return the triggers of all active deployments: `{triggers}`."""
        ...


class Agent(Protocol):
    """Drafts workflows in conversation. Runs none."""

    async def create_session(
        self, caller: Caller, action: Literal["create", "edit"], workflow_id: str | None
    ) -> JsonObject:
        """Begin a conversation: `{session_id, created_at, …}`."""
        ...

    def chat(self, caller: Caller, session_id: str, message: str) -> AsyncIterator[Told]:
        """Take what a person says; yield `message` events: `{type, content}`."""
        ...

    def generate(
        self, caller: Caller, session_id: str, after: int = 0
    ) -> AsyncIterator[Told]:
        """Draft the workflow; yield `waiting`, `start`, `draft`, `debugging`, `complete`
        or `error`. Coming again with `after` goes on behind that event.

        The draft is the session's, not the stream's: it goes on when a follower leaves,
        and one of a session is under way at a time.
        """
        ...
