"""Where the steps of a document stand, and what its executions are told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plait.testing import Decided, Sent

Json = Any
LOOPS = ("while", "repeat", "foreach")


def signals_of(document: Json) -> list[Sent | Decided]:
    """Return what an execution of `document` is told, in the order of its writing."""
    told: list[Sent | Decided] = []
    if "states" in document:
        sent = document["annotations"]["sent"]
        return [Sent(name, payload, after) for after, name, payload in sent]
    for path, step in steps_of(document, ""):
        notes = step.get("annotations", {})
        told += [
            Sent(step["event"]["name"], {"n": one["n"]}, one["after"])
            for one in notes.get("sent", ())
        ]
        told += [
            Decided(path, one["decision"], one["by"], "so", one["after"])
            for one in notes.get("decided", ())
        ]
    return told


def steps_of(scope: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    """Yield every step below `scope`, and its path in the first rounds."""
    for step in scope["steps"]:
        yield from within(step, prefix)


def named_scopes(step: Json) -> Iterator[tuple[str, Json]]:
    """Yield the scopes of a step that have names in paths."""
    yield from {**step.get("branches", {}), **step.get("handlers", {})}.items()
    yield from ((case["name"], case) for case in step.get("cases", ()))
    for number, catch in enumerate(step.get("catch", ()), start=1):
        yield f"catch{number}", catch
    yield from ((key, step[key]) for key in ("default", "finally") if key in step)


def within(step: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    """Yield a step and those inside it."""
    path = prefix + step["id"]
    yield path, step
    if "steps" in step:
        inside = f"{path}[0]/" if step["type"] in LOOPS else f"{path}/"
        yield from steps_of(step, inside)
    for name, scope in named_scopes(step):
        yield from steps_of(scope, f"{path}[{name}]/")
    fallback = step.get("fallback")
    if isinstance(fallback, dict) and "type" in fallback:
        yield from within({"id": "fallback", **fallback}, f"{path}.fallback/")
    if "compensate" in step:
        yield from within(step["compensate"], f"{path}.compensate/")
