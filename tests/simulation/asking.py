"""`ask`: a step type of the tests' own, and the shortest way to a plan that uses it.

Its request may say what the other side will answer (`play`).
Also a proof: a new kind of call is a model handed to the catalog, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from plait.compile import compile_text
from plait.document import Catalog
from plait.document.fields import Templated
from plait.document.source import SourceLimits
from plait.document.step import Parts, Step, TemplatePart
from plait.kernel import StartCall
from plait.model.json import JsonObject
from plait.plan import Plan
from plait.testing import Answer, error, reply


class AskStep(Step):
    """Ask a system that answers as `request.play` says, attempt by attempt.

    The rounds of the groups around it count on: a group that is tried again meets a system
    that is an answer further.
    """

    machine: ClassVar[str] = "call"
    facts: ClassVar[tuple[str, ...]] = ("note",)
    takes_defaults: ClassVar[bool] = True

    type: Literal["ask"]
    request: Templated

    def parts(self, raw: JsonObject) -> Parts:
        """One template."""
        del raw
        return Parts((TemplatePart("request", ("request",), may_read_secrets=True),))


CATALOG = Catalog([AskStep])
WIDE = SourceLimits(bytes_max=10_000_000, nodes_max=1_000_000)


def play(call: StartCall) -> Answer:
    """Answer `call` as its own request says."""
    plays = call.request["play"]
    assert isinstance(plays, list)
    played = plays[min(call.attempt + rounds_before(call.step), len(plays)) - 1]
    if played["code"] is not None:
        again_ms = played["retry_after"] or None
        return error(played["code"], after_ms=played["after"], retry_after_ms=again_ms)
    arg: Any = call.request["arg"]
    n = call.attempt
    response: JsonObject = {"v": arg, "n": n, "ok": n % 2 == 1}
    return reply(response, after_ms=played["after"], facts={})


def rounds_before(path: str) -> int:
    """Return how many rounds the groups around a step have made before this one."""
    return sum(int(number) - 1 for number in re.findall(r"~(\d+)", path))


def plan_of(document: Mapping[str, Any]) -> Plan:
    """Return the plan of `document`; it is called `test` unless it says otherwise."""
    text = json.dumps({"name": "test", **document}).encode()
    return compile_text(text, name="test.json", catalog=CATALOG, limits=WIDE).plan


def plan_with(*steps: Mapping[str, Any], **document: Any) -> Plan:
    """Return the plan of a document with these steps."""
    return plan_of({"steps": list(steps), **document})


def ask(step_id: str, arg: Any = None, **settings: Any) -> dict[str, Any]:
    """Return an `ask` step whose request carries `arg`."""
    request = {"play": [], "arg": arg}
    return {"id": step_id, "type": "ask", "request": request, **settings}


def give(step_id: str, value: Any, **settings: Any) -> dict[str, Any]:
    """Return a `set` step."""
    return {"id": step_id, "type": "set", "value": value, **settings}
