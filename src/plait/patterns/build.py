"""Steps of documents that patterns are made into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plait.model.json import JsonObject, JsonValue
from plait.patterns.checks import Retry, check_seconds, duration, retry_of
from plait.patterns.context import Callee


def call(step_id: str, callee: Callee, *values: JsonValue) -> JsonObject:
    """Return a step that calls a function.

    Args:
        values: Templates of what its parameters take; of a `Context` a pair in a mapping
            with `value` and `context`, of which it gets the one that it asks for.
    """
    arguments: list[JsonValue] = [
        _chosen(value, takes_context)
        for value, takes_context in zip(values, callee.takes, strict=False)
    ]
    name = callee.function.name
    # A journal may be opened by programs that know other patterns, or none.
    request: JsonObject = {"function": name, "wait_for_worker": True}
    if arguments:
        request["arguments"] = arguments
    return {"id": step_id, "type": "python", "request": request}


def either(value: JsonValue, context: JsonObject) -> JsonObject:
    """Return what a function is given: the value, or the context if it asks for that."""
    return {"value": value, "context": context}


def _chosen(given: JsonValue, takes_context: bool) -> JsonValue:
    if not isinstance(given, dict) or given.keys() != {"value", "context"}:
        return given
    return given["context" if takes_context else "value"]


def context(
    value: JsonValue, done: Iterable[str], *, error: JsonValue = None
) -> JsonObject:
    """Return the template of a `Context` in which the steps `done` have settled."""
    results: JsonObject = {one: f"${{{one}.response}}" for one in done}
    return {"input": value, "results": results, "error": error}


def limits(
    what: str,
    *,
    timeout_s: float | None,
    attempt_timeout_s: float | None = None,
    retry: Retry | int | None = None,
) -> JsonObject:
    """Return the settings of a step that bound its time and its attempts.

    Raises:
        ValueError: One is out of its range.
    """
    found: JsonObject = {}
    for name, seconds in (
        ("timeout", timeout_s),
        ("attempt_timeout", attempt_timeout_s),
    ):
        if seconds is not None:
            check_seconds(f"{what}: {name}_s", seconds)
            found[name] = duration(seconds)
    written = retry_of(retry, what)
    if written is not None:
        found["retry"] = written
    return found


def with_keys(step: JsonObject, more: Mapping[str, JsonValue]) -> JsonObject:
    """Return a step with more keys."""
    return {**step, **more}
