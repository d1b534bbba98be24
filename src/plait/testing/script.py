"""Scripts: what the other systems answer in a simulation, and after how long.

A script maps a step's path to its answer, or to one answer per attempt (the last is
repeated), or is a function of the call. A group that is tried again gives the steps inside
it new paths (`fan~2[left]/charge`); what the script says of `fan[left]/charge` holds for
all rounds that it does not name, and of `items[*]/charge` for all items and iterations.

>>> script = {"user": reply({"id": 7}), "orders": [error("connector.http.503"), reply([])]}
>>> script["user"].response
{'id': 7}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, TypeAlias

from plait.kernel import StartCall
from plait.kernel.paths import in_document, without_rounds
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

_UNSENT: Final = ("connector.unknown_host", "connector.connect", "connector.tls")
_TRANSIENT: Final = (
    *_UNSENT,
    "connector.timeout",
    "connector.closed",
    *(f"connector.http.{n}" for n in (408, 425, 429, 500, 502, 503, 504)),
)

_REFUSED: Final = ("connector.invalid_request", "connector.forbidden_address")


@record
class Answer:
    """One scripted outcome. `reply`, `error` and `HANG` make these.

    Attributes:
        response: What the call yields when it succeeds.
        facts: The connector's extra keys: `status_code`, `headers`.
        failure: Why the call failed; None when it succeeds.
        after_ms: How long it takes, virtual milliseconds; None: until the time limit.
    """

    response: JsonValue
    facts: JsonObject
    failure: Failure | None
    after_ms: int | None


Script: TypeAlias = (
    "Mapping[str, Answer | Sequence[Answer]] | Callable[[StartCall], Answer]"
)

HANG: Final = Answer(None, {}, None, None)
"""No answer ever: the call's own time limit ends it, as `connector.timeout`."""


class Unscripted(PlaitError):
    """The workflow made a call that the script has no answer for."""

    code: ClassVar[str] = "testing.unscripted"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, call: StartCall) -> None:
        super().__init__(
            f"the script has no answer for step '{call.step}', attempt {call.attempt}, "
            f"which asks {call.kind} for {call.request}"
        )
        self.call = call


def reply(
    response: JsonValue = None, *, after_ms: int = 0, facts: JsonObject | None = None
) -> Answer:
    """Return an answer that succeeds after `after_ms` virtual milliseconds.

    Args:
        response: What templates read as `response`.
        facts: The step's extra keys; None: status 200 and no headers.
    """
    default: JsonObject = {"status_code": 200, "headers": {}}
    return Answer(response, default if facts is None else facts, None, after_ms)


def error(
    code: str,
    message: str = "scripted",
    *,
    after_ms: int = 0,
    details: JsonObject | None = None,
    retry_after_ms: int | None = None,
    sent: bool | None = None,
) -> Answer:
    """Return an answer that fails with the stable error code `code`.

    Advice, classes and whether something was sent are what the connectors say of that
    code; `sent` overrides the last.

    >>> failure = error("connector.connect").failure
    >>> failure.classes, failure.sent, str(failure.advice)
    (('connect',), False, 'retry')
    """
    is_unsent = code in _UNSENT
    known: dict[str, tuple[str, ...]] = {"connector.timeout": ("timeout",)}
    failure = Failure(
        code,
        message,
        {} if details is None else details,
        _advice(code),
        ("connect",) if is_unsent else known.get(code, ()),
        not is_unsent if sent is None else sent,
        retry_after_ms,
    )
    return Answer(None, {}, failure, after_ms)


def _advice(code: str) -> Advice:
    if code in _TRANSIENT:
        return Advice.RETRY
    is_refusal = code.startswith("connector.http.4") or code in _REFUSED
    return Advice.FIX_REQUEST if is_refusal else Advice.REPORT


def answer_to(script: Script, call: StartCall) -> Answer:
    """Return what `script` says to `call`, cut off at the call's time limit.

    Raises:
        Unscripted: It says nothing.
    """
    answer = _scripted(script, call)
    if answer.after_ms is not None and answer.after_ms < call.timeout_ms:
        return answer
    text = f"no answer within {call.timeout_ms} ms"
    return error("connector.timeout", text, after_ms=call.timeout_ms)


def _scripted(script: Script, call: StartCall) -> Answer:
    if callable(script):
        return script(call)
    everywhere = script.get(in_document(call.step))
    answers = script.get(call.step, script.get(without_rounds(call.step), everywhere))
    if isinstance(answers, Answer):
        return answers
    if not answers:
        raise Unscripted(call)
    return answers[min(call.attempt, len(answers)) - 1]
