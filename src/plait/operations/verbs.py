"""The verbs that change executions: what each takes from its body.

| verb | body |
|---|---|
| `cancel` | `{"reason", "compensate"}`: true undoes first what it did |
| `rollback` | `{"reason"}`: undoes what an execution that has ended did |
| `resume`, `restart` | `{}` |
| `fork` | `{"from", "input"}`: the step to begin from; another input if there is one |
| `signals` | `{"name", "payload", "id"}`: of several with one `id` the first counts |
| `approve`, `reject` | `{"by", "roles", "comment", "step"}` |
| `decide` | `{"as", "response", "by", "step"}`: what became of a call in doubt |

`by` and `roles` are the caller's own; or whose else, says plait.operations.deciders.

Rule. A key that a verb does not know is refused: a mistyped `compensate`, passed over,
      would cancel and undo nothing.

Not here: who may (plait.operations.executing), what the verbs do (the rest of this room).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from plait.drivers.inputs import InvalidInput
from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonObject
from plait.operations.course import Decision, Hand, resolve, restart, resume, rollback
from plait.operations.forking import Fork, fork
from plait.operations.messages import Signal, Verdict, cancel, judge, signal
from plait.ports.journal import Summary
from plait.ports.platform import InvalidRequest

Verb: TypeAlias = Callable[[Hand, str, JsonObject], Awaitable[Summary]]

_ID_BYTES: Final = 16
_REASON: Final = "through the API"
_ACTIONS: Final = ("retry", "done", "fail")


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of the body; without a default it has to be there."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise InvalidRequest(
            f"`{name}` is a text" + ("" if default is not None else ", needed")
        )
    return value


def _texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidRequest(f"`{name}` is a list of texts")
    return tuple(value)


async def _cancel(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    compensates = body.get("compensate", False)
    if not isinstance(compensates, bool):
        raise InvalidRequest("`compensate` is true or false")
    reason = _text(body, "reason", _REASON)
    return await cancel(hand, execution_id, reason, compensates=compensates)


async def _rollback(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    return await rollback(hand, execution_id, _text(body, "reason", _REASON))


async def _resume(hand: Hand, execution_id: str, _: JsonObject) -> Summary:
    return await resume(hand, execution_id)


async def _restart(hand: Hand, execution_id: str, _: JsonObject) -> Summary:
    return await restart(hand, execution_id, secrets.token_hex(_ID_BYTES))


async def _fork(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    wanted = Fork(execution_id, _text(body, "from"), body.get("input"), "input" in body)
    try:
        return await fork(hand, wanted, secrets.token_hex(_ID_BYTES))
    except InvalidInput as error:
        text = "the input does not fit the workflow's schema"
        raise InvalidRequest(text, {"violations": [*error.violations]}) from error


async def _signal(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    has_id = body.get("id") is not None
    signal_id = _text(body, "id") if has_id else secrets.token_hex(_ID_BYTES)
    sent = Signal(signal_id, _text(body, "name"), body.get("payload"))
    return await signal(hand, execution_id, sent)


async def _approve(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    return await judge(hand, execution_id, _verdict(body, is_approved=True))


async def _reject(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    return await judge(hand, execution_id, _verdict(body, is_approved=False))


def _verdict(body: JsonObject, *, is_approved: bool) -> Verdict:
    return Verdict(
        is_approved,
        _text(body, "by"),
        _text(body, "comment", ""),
        _texts(body, "roles"),
        _text(body, "step", "") or None,
    )


async def _decide(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
    action = body.get("as")
    if action not in _ACTIONS:
        raise InvalidRequest(f"`as` is one of {', '.join(_ACTIONS)}")
    step, by = _text(body, "step", ""), _text(body, "by", "")
    decision = Decision(step, cast("Any", action), body.get("response"), by)
    return await resolve(hand, execution_id, decision)


def _strict(name: str, known: tuple[str, ...], verb: Verb) -> Verb:
    """Return `verb`, refusing a body with keys that it does not know."""
    takes = f"takes {', '.join(known)}" if known else "takes nothing: send {}"

    async def change(hand: Hand, execution_id: str, body: JsonObject) -> Summary:
        for key in body:
            if key not in known:
                hint = did_you_mean(key, known)
                near = f"; {hint}" if hint else ""
                raise InvalidRequest(f"unknown key '{key}': {name} {takes}{near}")
        return await verb(hand, execution_id, body)

    return change


_VERDICT: Final = ("by", "roles", "comment", "step")
_ROWS: Final[tuple[tuple[str, tuple[str, ...], Verb], ...]] = (
    ("cancel", ("reason", "compensate"), _cancel),
    ("rollback", ("reason",), _rollback),
    ("resume", (), _resume),
    ("restart", (), _restart),
    ("fork", ("from", "input"), _fork),
    ("signals", ("name", "payload", "id"), _signal),
    ("approve", _VERDICT, _approve),
    ("reject", _VERDICT, _reject),
    ("decide", ("as", "response", "by", "step"), _decide),
)
# They let something act that did not: like a start, but for the name. What ends or undoes
# something, or answers what an execution waits for, is never too much.
STARTING: Final = frozenset({"resume", "restart", "fork"})
VERBS: Final[dict[str, Verb]] = {
    name: _strict(name, known, verb) for name, known, verb in _ROWS
}
