"""What the reference reckons with: ends, errors, durations, joins, retries."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.reading import truth

Json = Any
STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL_LIMIT_MS = 30_000
ADVISED = (
    "connector.timeout",
    "connector.connect",
    "connector.http.503",
    "step.timeout",
    "wait.timeout",
)
CLASSES = {
    "wait.timeout": "timeout",
    "connector.timeout": "timeout",
    "connector.connect": "connect",
    "step.timeout": "timeout",
    "execution.timeout": "timeout",
}


class Ambiguous(Exception):
    """Two things coincide and the outcome depends on which is first."""


@dataclass(frozen=True)
class Error:
    """A failure: the step and attempt that the user is told of.

    Attributes:
        fallback: Why the fallback did not answer: a code, or `skipped`; empty if none.
        retry_on: True when the expression in `retry.on` had no value.
    """

    code: str
    step: str
    attempts: int
    retry_after_ms: int = 0
    fallback: str = ""
    retry_on: bool = False


# The failures that may be the first which a value goes without; None: it may be whole.
Missed = frozenset[Error | None]
WHOLE: Missed = frozenset([None])


@dataclass(frozen=True)
class End:
    """How something ended: `settled`, `failed` or `returned`, and what it goes without."""

    kind: str
    at: int
    payload: Json
    missed: Missed = WHOLE


@dataclass(frozen=True)
class Record:
    """A step got a status at a moment."""

    at: int
    path: str
    status: str


Dice = Callable[[str, int], "int | None"]


def moment_of(numbered: tuple[int, tuple[int, str, Json]]) -> tuple[int, int]:
    number, (at, _, _) = numbered
    return at, number


def decided(decision: str, by: str | None, comment: str | None, at: int) -> Json:
    """Return what an approval responds."""
    moment = STARTED_AT + timedelta(milliseconds=at)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"decision": decision, "by": by, "comment": comment, "at": text}


def round_of(path: str, attempt: int) -> str:
    """Return what the paths inside a group begin with while it makes this attempt."""
    return path + ("" if attempt < 2 else f"~{attempt}")


def told_of(end: End, path: str, attempt: int) -> End:
    """An error out of nowhere (a scope's `output`) belongs to the step around it."""
    if end.kind == "failed" and not end.payload.step:
        return End("failed", end.at, Error(end.payload.code, path, attempt))
    return end


def answer(request: Json, attempt: int) -> Json:
    """Return what the other system says to a call that succeeds."""
    return {"v": request["arg"], "n": attempt, "ok": attempt % 2 == 1}


def view(response: Json, status: str, error: Error | None, attempts: int) -> Json:
    told = None if error is None else {"code": error.code}
    return {"response": response, "status": status, "error": told, "attempts": attempts}


def either(first: Missed, then: Missed) -> Missed:
    """Return what `first` says, and if that may be nothing, what `then` says."""
    return (first - WHOLE) | then if None in first else first


def first_missed(ends: list[End]) -> Missed:
    """Return what a scope goes without whose steps settled so, each in its moment."""
    missed = WHOLE
    for at in sorted({end.at for end in ends}):
        now = [end.missed for end in ends if end.at == at]
        is_sure = any(None not in one for one in now)
        missed = either(missed, frozenset().union(*now) - (WHOLE if is_sure else set()))
    return missed


def missed_around(end: End, beside: list[End], order: str) -> Missed:
    """Return what a `return` goes without: the failures where it stands, and before it."""
    if end.kind != "returned":
        return WHOLE
    before = [one for one in beside if one.at < end.at or order == "sequence"]
    perhaps = [one.missed for one in beside if one.at == end.at and one not in before]
    missed = either(first_missed(before), WHOLE.union(*perhaps))
    return either(end.missed, missed)


def join(order: tuple[tuple[str, End], ...], names: list[str], needed: int) -> End:
    """Return what `parallel` makes of branches that end in this order."""
    outputs: dict[str, Json] = {}
    missed, failed = WHOLE, 0
    for name, end in order:
        if end.kind == "returned":
            return end
        if end.kind == "failed":
            failed += 1
            if len(names) - failed < needed:
                return end
        else:
            outputs[name] = end.payload
            missed = either(missed, end.missed)
            if len(outputs) == needed:
                in_order = {name: outputs[name] for name in names if name in outputs}
                return End("settled", end.at, in_order, missed)
    raise AssertionError(order)


def orders(items: list[tuple[str, End]]) -> Iterator[tuple[tuple[str, End], ...]]:
    """Yield every order of `items` in which time does not run backwards."""
    for order in itertools.permutations(items):
        moments = [end.at for _, end in order]
        if moments == sorted(moments):
            yield order


def is_retried(on: Json, error: Error, names: dict[str, Json], effect: Json) -> bool:
    if error.code.startswith(("expression", "limit.")):
        return False
    if error.code in ("connector.invalid_request", "foreach.items"):
        return False
    if effect == "unsafe" and error.code != "connector.connect":
        return False
    if on is None:
        return error.code in ADVISED
    if isinstance(on, str) and "${" in on:
        return truth(on, {**names, "error": {"code": error.code}})
    return word_matches(on, error)


def word_matches(on: Json, error: Error) -> bool:
    """Tell whether one of the words in `on` means `error`."""
    words = on if isinstance(on, list) else [on]
    status = error.code.removeprefix("connector.http.")
    known = {"any", error.code, CLASSES.get(error.code), status, f"{status[0]}xx"}
    known.add(f"{error.code.partition('.')[0]}.*")
    return any(str(word) in known for word in words)


def duration(text: str | None) -> int | None:
    if text is None:
        return None
    number, unit = re.fullmatch(r"(\d+)(ms|s)", text).groups()  # type: ignore[union-attr]
    return int(number) * (1000 if unit == "s" else 1)


def waits_for(step: Json, steps: list[Json]) -> set[str]:
    """Return the ids of the steps beside `step` that it reads or names."""
    text = json.dumps(step).replace("$${", "")
    expressions = " ".join(re.findall(r"\$\{([^}]*)\}", text))
    words = set(re.findall(r"\b\w+\b", expressions)) | set(step.get("depends_on", ()))
    return {other["id"] for other in steps if other["id"] in words} - {step["id"]}
