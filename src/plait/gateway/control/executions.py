"""Operations on executions: look, follow, change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Header, Path, Query, Request

from plait.drivers.clock import now_ms
from plait.gateway.control import models
from plait.gateway.control.operations import VERBS, verb_operation
from plait.gateway.control.route import Answer, asked, by_name, told
from plait.gateway.durable import WAIT_MS_MAX
from plait.model.duration import parse_duration_ms
from plait.model.moment import parse_since_ms
from plait.ports.journal import RUNNING, Search
from plait.ports.platform import InvalidRequest

ExecutionId = Annotated[str, Path(examples=["18beeb1ac031a309dfc144bd16835cae"])]
# 32 bits are more turns than an execution can have.
LastEventId = Annotated[
    int,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=2**31 - 1,
        description="The `id` of the last event that is known already.",
    ),
]


def wait_ms_of(text: str) -> int:
    """Return how long a caller waits, milliseconds; proxies cut longer waits than that.

    Raises:
        InvalidRequest: It is no duration.
    """
    try:
        return min(parse_duration_ms(text), WAIT_MS_MAX)
    except ValueError as error:
        raise InvalidRequest(f"wait: {error}") from None


async def get_execution(
    request: Request,
    execution_id: ExecutionId,
    wait: Annotated[
        str | None,
        Query(
            max_length=40,
            description="How long to wait for its end: `30s`; a minute at most.",
            examples=["30s"],
        ),
    ] = None,
) -> Answer:
    """Show one execution: at once, or at its end within the wait.

    Whoever knows its id, 128 random bits, may ask how it ended. All else is for viewers.
    """
    ask = asked(request)
    wait_ms = 0 if wait is None else wait_ms_of(wait)
    shown = await ask.services.the_executions().get(ask.caller, execution_id, wait_ms)
    answer = told(shown)
    if shown["status"] == RUNNING:
        answer.reply.headers.append((b"retry-after", b"1"))
    return answer


async def list_executions(
    request: Request, filters: Annotated[models.Filters, Query()]
) -> Answer:
    """List executions, the latest first."""
    ask, page = asked(request), filters.page
    if page is not None and filters.before is not None:
        raise InvalidRequest("`page` and `before` are two ways on: send one of them")
    search = _search(filters)
    return told(await ask.services.the_executions().find(ask.caller, search, page))


def _search(filters: models.Filters) -> Search:
    return Search(
        workflow=filters.workflow,
        statuses=tuple(filters.status),
        error_code=filters.error,
        tag=filters.tag,
        key=filters.key,
        text=filters.text,
        since_ms=_moment_ms("since", filters.since),
        until_ms=_moment_ms("until", filters.until),
        before=None if filters.before is None else int(filters.before),
        limit=filters.page_size or filters.limit or models.PAGE_SIZE,
    )


def _moment_ms(name: str, given: str | None) -> int | None:
    if given is None:
        return None
    try:
        return parse_since_ms(given, now_ms())
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}") from None


async def follow_execution(
    request: Request, execution_id: ExecutionId, last_event_id: LastEventId = 0
) -> Answer:
    """Follow an execution: what happened in it and what will, to its end.

    An event `turn` for each turn of its history, its number as `id`; at last `end`, with
    the execution. Who comes back with `Last-Event-ID` misses nothing. Comments keep the
    connection open.
    """
    ask = asked(request)
    events = ask.services.the_executions().events(ask.caller, execution_id, last_event_id)
    return Answer(await ask.events.reply(events))


async def get_timeline(request: Request, execution_id: ExecutionId) -> Answer:
    """Show the steps of an execution with their times."""
    ask = asked(request)
    return told(await ask.services.the_executions().timeline(ask.caller, execution_id))


def _change(verb: str, text: str) -> Callable[..., Awaitable[Answer]]:
    async def change(request: Request, execution_id: ExecutionId) -> Answer:
        ask = asked(request)
        executions = ask.services.the_executions()
        return told(await executions.change(ask.caller, execution_id, verb, ask.body))

    change.__doc__ = text
    return change


_TEXTS: Final = {
    "cancel": "Stop an execution; with `compensate`, undo first what it did.",
    "rollback": "Undo what an execution that has ended did.",
    "resume": "Let an execution that failed or was cancelled go on where it stood.",
    "restart": "Begin a new execution with the input of an old one.",
    "fork": "Begin a new execution that goes on from a step of an old one.",
    "signals": "Tell an execution that something happened.",
    "approve": "Say yes to what an execution asks.",
    "reject": "Say no to what an execution asks.",
    "decide": "Say what became of an unsafe call that a crash cut off.",
}
# What each verb takes. The service itself checks it, for whoever asks.
VERB_BODIES: Final[dict[str, type[models.Asking]]] = {
    "cancel": models.Cancel,
    "rollback": models.Reasoned,
    "resume": models.Nothing,
    "restart": models.Nothing,
    "fork": models.Fork,
    "signals": models.Signal,
    "approve": models.Verdict,
    "reject": models.Verdict,
    "decide": models.Decide,
}
HANDLERS: Final = {
    **by_name(get_execution, list_executions, follow_execution, get_timeline),
    **{verb_operation(verb): _change(verb, _TEXTS[verb]) for verb in VERBS},
}
