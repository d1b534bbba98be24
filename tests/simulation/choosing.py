"""`switch` and `try`, as the reference reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from tests.simulation.looping import Walks
from tests.simulation.reading import Unreadable, truth
from tests.simulation.reckoning import (
    WHOLE,
    Ambiguous,
    End,
    Error,
    either,
    word_matches,
)

Json = Any


class Splits(Walks, Protocol):
    """The reference, as choices use it."""

    def parallel(self, raw: Json, names: Json, now: int, path: str) -> list[End]:
        """Return how branches at the same time end together."""
        ...


def switch(walk: Splits, raw: Json, names: Json, now: int, path: str) -> list[End]:
    """Return how the cases that are taken end together."""
    is_all = raw.get("strategy") == "all_match"
    taken: dict[str, Json] = {}
    for case in sorted(raw["cases"], key=lambda one: -one.get("priority", 0)):
        if (is_all or not taken) and truth(case["when"], names):
            taken[case["name"]] = case
    if not taken and "default" in raw:
        taken["default"] = raw["default"]
    if not taken:
        return [End("settled", now, {} if is_all else None)]
    ends = walk.parallel({"branches": taken}, names, now, path)
    if is_all:
        return ends
    (name,) = taken
    return [
        replace(end, payload=end.payload[name]) if end.kind == "settled" else end
        for end in ends
    ]


def tried(
    walk: Splits,
    raw: Json,
    names: Json,
    now: int,
    path: str,
    limited: Callable[[list[End]], list[End]],
) -> list[End]:
    """Return how `try` ends: its steps, a `catch`, and `finally`.

    Args:
        limited: Returns how steps and `catch` end by the step's limits.
    """
    end = _only(walk.scope(raw, raw.get("order", "graph"), names, now, f"{path}/"))
    if end.kind == "failed":
        end = _caught(walk, raw, names, end, path)
    (end,) = limited([end])
    if "finally" not in raw or end.kind == "returned":
        return [end]
    last = raw["finally"]
    ends = walk.scope(last, last.get("order", "graph"), names, end.at, f"{path}[finally]/")
    if ends[0].kind != "settled":
        return ends
    return [replace(end, at=ends[0].at, missed=either(end.missed, ends[0].missed))]


def _only(ends: list[End]) -> End:
    if len(ends) > 1:
        raise Ambiguous
    return ends[0]


def _caught(walk: Splits, raw: Json, names: Json, failed: End, path: str) -> End:
    """Return what the first `catch` that fits makes of a failure."""
    error: Error = failed.payload
    seen = {"code": error.code}
    for number, catch in enumerate(raw.get("catch", ()), start=1):
        try:
            if not _fits(catch.get("on"), error, {**names, "error": seen}):
                continue
        except Unreadable:
            return failed
        inside = {**names, catch.get("as", "error"): seen}
        order, prefix = catch.get("order", "graph"), f"{path}[catch{number}]/"
        return _only(walk.scope(catch, order, inside, failed.at, prefix))
    return failed


def _fits(on: Json, error: Error, names: Json) -> bool:
    if on is None:
        return True
    if isinstance(on, str) and "${" in on:
        return truth(on, names)
    return word_matches(on, error)


def route(walk: Splits, raw: Json, names: Json, now: int, path: str) -> list[End]:
    """Return how handlers end that hand over to each other."""
    handlers = raw["handlers"]
    name, previous, at, missed = raw.get("start", next(iter(handlers))), None, now, WHOLE
    taken: list[str] = []
    while True:
        handler = handlers[name]
        seen = {**names, "previous": previous, "iteration": len(taken)}
        taken.append(name)
        again = f"#{taken.count(name)}" if taken.count(name) > 1 else ""
        order, prefix = handler.get("order", "graph"), f"{path}[{name}{again}]/"
        ends = walk.scope(handler, order, seen, at, prefix)
        if ends[0].kind != "settled":
            return ends
        at, missed = ends[0].at, either(missed, ends[0].missed)
        after = {**seen, **walk.views}
        fits = (
            t["to"] for t in handler.get("next", ()) if truth(t.get("when", True), after)
        )
        try:
            following = next(fits, None)
        except Unreadable:
            return [End("failed", at, Error("expression", "", 0))]
        if following is None:
            return [End("settled", at, ends[0].payload, missed)]
        if len(taken) > raw.get("max_hops", 10):
            return [End("failed", at, Error("limit.hops", "", 0))]
        name, previous = following, ends[0].payload
