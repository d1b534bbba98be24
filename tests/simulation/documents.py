"""Random workflow documents, as hypothesis strategies.

Scopes nest to depth 3, every step kind appears, and steps read whichever settled steps
they can see. A graph scope's steps are written in any order: the compiler has to find the
real one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from plait.testing.simulator import STARTED_AT_MS
from tests.simulation.jumping import add_jump, add_transitions
from tests.simulation.walking import LOOPS

Json = Any
STARTED_AT = datetime.fromtimestamp(STARTED_AT_MS / 1000, UTC)
DEPTH_MAX = 3
SCOPED = ("sequence", "parallel", "saga", "switch", "try", "route", *LOOPS)
CODES = (
    "connector.http.503",
    "connector.http.404",
    "connector.connect",
    "connector.timeout",
    "connector.protocol",
    "connector.invalid_request",
)
ON = (
    None,
    None,
    ["any"],
    ["any"],
    ["connect", 503],
    ["timeout"],
    "5xx",
    ["connector.protocol"],
    ["connector.*"],
    "${error.code == 'connector.http.404'}",
    "${error.details.nope == 1}",
    "${error.details.nope == 1}",
)


EVENTS = (
    True,
    "${event.payload.n == 1}",
    "${event.payload.n == 2}",
    "${event.payload.n == input.a}",
    "${event.payload.nope == 1}",
    "${event.name}",
)


@dataclass(frozen=True)
class Wishes:
    """What may be in a document.

    Attributes:
        races: Whatever lets the order of completions decide: `return`, join any or N, and
            catching the first of several failures inside a step.
        limits: Time limits and waits.
        undoing: Sagas, compensations, `on_failure: compensate`.
    """

    races: bool = True
    limits: bool = True
    undoing: bool = True


ANYTHING = Wishes()
ORDERLY = Wishes(races=False, limits=False, undoing=False)
PLAIN = Wishes(undoing=False)


def documents(wishes: Wishes = ANYTHING) -> st.SearchStrategy[Json]:
    """Return a strategy of documents, which shrinks what it finds."""
    return st.randoms(use_true_random=False).map(lambda lot: document_by(lot, wishes))


def document_by(lot: Random, wishes: Wishes = ANYTHING) -> Json:
    """Return a document, drawn by `lot`."""
    writer = _Writer(lot, wishes)
    document = {"name": "random", **writer.scope((), 0)}
    if wishes.limits and writer.perhaps(6):
        document["timeout"] = writer.duration(5, 60)
    if wishes.undoing and writer.perhaps(2):
        document["on_failure"] = "compensate"
    if writer.perhaps(4):
        document["defaults"] = writer.settings(writer.retry, writer.limits)
    return document


class _Writer:
    """Writes one document. Ids are unique, and so is nearly every duration."""

    def __init__(self, lot: Random, wishes: Wishes) -> None:
        self.lot = lot
        self.wishes = wishes
        self.count = 0
        self.around: tuple[str, ...] = ()

    def perhaps(self, one_in: int) -> bool:
        return self.lot.randrange(one_in) == one_in - 1

    def pick(self, options: Sequence[Json]) -> Json:
        return self.lot.choice(options)

    def next_number(self) -> int:
        self.count += 1
        return self.count

    def moment(self, low: int, high: int) -> int:
        """A number that no other in the document is likely to be a sum of."""
        return self.lot.randint(low, high) * 101 + self.next_number() ** 2

    def duration(self, low: int, high: int) -> str:
        return f"{self.moment(low, high)}ms"

    # -- scopes --------------------------------------------------------------------------

    def scope(self, seen: tuple[str, ...], depth: int) -> Json:
        order = self.pick(["graph", "graph", "sequence"])
        steps = self.steps(seen, depth, order)
        scope = {"steps": steps}
        if order == "sequence":
            scope["order"] = order
        if self.perhaps(3):
            ids = tuple(step["id"] for step in steps)
            scope["output"] = self.value((*seen, *ids))
        return scope

    def steps(self, seen: tuple[str, ...], depth: int, order: str) -> list[Json]:
        steps: list[Json] = []
        own: tuple[str, ...] = ()
        for _ in range(self.lot.randint(1, 6 if depth == 0 else 3)):
            step = self.step(seen, own, depth)
            steps.append(step)
            own = (*own, step["id"])
        if order == "graph":
            return self.lot.sample(steps, len(steps))
        if self.perhaps(2) and '"event"' not in json.dumps(steps):
            add_jump(steps, self.lot, self.next_number)
        return steps

    # -- steps ---------------------------------------------------------------------------

    def step(self, seen: tuple[str, ...], own: tuple[str, ...], depth: int) -> Json:
        step_id = f"s{self.next_number()}"
        visible = (*seen, *own)
        step = {"id": step_id, **self.kind(visible, depth)}
        if own and self.perhaps(5):
            step["depends_on"] = [self.pick(own)]
        if self.perhaps(4):
            step["condition"] = self.condition(visible)
        if self.perhaps(12):
            step["disabled"] = True
        if self.perhaps(6):
            step["output"] = self.own_output(step_id, visible)
        # What can fail should mostly be caught, or nothing behind it would ever run.
        one_in = 2 if self.is_troubled(step) else 5
        step |= self.settings(self.limits, one_in=one_in)
        if self.wishes.races or step["type"] not in SCOPED:
            if one_in == 2 and not self.perhaps(3):
                step |= self.retry()
            step |= self.settings(self.retry, self.caught, one_in=one_in)
            if depth < DEPTH_MAX and self.perhaps(one_in + 2):
                step["fallback"] = self.fallback(visible, depth)
        if step["type"] in SCOPED and self.wishes.races and self.perhaps(2):
            self.unsettle(step)
        if self.wishes.undoing and step["type"] in ("ask", *SCOPED) and self.perhaps(2):
            step["compensate"] = self.compensation(step_id, visible)
        if step["type"] == "approval":
            step.pop("retry", None)
            step.pop("attempt_timeout", None)
            step["timeout"] = self.duration(3, 9)
        if step["type"] in SCOPED and "unsafe" in json.dumps(step):
            step.pop("retry", None)
            step.pop("item_retry", None)
        return step

    def compensation(self, step_id: str, seen: tuple[str, ...]) -> Json:
        """A step that undoes another; mostly it can."""
        plays = [self.play(fails=n < 1) for n in range(self.pick([1, 1, 2]))]
        arg = self.pick([f"${{{step_id}.response}}", self.value(seen), "${error.code}"])
        step: Json = {"id": f"s{self.next_number()}", "type": "ask", "effect": "keyed"}
        step["request"] = {"play": plays, "arg": arg}
        step |= self.settings(self.retry, self.limits, self.caught)
        return step

    def unsettle(self, group: Json) -> None:
        """Let something in `group` fail at first, and let the group be tried again."""
        scopes = [*group["branches"].values()] if "branches" in group else [group]
        scopes = group.get("cases", [*group.get("handlers", {}).values()] or scopes)
        steps = self.pick(scopes)["steps"]
        plays = [self.play(fails=n < 2) for n in range(self.pick([2, 2, 3]))]
        request = {"play": plays, "arg": "${input.a}"}
        step: Json = {"id": f"s{self.next_number()}", "type": "ask", "request": request}
        step |= self.limits() | ({"effect": "keyed"} if self.perhaps(2) else {})
        if self.perhaps(3):
            step["fallback"] = {**self.late(), "condition": "${input.a == 1}"}
        steps.insert(self.lot.randint(0, len(steps)), step)
        if self.perhaps(2):
            steps.insert(self.lot.randint(0, len(steps)), self.optional())
        if self.perhaps(9):
            last = {"id": f"s{self.next_number()}", "type": "return", "value": "early"}
            steps.append({**last, "depends_on": [one["id"] for one in steps]})
        if self.perhaps(3):
            steps.insert(self.lot.randint(0, len(steps)), self.late())
        group |= self.retry()
        group["retry"] |= {"max_attempts": self.pick([2, 3]), "on": ["any"]}

    def optional(self) -> Json:
        """A step that fails at first, and is passed over when it does."""
        plays = [self.play(fails=n < 1) for n in range(self.pick([1, 2, 2]))]
        request = {"play": plays, "arg": None}
        step = {"id": f"s{self.next_number()}", "type": "ask", "request": request}
        return {**step, "retry": {"max_attempts": 1}, "on_error": "continue"}

    def better_the_second_time(self) -> Json:
        """A sequence whose first round fails, after something in it was passed over."""
        retry = {"max_attempts": 2, "delay": self.duration(0, 4), "on": ["any"]}
        plays = [self.play(fails=True), self.play(fails=False)]
        request = {"play": plays, "arg": "${input.a}"}
        step = {"id": f"s{self.next_number()}", "type": "ask", "request": request}
        steps = [self.optional(), {**step, "retry": {"max_attempts": 1}}]
        return {"steps": steps, "retry": retry}

    def late(self) -> Json:
        """A step that does not end within its limit; mostly that is caught."""
        step = {"id": f"s{self.next_number()}", "type": "wait", "for": self.duration(6, 9)}
        step |= {"timeout": self.duration(1, 5)} if self.wishes.limits else {}
        caught = [{"fallback": "late"}, {"on_error": "continue"}, {}]
        return {**step, **self.pick([*caught, {"fallback": self.worse()}])}

    def worse(self) -> Json:
        """A step that fails in its turn."""
        return {"id": f"s{self.next_number()}", "type": "fail", "code": "custom.worse"}

    def is_troubled(self, step: Json) -> bool:
        if step["type"] == "ask":
            return any(play["code"] is not None for play in step["request"]["play"])
        return step["type"] in ("fail", "wait", *SCOPED)

    def kind(self, seen: tuple[str, ...], depth: int) -> Json:
        kinds = ["ask"] * 6 + ["set"] * 3 + ["fail"]
        kinds += ["wait"] + ["approval"] * self.wishes.limits
        kinds += ["return"] if self.wishes.races else []
        kinds += ["parallel", "parallel", "sequence"] if depth < DEPTH_MAX else []
        kinds += [self.pick(LOOPS), "switch", "route"] if depth < DEPTH_MAX else []
        kinds += ["try"] if depth < DEPTH_MAX and self.wishes.races else []
        kinds += ["saga"] * 3 if depth < DEPTH_MAX and self.wishes.undoing else []
        kind = self.pick(kinds)
        return {"type": kind, **getattr(self, f"kind_{kind}")(seen, depth)}

    def kind_ask(self, seen: tuple[str, ...], depth: int) -> Json:
        del depth
        count = self.pick([1, 1, 1, 2, 3])
        plays = [self.play(fails=n + 1 < count) for n in range(count)]
        step = {"request": {"play": plays, "arg": self.value(seen)}}
        if self.perhaps(6):
            step["effect"] = self.pick(["read", "keyed", "unsafe"])
        return step

    def play(self, *, fails: bool) -> Json:
        code = self.pick(CODES) if fails or self.perhaps(9) else None
        again = self.moment(1, 3) if code and self.perhaps(4) else 0
        return {"after": self.moment(0, 9), "code": code, "retry_after": again}

    def kind_set(self, seen: tuple[str, ...], depth: int) -> Json:
        del depth
        return {"value": self.value(seen)}

    def kind_wait(self, seen: tuple[str, ...], depth: int) -> Json:
        del seen, depth
        if self.wishes.limits and self.perhaps(4):
            seconds = self.moment(0, 9) / 1000 - 1
            moment = STARTED_AT + timedelta(seconds=seconds)
            return {"until": moment.isoformat(timespec="milliseconds")}
        # Who of several that wait for the same gets it is nobody's to foresee.
        if self.perhaps(2) or {"index", "iteration"} & {*self.around}:
            return {"for": self.duration(0, 9)}
        return self.event()

    def event(self) -> Json:
        """A wait for an event; `annotations.sent` says what is sent, and when."""
        name = f"e{self.next_number()}"
        awaited: Json = {"name": name}
        sent = [{"n": 1, "after": self.moment(0, 9)}]
        if self.perhaps(2):
            sent.append({"n": 2, "after": self.moment(0, 9)})
            awaited["match"] = self.pick(EVENTS)
        if self.wishes.limits:
            awaited["timeout"] = self.duration(3, 9)
            sent = self.lot.sample(sent, self.lot.randint(0, len(sent)))
        elif "match" in awaited:
            awaited["match"] = "${event.payload.n == 2}"
        return {"event": awaited, "annotations": {"sent": sent}}

    def kind_approval(self, seen: tuple[str, ...], depth: int) -> Json:
        del depth
        decided = [
            {
                "decision": self.pick(["approved", "rejected"]),
                "by": self.pick(["ann", "ann", "bob"]),
                "after": self.moment(0, 9),
            }
            for _ in range(self.pick([0, 1, 1, 2]))
        ]
        step: Json = {"title": self.value(seen)} if self.perhaps(3) else {}
        if not isinstance(step.get("title", ""), str):
            step["title"] = "may it?"
        if self.perhaps(2):
            step["approvers"] = self.pick([["ann"], ["ann", "eve"], "${input.flag}"])
        return {**step, "annotations": {"decided": decided}}

    def kind_return(self, seen: tuple[str, ...], depth: int) -> Json:
        del depth
        return {"value": self.value(seen)}

    def kind_fail(self, seen: tuple[str, ...], depth: int) -> Json:
        del depth
        return {"code": f"custom.{self.count}", "details": {"seen": self.value(seen)}}

    def kind_sequence(self, seen: tuple[str, ...], depth: int) -> Json:
        if self.wishes.races and self.perhaps(4):
            return self.better_the_second_time()
        return {"steps": self.steps(seen, depth + 1, "sequence")}

    def kind_while(self, seen: tuple[str, ...], depth: int) -> Json:
        test = self.pick(["${iteration < 2}", "${iteration < 3}", "${previous == null}"])
        step = {**self.loop(seen, depth), "while": test}
        if self.perhaps(4):
            step["while"] = self.pick([True, "${input.flag}", "${iteration < 0}"])
        if step["while"] is True:
            step.setdefault("break", "${iteration == 1}")
        return step

    def kind_repeat(self, seen: tuple[str, ...], depth: int) -> Json:
        step = self.loop(seen, depth)
        tests = [f"${{iteration == {number}}}" for number in (0, 1, 2)]
        last = step["steps"][-1]["id"]
        tests += [f"${{{last}.status == 'completed'}}", f"${{{last}.response.v == 1}}"]
        return {**step, "until": self.pick(tests)}

    def loop(self, seen: tuple[str, ...], depth: int) -> Json:
        """What `while` and `repeat` have both."""
        step = self.looped(seen, depth, ("iteration",))
        # Nowhere else: what reads `previous` twice is twice as large in each iteration.
        if "result" in step and self.perhaps(2):
            step["result"] = {"before": "${previous}", "now": step["result"]}
        step["max_iterations"] = self.pick([2, 3, 3, 4])
        if self.perhaps(2):
            step["delay"] = self.duration(0, 4)
        if self.perhaps(4):
            step["break"] = self.pick(["${iteration == 1}", "${iteration == 0}"])
        if self.perhaps(4):
            step["continue"] = self.pick(["${iteration == 1}", "${previous == null}"])
        return step

    def looped(self, seen: tuple[str, ...], depth: int, names: tuple[str, ...]) -> Json:
        """Steps that run several times, and what one time yields."""
        around, self.around = self.around, (*self.around, *names)
        order = self.pick(["graph", "sequence"])
        steps = self.steps(seen, depth + 1, order)
        step: Json = {"order": order, "steps": steps}
        if self.perhaps(2):
            step["result"] = self.value((*seen, *(one["id"] for one in steps)))
        self.around = around
        return step

    def kind_foreach(self, seen: tuple[str, ...], depth: int) -> Json:
        step = self.looped(seen, depth, ("item", "index"))
        items = [self.pick([1, "one", {"v": 1}]) for _ in range(self.lot.randint(0, 4))]
        step["items"] = items if not self.perhaps(9) else "${input.a}"
        step["max_concurrency"] = self.pick([1, 2, 2, 3, 9])
        if self.perhaps(3):
            step["batch_size"] = self.pick([1, 2])
            step |= {"batch_delay": self.duration(0, 4)} if self.perhaps(2) else {}
        if self.wishes.limits and self.perhaps(4):
            step["item_timeout"] = self.duration(3, 20)
        if self.perhaps(5):
            step["continue"] = self.pick(["${index == 1}", "${item == 'one'}"])
        if self.wishes.races:
            step |= self.items_that_fail(step["steps"])
        return step

    def items_that_fail(self, steps: list[Json]) -> Json:
        step: Json = {"on_item_error": "continue"} if self.perhaps(2) else {}
        if self.perhaps(2):
            step["item_retry"] = self.retry()["retry"]
            step["item_retry"].pop("jitter", None)
            if step["item_retry"]["backoff"] == "random":
                step["item_retry"]["backoff"] = "linear"
            if self.perhaps(2):
                step["item_retry"] |= {"max_attempts": 3, "on": ["any"]}
                plays = [self.play(fails=True), self.play(fails=False)]
                request = {"play": plays, "arg": "${index}"}
                first = {"id": f"s{self.next_number()}", "type": "ask", "request": request}
                steps.insert(0, {**first, "retry": {"max_attempts": 1}})
        if self.perhaps(5):
            step["break"] = self.pick(["${index == 1}", "${item == 1}"])
        return step

    def kind_saga(self, seen: tuple[str, ...], depth: int) -> Json:
        order = self.pick(["graph", "sequence"])
        return {"order": order, "steps": self.steps(seen, depth + 1, order)}

    def kind_switch(self, seen: tuple[str, ...], depth: int) -> Json:
        cases = [
            {
                "name": f"c{9 - n}",
                "when": self.condition(seen),
                **self.scope(seen, depth + 1),
            }
            for n in range(self.lot.randint(1, 3))
        ]
        for case in cases:
            case |= {"priority": self.pick([-1, 1, 2])} if self.perhaps(3) else {}
        step: Json = {"cases": cases}
        if self.perhaps(2):
            step["strategy"] = self.pick(["first_match", "all_match", "all_match"])
        if self.perhaps(2):
            step["default"] = self.scope(seen, depth + 1)
        return step

    def kind_route(self, seen: tuple[str, ...], depth: int) -> Json:
        around, self.around = self.around, (*self.around, "iteration")
        names = [f"h{n}" for n in range(self.lot.randint(1, 3))]
        step = add_transitions({n: self.scope(seen, depth + 1) for n in names}, self.lot)
        self.around = around
        return step

    def kind_try(self, seen: tuple[str, ...], depth: int) -> Json:
        step = {"order": self.pick(["graph", "sequence"])}
        step["steps"] = self.steps(seen, depth + 1, step["order"])
        step["steps"].append({**self.worse(), "condition": self.condition(seen)})
        fitting: list[Json] = []
        for _ in range(self.lot.randint(0, 2)):
            on = self.pick([*ON[2:], ["custom.worse"]])
            fitting.append({"on": on, **self.scope(seen, depth + 1)})
        fitting += [self.scope(seen, depth + 1)] if self.perhaps(2) else []
        # Behind one that answers every error none may stand.
        every = (n for n, one in enumerate(fitting, 1) if "any" in one.get("on", ["any"]))
        fitting = fitting[: next(every, None)]
        for catch in fitting:
            catch |= {"as": "e", "output": "${e.code}"} if self.perhaps(3) else {}
        if fitting:
            step["catch"] = fitting
        if not fitting or self.perhaps(3):
            step["finally"] = self.scope(seen, depth + 1)
        return step

    def kind_parallel(self, seen: tuple[str, ...], depth: int) -> Json:
        count = self.lot.randint(1, 3)
        # The latest name first: an order that no mapping sorts by itself.
        branches = {f"b{count - n}": self.scope(seen, depth + 1) for n in range(count)}
        step = {"branches": branches}
        if self.wishes.races and self.perhaps(2):
            step["join"] = self.pick(["any", *range(1, count + 1)])
        return step

    # -- settings ------------------------------------------------------------------------

    def settings(self, *groups: Any, one_in: int = 3) -> Json:
        chosen: dict[str, Json] = {}
        for group in groups:
            if self.perhaps(one_in):
                chosen |= group()
        return chosen

    def retry(self) -> Json:
        backoff = self.pick(["fixed", "linear", "exponential", "random"])
        # Drawn between the two, the ceiling is not below the delay.
        least = 4 if backoff == "random" else 2
        retry = {
            "max_attempts": self.pick([1, 2, 3, 3]),
            "delay": self.duration(0, 4),
            "backoff": backoff,
            "max_delay": self.duration(least, 9),
        }
        if self.perhaps(3):
            retry["jitter"] = 0.5
        on = self.pick(ON)
        return {"retry": retry if on is None else {**retry, "on": on}}

    def limits(self) -> Json:
        if not self.wishes.limits:
            return {}
        limits = {}
        if self.perhaps(2):
            limits["timeout"] = self.duration(4, 30)
        if self.perhaps(2):
            limits["attempt_timeout"] = self.duration(3, 14)
        return limits

    def caught(self) -> Json:
        return {"on_error": self.pick(["continue", "continue", "fail"])}

    def fallback(self, seen: tuple[str, ...], depth: int) -> Json:
        if self.wishes.races and self.perhaps(5):
            return self.worse()
        if self.perhaps(2):
            step = self.step(seen, (), depth + 1 if self.wishes.races else DEPTH_MAX)
            if self.perhaps(2):
                del step["id"]
                step.pop("output", None)
                step.pop("compensate", None)
            return step
        return self.pick([None, "none", {"told": "${error.code}"}, self.value(seen)])

    # -- templates -----------------------------------------------------------------------

    def value(self, seen: tuple[str, ...]) -> Json:
        shape = self.lot.randint(0, 9)
        if shape == 0:
            return [self.leaf(seen), self.leaf(seen)]
        if shape == 1:
            return {"a": self.leaf(seen), "b": {"c": self.leaf(seen)}}
        if shape == 2 and seen:
            return f"was ${{{self.pick(seen)}.status}}, $${{kept}}"
        return self.leaf(seen)

    def leaf(self, seen: tuple[str, ...]) -> Json:
        plain = [1, "text", None, True, 2.5, "${input.a}", "${input.flag}"]
        if self.perhaps(25):
            return "${input.deep.er}"
        if self.around and self.perhaps(2):
            return f"${{{self.pick(self.around)}}}"
        if not seen or self.perhaps(3):
            return self.pick(plain)
        tails = ["response"] * 6 + ["status", "attempts"] * 3 + ["response.v"]
        return f"${{{self.pick(seen)}.{self.pick(tails)}}}"

    def condition(self, seen: tuple[str, ...]) -> Json:
        options = [True, False, "${input.flag}", "${input.a == 1}", "${input.a == 2}"]
        for step_id in seen[-3:]:
            options += [
                f"${{{step_id}.status == 'completed'}}",
                f"${{{step_id}.status == 'skipped'}}",
                f"${{{step_id}.response == null}}",
                f"${{{step_id}.error == null}}",
            ]
        if seen and self.perhaps(8):
            return f"${{{seen[-1]}.response}}"
        return self.pick(options)

    def own_output(self, step_id: str, seen: tuple[str, ...]) -> Json:
        mine = {"mine": f"${{{step_id}.response}}", "n": f"${{{step_id}.attempts}}"}
        return self.pick([mine, mine, f"${{{step_id}.response.v}}", self.value(seen)])
