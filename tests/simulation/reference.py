"""A slow, obvious interpreter of workflow documents: what the language page says, in code.

It looks at the raw mapping only, never at a plan. It works out *when* everything would
happen if nothing were ever cut short, and then lets the earliest end of each scope win.

Rule 1. Nothing is shared with the compiler or the kernel, not even the words.
Rule 2. Where two things happen at the same instant and the language does not say which
        comes first, all outcomes are kept as alternatives, or `Ambiguous` is raised.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.reading import Unreadable, render, truth

Json = Any
CALL_LIMIT_MS = 30_000
ADVISED = ("connector.timeout", "connector.connect", "connector.http.503", "step.timeout")
CLASSES = {
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


@dataclass
class Reference:
    """One execution of `document`, which started at moment 0.

    Args:
        dice: What a back-off that is drawn by lot came to, by step path and attempt; None
            where it never came to that.
    """

    document: dict[str, Json]
    input: Json
    dice: Dice
    records: list[Record] = field(default_factory=list)

    def run(self) -> list[End]:
        """Return the possible ends; more than one only if they fall on one instant."""
        doc = self.document
        order = doc.get("order", "graph")
        ends = self.scope(doc, order, {"input": self.input}, 0, "")
        limit = duration(doc.get("timeout"))
        if limit is not None and ends[0].at == limit:
            raise Ambiguous
        if limit is not None and ends[0].at > limit:
            ends = [End("failed", limit, Error("execution.timeout", "", 0))]
        self.cut("", ends[0].at)
        return ends

    def cut(self, prefix: str, at: int) -> None:
        """Forget what would have happened below `prefix` from moment `at` on."""
        self.records = [
            r for r in self.records if r.at < at or not r.path.startswith(prefix)
        ]

    def cut_inside(self, path: str, at: int) -> None:
        """Forget what would have happened inside the step from moment `at` on."""
        self.cut(path + "/", at)
        self.cut(path + "[", at)

    # -- scopes --------------------------------------------------------------------------

    def scope(
        self, raw: Json, order: str, names: dict[str, Json], start: int, prefix: str
    ) -> list[End]:
        """Return how the steps of `raw` end together."""
        walk = self.sequence if order == "sequence" else self.graph
        settled, enders = walk(raw["steps"], dict(names), start, prefix)
        if enders:
            first = min(end.at for end in enders)
            self.cut_siblings(raw["steps"], prefix, first)
            beside = [end for end, _ in settled.values()]
            return [
                replace(end, missed=missed_around(end, beside, order))
                for end in enders
                if end.at == first
            ]
        at = max(end.at for end, _ in settled.values())
        missed = first_missed([end for end, _ in settled.values()])
        views = {step_id: view for step_id, (_, view) in settled.items()}
        try:
            output = self.scope_output(raw, {**names, **views}, views)
            return [End("settled", at, output, missed)]
        except Unreadable:
            return [End("failed", at, Error("expression", "", 0))]

    def cut_siblings(self, steps: list[Json], prefix: str, at: int) -> None:
        for step in steps:
            self.cut(prefix + step["id"], at)

    def scope_output(self, raw: Json, names: dict[str, Json], views: Json) -> Json:
        if "output" in raw and raw.get("type") != "sequence":
            return render(raw["output"], names)
        return {
            step_id: view["response"]
            for step_id, view in views.items()
            if view["status"] == "completed"
        }

    def sequence(
        self, steps: list[Json], names: dict[str, Json], now: int, prefix: str
    ) -> tuple[dict[str, Any], list[End]]:
        settled: dict[str, tuple[End, Json]] = {}
        for step in steps:
            ends = self.step(step, names, now, prefix)
            if ends[0].kind != "settled":
                return settled, ends
            settled[step["id"]] = (ends[0], ends[0].payload)
            names[step["id"]] = ends[0].payload
            now = ends[0].at
        return settled, []

    def graph(
        self, steps: list[Json], names: dict[str, Json], start: int, prefix: str
    ) -> tuple[dict[str, Any], list[End]]:
        settled: dict[str, tuple[End, Json]] = {}
        enders: list[End] = []
        waiting = list(steps)
        while True:
            free = [s for s in waiting if waits_for(s, steps) <= settled.keys()]
            if not free:
                return settled, enders
            for step in free:
                waiting.remove(step)
                moments = [settled[name][0].at for name in waits_for(step, steps)]
                seen = {**names, **{name: view for name, (_, view) in settled.items()}}
                ends = self.step(step, seen, max([start, *moments]), prefix)
                if ends[0].kind == "settled":
                    settled[step["id"]] = (ends[0], ends[0].payload)
                else:
                    enders.extend(ends)

    # -- steps ---------------------------------------------------------------------------

    def step(self, raw: Json, names: dict[str, Json], now: int, prefix: str) -> list[End]:
        """Return how a step ends that became ready at `now`."""
        path = prefix + raw["id"]
        if raw.get("disabled"):
            return [self.settle(path, "skipped", now, None, None, 0)]
        try:
            if not truth(raw.get("condition", True), names):
                return [self.settle(path, "skipped", now, None, None, 0)]
        except Unreadable:
            error = Error("expression", path, 0)
            return self.give_up(raw, names, now, path, error, 0)
        return self.attempts(raw, names, now, path)

    def attempts(self, raw: Json, names: dict[str, Json], now: int, path: str) -> list[End]:
        deadline = self.setting(raw, "timeout")
        deadline_at = None if deadline is None else now + deadline
        for attempt in itertools.count(1):
            ends = self.attempt(raw, names, now, path, attempt, deadline_at)
            end = ends[0]
            if len(ends) > 1 and self.is_caught(raw):
                raise Ambiguous
            if end.kind == "settled":
                settled = self.settle(path, "completed", end.at, end.payload, None, attempt)
                return [replace(settled, missed=end.missed)]
            if end.kind == "returned" or len(ends) > 1:
                return ends
            error = end.payload
            try:
                again_at = self.retry_at(raw, end, names, path, attempt, deadline_at)
            except Unreadable:
                again_at, error = None, replace(error, retry_on=True)
            if again_at is None:
                return self.give_up(raw, names, end.at, path, error, attempt)
            now = again_at
        raise AssertionError

    def is_caught(self, raw: Json) -> bool:
        return (
            "fallback" in raw
            or self.raw_setting(raw, "on_error") == "continue"
            or self.raw_setting(raw, "retry") is not None
        )

    def attempt(
        self,
        raw: Json,
        names: dict[str, Json],
        now: int,
        path: str,
        attempt: int,
        deadline_at: int | None,
    ) -> list[End]:
        """Return how one attempt ends, its limits and the step's `output` included."""
        try:
            ends = self.unlimited(raw, names, now, path, attempt, deadline_at)
        except Unreadable:
            ends = [End("failed", now, Error("expression", path, attempt))]
        if raw["type"] != "ask":
            ends = self.limited(raw, ends, now, path, attempt, deadline_at)
        is_value = ends[0].kind == "settled" or raw["type"] == "return"
        if not is_value or ends[0].kind == "failed" or "output" not in raw:
            return [_told(end, path, attempt) for end in ends]
        own = view(ends[0].payload, "completed", None, attempt)
        try:
            response = render(raw["output"], {**names, raw["id"]: own})
        except Unreadable:
            return [End("failed", ends[0].at, Error("expression", path, attempt))]
        return [replace(ends[0], payload=response)]

    def limited(
        self,
        raw: Json,
        ends: list[End],
        now: int,
        path: str,
        attempt: int,
        deadline_at: int | None,
    ) -> list[End]:
        own = self.setting(raw, "attempt_timeout")
        limits = [at for at in (deadline_at, None if own is None else now + own) if at]
        at = ends[0].at
        if at in limits and at != now:
            raise Ambiguous
        passed = [limit for limit in limits if limit < at]
        if not passed:
            return ends
        if len(set(passed)) < len(passed):
            raise Ambiguous
        self.cut_inside(round_of(path, attempt), min(passed))
        return [End("failed", min(passed), Error("step.timeout", path, attempt))]

    def unlimited(
        self,
        raw: Json,
        names: dict[str, Json],
        now: int,
        path: str,
        attempt: int,
        deadline_at: int | None,
    ) -> list[End]:
        match raw["type"]:
            case "ask":
                return [self.ask(raw, names, now, path, attempt, deadline_at)]
            case "set":
                return [End("settled", now, render(raw["value"], names))]
            case "wait":
                return [End("settled", now + (duration(raw["for"]) or 0), None)]
            case "return":
                return [End("returned", now, render(raw["value"], names))]
            case "fail":
                render(raw.get("details"), names)
                return [End("failed", now, Error(raw["code"], path, attempt))]
            case "sequence":
                prefix = round_of(path, attempt) + "/"
                return self.scope(raw, "sequence", names, now, prefix)
            case "parallel":
                return self.parallel(raw, names, now, round_of(path, attempt))
            case other:
                raise AssertionError(other)

    def ask(
        self,
        raw: Json,
        names: dict[str, Json],
        now: int,
        path: str,
        attempt: int,
        deadline_at: int | None,
    ) -> End:
        limits = [self.setting(raw, "attempt_timeout")]
        if deadline_at is not None:
            limits.append(deadline_at - now)
        set_limits = [limit for limit in limits if limit is not None]
        limit = min(set_limits) if set_limits else CALL_LIMIT_MS
        if limit <= 0:
            return End("failed", now, Error("step.timeout", path, attempt))
        request = render(raw["request"], names)
        before = sum(int(number) - 1 for number in re.findall(r"~(\d+)", path))
        played = request["play"][min(attempt + before, len(request["play"])) - 1]
        if played["after"] >= limit:
            return End("failed", now + limit, Error("connector.timeout", path, attempt))
        at = now + played["after"]
        if played["code"] is None:
            return End("settled", at, answer(request, attempt))
        again = played["retry_after"]
        return End("failed", at, Error(played["code"], path, attempt, again))

    def parallel(self, raw: Json, names: dict[str, Json], now: int, path: str) -> list[End]:
        branches = raw["branches"]
        needed = {"all": len(branches), "any": 1}.get(raw.get("join", "all"))
        needed = raw["join"] if needed is None else needed
        ends = {
            name: self.scope(
                branch, branch.get("order", "graph"), names, now, f"{path}[{name}]/"
            )
            for name, branch in branches.items()
        }
        joined: list[End] = []
        for way in itertools.product(*ends.values()):
            for order in orders(list(zip(ends, way, strict=True))):
                end = join(order, list(branches), needed)
                same = [one for one in joined if replace(one, missed=end.missed) == end]
                for one in same:
                    joined.remove(one)
                    end = replace(end, missed=end.missed | one.missed)
                joined.append(end)
        if len(joined) > 1 and any(end.kind == "settled" for end in joined):
            raise Ambiguous
        self.cut(path + "[", joined[0].at)
        return joined

    # -- failures ------------------------------------------------------------------------

    def retry_at(
        self,
        raw: Json,
        end: End,
        names: dict[str, Json],
        path: str,
        attempt: int,
        deadline_at: int | None,
    ) -> int | None:
        """Return when the next attempt begins, or None if there is none."""
        retry, error = self.raw_setting(raw, "retry"), end.payload
        if retry is None or attempt >= retry.get("max_attempts", 3):
            return None
        is_over = deadline_at is not None and end.at >= deadline_at
        if is_over and raw["type"] != "ask":
            return None
        if not is_retried(retry.get("on"), error, names, raw.get("effect")):
            return None
        low, high = self.delays(retry, attempt, error.retry_after_ms)
        drawn = self.dice(path, attempt) if low < high else low
        if drawn is None and deadline_at is not None:
            if end.at + low < deadline_at <= end.at + high:
                raise Ambiguous
            drawn = low
        again_at = end.at + (low if drawn is None else drawn)
        assert end.at + low <= again_at <= end.at + high, (low, drawn, high)
        return None if deadline_at is not None and again_at >= deadline_at else again_at

    def delays(self, retry: Json, attempt: int, asked: int) -> tuple[int, int]:
        """Return the shortest and the longest that the next attempt may have to wait."""
        first = duration(retry.get("delay", "100ms")) or 0
        most = duration(retry.get("max_delay", "30s")) or 0
        kind = retry.get("backoff", "fixed")
        delay = {
            "fixed": first,
            "linear": first * attempt,
            "exponential": first * retry.get("factor", 2) ** (attempt - 1),
            "random": min(first, most),
        }[kind]
        low = high = min(max(delay, asked), most)
        jitter = retry.get("jitter", 0)
        if kind == "random":
            low, high = min(max(min(first, most) * (1 - jitter), asked), most), most
        elif jitter:
            low = min(max(min(delay, most) * (1 - jitter), asked), most)
            high = min(max(delay * (1 + jitter), asked), most)
        return math.floor(low), math.ceil(high)

    def give_up(
        self,
        raw: Json,
        names: dict[str, Json],
        now: int,
        path: str,
        error: Error,
        attempts: int,
    ) -> list[End]:
        """The attempts are used up: fallback, then on_error."""
        ends = [End("failed", now, error)]
        if "fallback" in raw:
            ends = self.fallback(raw, names, now, path, error, attempts)
        is_continued = self.raw_setting(raw, "on_error") == "continue"
        if len(ends) > 1 and is_continued:
            raise Ambiguous
        end = ends[0]
        if end.kind == "failed" and is_continued:
            settled = self.settle(path, "failed", end.at, None, end.payload, attempts)
            return [replace(settled, missed=frozenset([end.payload]))]
        if end.kind == "failed":
            self.records.append(Record(end.at, path, "failed"))
        return ends

    def fallback(
        self,
        raw: Json,
        names: dict[str, Json],
        now: int,
        path: str,
        error: Error,
        attempts: int,
    ) -> list[End]:
        """Return the fallback's answer, or the first failure with why there is none."""
        seen = {**names, "error": {"code": error.code}}
        answer = raw["fallback"]
        if not (isinstance(answer, dict) and "type" in answer):
            try:
                value = render(answer, seen)
            except Unreadable:
                return [End("failed", now, replace(error, fallback="expression"))]
            return [self.settle(path, "completed", now, value, None, attempts)]
        ends = self.step({"id": "fallback", **answer}, seen, now, path + ".fallback/")
        at, told = ends[0].at, ends[0].payload
        if ends[0].kind != "settled":
            return [
                End("failed", at, replace(error, fallback=end.payload.code))
                if end.kind == "failed"
                else end
                for end in ends
            ]
        if told["status"] == "completed":
            answer = told["response"]
            settled = self.settle(path, "completed", at, answer, None, attempts)
            return [replace(settled, missed=ends[0].missed)]
        why = "skipped" if told["error"] is None else told["error"]["code"]
        return [End("failed", at, replace(error, fallback=why))]

    # -- small things --------------------------------------------------------------------

    def settle(
        self,
        path: str,
        status: str,
        at: int,
        response: Json,
        error: Error | None,
        attempts: int,
    ) -> End:
        self.records.append(Record(at, path, status))
        return End("settled", at, view(response, status, error, attempts))

    def raw_setting(self, raw: Json, name: str) -> Json:
        defaults = self.document.get("defaults", {}) if raw["type"] == "ask" else {}
        return raw[name] if name in raw else defaults.get(name)

    def setting(self, raw: Json, name: str) -> int | None:
        return duration(self.raw_setting(raw, name))


def round_of(path: str, attempt: int) -> str:
    """Return what the paths inside a group begin with while it makes this attempt."""
    return path + ("" if attempt < 2 else f"~{attempt}")


def _told(end: End, path: str, attempt: int) -> End:
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
    if error.code.startswith("expression") or error.code == "connector.invalid_request":
        return False
    if effect == "unsafe" and error.code != "connector.connect":
        return False
    if on is None:
        return error.code in ADVISED
    if isinstance(on, str) and "${" in on:
        return truth(on, {**names, "error": {"code": error.code}})
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
