"""A slow, obvious interpreter of workflow documents: what the language page says, in code.

It looks at the raw mapping only, never at a plan. It works out *when* everything would
happen if nothing were ever cut short, and then lets the earliest end of each scope win.

Rule 1. Nothing is shared with the compiler or the kernel, not even the words.
Rule 2. Where two things happen at the same instant and the language does not say which
        comes first, all outcomes are kept as alternatives, or `Ambiguous` is raised.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.simulation.choosing import route, switch, tried
from tests.simulation.looping import LOOPS, Group, foreach, loop
from tests.simulation.reading import Unreadable, render, truth
from tests.simulation.reckoning import (
    CALL_LIMIT_MS,
    STARTED_AT,
    Ambiguous,
    Dice,
    End,
    Error,
    Record,
    answer,
    decided,
    duration,
    either,
    first_missed,
    is_retried,
    join,
    missed_around,
    moment_of,
    orders,
    round_of,
    told_of,
    view,
    waits_for,
)

Json = Any
# Stands among the names of a sequence: how often each of its steps has begun.
VISITS = " visits"


@dataclass
class Reference:
    """One execution of `document`, which started at moment 0.

    Args:
        signals: What is sent to it: when, under which name, and the payload.
        decisions: Who decides what: when, at which path, what, and who.
        views: What the scope that has settled last made visible.
        dice: What a back-off that is drawn by lot came to, by step path and attempt; None
            where it never came to that.
    """

    document: dict[str, Json]
    input: Json
    dice: Dice
    signals: list[tuple[int, str, Json]] = field(default_factory=list)
    decisions: list[tuple[int, str, str, str]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    taken: dict[int, Record] = field(default_factory=dict)
    views: dict[str, Json] = field(default_factory=dict)

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
        self.taken = {
            number: r
            for number, r in self.taken.items()
            if r.at < at or not r.path.startswith(prefix)
        }

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
            self.views = {**names, **views}
            output = self.scope_output(raw, self.views, views)
            return [End("settled", at, output, missed)]
        except Unreadable:
            return [End("failed", at, Error("expression", "", 0))]

    def cut_siblings(self, steps: list[Json], prefix: str, at: int) -> None:
        for step in steps:
            self.cut(prefix + step["id"], at)

    def scope_output(self, raw: Json, names: dict[str, Json], views: Json) -> Json:
        key = "result" if raw.get("type") in LOOPS else "output"
        if key in raw and raw.get("type") not in ("sequence", "try"):
            return render(raw[key], names)
        return {
            step_id: view["response"]
            for step_id, view in views.items()
            if view["status"] == "completed"
        }

    def sequence(
        self, steps: list[Json], names: dict[str, Json], now: int, prefix: str
    ) -> tuple[dict[str, Any], list[End]]:
        places = {step["id"]: place for place, step in enumerate(steps)}
        settled: dict[str, tuple[End, Json]] = {}
        visits = Counter[str]()
        if any(step["type"] == "goto" for step in steps):
            skipped = view(None, "skipped", None, 0)
            settled = {name: (End("settled", now, skipped), skipped) for name in places}
            names |= {**dict.fromkeys(places, skipped), VISITS: visits}
        place = 0
        while place < len(steps):
            step = steps[place]
            name = step["id"]
            visits[name] += 1
            ends = self.step(step, names, now, prefix, visits[name])
            if ends[0].kind != "settled":
                return settled, ends
            end = ends[0]
            before = settled.get(name)
            if before is not None:
                end = replace(end, missed=either(before[0].missed, end.missed))
            settled[name] = (end, end.payload)
            names[name] = end.payload
            now = end.at
            is_jump = step["type"] == "goto" and end.payload["status"] == "completed"
            place = places[step["to"]] if is_jump else place + 1
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

    def step(
        self, raw: Json, names: dict[str, Json], now: int, prefix: str, visit: int = 1
    ) -> list[End]:
        """Return how a step ends that became ready at `now`."""
        path = prefix + raw["id"] + (f"#{visit}" if visit > 1 else "")
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
        if raw["type"] not in ("ask", "approval", "try"):
            ends = self.limited(raw, ends, now, path, attempt, deadline_at)
        is_value = ends[0].kind == "settled" or raw["type"] == "return"
        if not is_value or ends[0].kind == "failed" or "output" not in raw:
            return [told_of(end, path, attempt) for end in ends]
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
        self.taken = {
            number: r
            for number, r in self.taken.items()
            if r.at < min(passed) or r.path != path
        }
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
            case "wait" if "event" in raw:
                return [self.event(raw["event"], names, now, path, attempt)]
            case "wait" if "until" in raw:
                at = datetime.fromisoformat(raw["until"]) - STARTED_AT
                return [End("settled", max(now, round(at.total_seconds() * 1000)), None)]
            case "wait":
                return [End("settled", now + (duration(raw["for"]) or 0), None)]
            case "approval":
                return [self.approval(raw, names, now, path, attempt)]
            case "return":
                return [End("returned", now, render(raw["value"], names))]
            case "goto":
                begun = names[VISITS][raw["to"]]
                if begun >= raw.get("max_visits", 100):
                    return [End("failed", now, Error("limit.visits", path, attempt))]
                return [End("settled", now, {"to": raw["to"], "visit": begun + 1})]
            case "fail":
                render(raw.get("details"), names)
                return [End("failed", now, Error(raw["code"], path, attempt))]
            case "sequence":
                prefix = round_of(path, attempt) + "/"
                return self.scope(raw, "sequence", names, now, prefix)
            case "parallel":
                return self.parallel(raw, names, now, round_of(path, attempt))
            case "while" | "repeat":
                around = round_of(path, attempt)
                ends = loop(self, raw, names, now, around)
                return [told_of(end, path, attempt) for end in ends]
            case "foreach":
                around = round_of(path, attempt)
                ends = foreach(self, raw, names, now, Group(around, path, attempt))
                return [told_of(end, path, attempt) for end in ends]
            case "switch":
                ends = switch(self, raw, names, now, round_of(path, attempt))
                return [told_of(end, path, attempt) for end in ends]
            case "route":
                ends = route(self, raw, names, now, round_of(path, attempt))
                return [told_of(end, path, attempt) for end in ends]
            case "try":
                around = round_of(path, attempt)
                ends = tried(
                    self,
                    raw,
                    names,
                    now,
                    around,
                    lambda ends: self.limited(raw, ends, now, path, attempt, deadline_at),
                )
                return [told_of(end, path, attempt) for end in ends]
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

    def event(
        self, raw: Json, names: dict[str, Json], now: int, path: str, attempt: int
    ) -> End:
        """Return how waiting for an event ends; names of events are of one step each."""
        limit = duration(raw.get("timeout"))
        for number, (at, name, payload) in sorted(enumerate(self.signals), key=moment_of):
            is_free = number not in self.taken and name == raw["name"]
            if not is_free or not self.fits(raw, names, name, payload):
                continue
            if limit is not None and at == now + limit:
                raise Ambiguous
            if limit is None or at < now + limit:
                self.taken[number] = Record(max(at, now), path, "taken")
                return End("settled", max(at, now), payload)
        if limit is None:
            return End("settled", 10**12, None)
        return End("failed", now + limit, Error("wait.timeout", path, attempt))

    def fits(self, raw: Json, names: dict[str, Json], name: str, payload: Json) -> bool:
        told = {"name": name, "payload": payload}
        try:
            return truth(raw.get("match", True), {**names, "event": told})
        except Unreadable:
            return False

    def approval(
        self, raw: Json, names: dict[str, Json], now: int, path: str, attempt: int
    ) -> End:
        """Return the first decision of one who may decide, or that there was none."""
        render(raw.get("title"), names)
        approvers = render(raw.get("approvers"), names)
        if isinstance(approvers, bool):
            return End("failed", now, Error("approval.approvers", path, attempt))
        over_at = now + (duration(raw["timeout"]) or 0)
        for at, step, decision, by in sorted(self.decisions):
            if step != path or (approvers is not None and by not in approvers):
                continue
            if at in (now, over_at):
                raise Ambiguous
            if now < at < over_at:
                return End("settled", at, decided(decision, by, "so", at))
        return End("settled", over_at, decided("timed_out", None, None, over_at))

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
        if joined[0].kind != "settled" or needed < len(branches):
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
        if is_over and raw["type"] != "ask" and "finally" not in raw:
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
