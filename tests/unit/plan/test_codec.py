"""Plans as bytes: one form, one hash, loaded without the compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.compile import compile_text
from plait.plan import Plan, PlanUnreadable, dump_plan, load_plan
from plait.testing import reply, simulate
from tests.simulation.asking import CATALOG, ask, give, plan_of, plan_with

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "version": "2",
    "description": "every field of a plan is used",
    "mode": "express",
    "timeout": "1m",
    "input": {"type": "object", "properties": {"b": {}, "a": {"minimum": 1.0}}},
    "endpoint": {
        "method": "POST",
        "path": "/x/{a}",
        "partial": True,
        "status": {"503": 500, "${error.code == 'x'}": 418},
        "headers": {"X-A": "${a.response}"},
        "cache": {"ttl": "5s", "stale_while_revalidate": "1m"},
    },
    "steps": [
        ask(
            "a",
            {"x": ["${input.a}", "é-${input.b}"]},
            condition="${input.a == 1}",
            timeout="2s",
            attempt_timeout="1s",
            retry={"on": [503, "connect"], "jitter": 0.5, "backoff": "exponential"},
            on_error="continue",
            fallback={"type": "set", "value": "${error.code}"},
            effect="keyed",
            idempotency_key="k-${input.b}",
            output="${a.response.x}",
        ),
        ask("b", retry={"on": "${error.code == 'x'}"}, fallback={"v": "${a.response}"}),
        {
            "id": "c",
            "type": "parallel",
            "join": 1,
            "branches": {
                "l": {
                    "order": "sequence",
                    "steps": [give("x", 1)],
                    "output": "${x.response}",
                },
                "r": {"steps": [{"id": "f", "type": "fail", "disabled": True}]},
            },
        },
    ],
    "output": {"all": "${c.response}"},
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(EVERYTHING)


def test_a_loaded_plan_dumps_to_the_same_bytes_and_has_the_same_hash(plan: Plan) -> None:
    data = dump_plan(plan)
    loaded = load_plan(data)
    assert dump_plan(loaded) == data
    assert loaded.content_hash == plan.content_hash
    assert plan.content_hash.startswith("sha256:")


def test_a_loaded_plan_is_the_same_plan_part_by_part(plan: Plan) -> None:
    loaded = load_plan(dump_plan(plan))
    assert loaded.endpoint is not None
    assert plan.endpoint is not None
    assert loaded.endpoint.status[0] == plan.endpoint.status[0] == ("503", 500)
    assert loaded.scope.nodes[0].retry == plan.scope.nodes[0].retry
    assert loaded.scope.nodes[0].place == plan.scope.nodes[0].place
    assert loaded.scope.nodes[0].fallback_scope is not None
    assert loaded.scope.nodes[2].options == {"join_count": 1}
    assert loaded.input_schema == plan.input_schema
    assert isinstance(loaded.scope.nodes, tuple)
    assert isinstance(loaded.scope.nodes[0].deps, tuple)


def test_a_loaded_plan_runs_as_the_original_does(plan: Plan) -> None:
    script = {"a": reply({"x": 5}), "b": reply(6)}
    given: Any = {"a": 1, "b": "two"}
    first = simulate(plan, script, input=given)
    second = simulate(load_plan(dump_plan(plan)), script, input=given)
    assert first.output == second.output == {"all": {"l": 1}}
    assert first.events[1:] == second.events[1:]


def test_a_loaded_plan_has_the_order_of_the_document() -> None:
    sides: Any = {name: {"steps": [give(name, name)]} for name in ("refund", "charge")}
    fan = {"id": "fan", "type": "parallel", "branches": sides}
    written: Any = {"name": "w", "steps": [fan], "output": {"z": "${fan.response}", "a": 1}}
    plan = plan_of(written)
    loaded = load_plan(dump_plan(plan))
    assert [*loaded.scope.nodes[0].scopes] == ["refund", "charge"]
    first, second = (simulate(one, {}, input={}) for one in (plan, loaded))
    assert [str(event) for event in first.events[1:]] == [
        str(event) for event in second.events[1:]
    ]
    assert str(first.output) == str(second.output)
    assert str(first.output).startswith("{'z': {'refund'")


def test_the_hash_covers_what_running_depends_on_and_not_the_hash_itself(
    plan: Plan,
) -> None:
    assert plan_of({**EVERYTHING, "timeout": "2m"}).content_hash != plan.content_hash
    assert plan_of(EVERYTHING).content_hash == plan.content_hash
    assert dump_plan(replace(plan, content_hash="")) == dump_plan(plan)


def test_the_order_of_keys_in_the_text_makes_no_difference(plan: Plan) -> None:
    turned = dict(reversed(EVERYTHING.items()))
    steps = turned.pop("steps")
    text = json.dumps({**turned, "steps": steps}).encode()
    second = compile_text(text, name="x.json", catalog=CATALOG).plan
    assert _without_places(dump_plan(second)) == _without_places(dump_plan(plan))


def _without_places(data: bytes) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in ("place", "template")}
        return [strip(one) for one in value] if isinstance(value, list) else value

    return strip(orjson.loads(data))


def test_a_field_at_its_default_is_left_out() -> None:
    data = orjson.loads(dump_plan(plan_with(give("a", 1))))
    assert data["format"] == 1
    (node,) = data["plan"]["scope"]["nodes"]
    assert set(node) == {"index", "id", "kind", "machine", "place", "templates"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not the JSON of a plan"),
        (b"\xff", "not the JSON of a plan"),
        (b"[]", "not the JSON of a plan"),
        (b"5", "not the JSON of a plan"),
        (b"{}", "not the JSON of a plan"),
        (b'{"format": 2, "plan": {}}', "format 2, this version reads 1"),
        (b'{"format": 1}', "missing or malformed"),
        (b'{"format": 1, "plan": {}}', "missing or malformed"),
        (b'{"format": 1, "plan": []}', "missing or malformed"),
        (b'{"format": 1, "plan": {"nonsense": 1}}', "missing or malformed"),
    ],
)
def test_bytes_that_are_no_plan_are_refused_with_the_reason(
    data: bytes, reason: str
) -> None:
    with pytest.raises(PlanUnreadable, match=reason):
        load_plan(data)


def test_a_plan_cut_or_changed_anywhere_is_refused_or_another_plan(plan: Plan) -> None:
    data = dump_plan(plan)
    for cut in range(0, len(data), 97):
        with pytest.raises(PlanUnreadable):
            load_plan(data[:cut])


def test_a_changed_plan_has_another_hash(plan: Plan) -> None:
    changed = dump_plan(plan).replace(b'"timeout_ms":60000', b'"timeout_ms":60001')
    assert load_plan(changed).content_hash != plan.content_hash


LOAD_AND_RUN = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("plait.compile", "plait.document")):
            raise ImportError(f"{name} must not be needed")
        return None

sys.meta_path.insert(0, Refuse())
from plait.kernel import BEHAVIOUR, Kernel
from plait.kernel.events import CallCompleted, ExecutionStarted
from plait.plan import load_plan

plan = load_plan(sys.stdin.buffer.read())
started = ExecutionStarted("e", plan.content_hash, {"n": 2}, {}, 0, BEHAVIOUR)
x, turn = Kernel(plan).start(started)
Kernel(plan).decide(x, CallCompleted("a", 1, {"id": 7}, {}, 5))
print(x.end.output)
"""


def python(code: str, data: bytes, **env: str) -> str:
    source = Path(__file__).parents[3]
    paths = os.pathsep.join([str(source / "src"), str(source)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=data,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, **env},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_a_plan_loads_and_runs_where_the_compiler_cannot_be_imported() -> None:
    plan = plan_with(
        ask("a", "${input.n}", condition="${input.n > 1}"),
        output=["${a.response.id}", "${input.n + 1}"],
    )
    assert python(LOAD_AND_RUN, dump_plan(plan)) == "[7, 3]"


COMPILE = """
import sys
from plait.compile import compile_text
from tests.simulation.asking import CATALOG
compiled = compile_text(sys.stdin.buffer.read(), name="x.json", catalog=CATALOG)
print(compiled.plan.content_hash)
"""


@pytest.mark.slow
def test_every_process_gives_the_same_hash_whatever_its_hash_seed(plan: Plan) -> None:
    data = json.dumps(EVERYTHING).encode()
    hashes = {python(COMPILE, data, PYTHONHASHSEED=seed) for seed in ("0", "1", "4711")}
    assert hashes == {plan.content_hash}
