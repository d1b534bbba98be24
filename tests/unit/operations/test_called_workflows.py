"""Documents that run other workflows: deployed only by who may run those."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from plait.assembly.agents import SettingsLibrary
from plait.model.caller import LOCAL, LOCAL_PROGRAM, Caller
from plait.operations.deploying import DefinitionInvalid, StoredDeployments
from plait.operations.deploying.authorised import authorises
from plait.ports.platform import Wanted
from plait.ports.status import status_of
from plait.security.vault.kept import Kept
from plait.stores.memory.records import MemoryRecords
from tests.unit.operations.deploying import compiles

GRANTED = Caller("key:k", "acme", grants={"appr": "editor"})
CALL = "{id: c, type: workflow, request: {name: hello}}"
SET = "{id: a, type: set, value: 1}"
PLACES = {
    "steps": "{id: c, type: workflow, request: {name: hello, input: '${input}'}}",
    "disabled": "{id: c, type: workflow, disabled: true, request: {name: hello}}",
    "not waited for": "{id: c, type: workflow, request: {name: hello, wait: false}}",
    "loop": f"{{id: l, type: foreach, items: [1], steps: [{CALL}]}}",
    "case": f"{{id: l, type: switch, cases: [{{when: '${{true}}', steps: [{CALL}]}}]}}",
    "default": f"{{id: l, type: switch, cases: [{{when: '${{true}}', steps: [{SET}]}}], "
    f"default: {{steps: [{CALL}]}}}}",
    "catch": f"{{id: l, type: try, steps: [{SET}], catch: [{{steps: [{CALL}]}}]}}",
    "finally": f"{{id: l, type: try, steps: [{SET}], finally: {{steps: [{CALL}]}}}}",
    "parallel": f"{{id: l, type: parallel, branches: {{x: {{steps: [{CALL}]}}}}}}",
    "fallback": "{id: c, type: http, request: {url: 'http://x'}, fallback: "
    "{type: workflow, request: {name: hello}}}",
    "compensate": "{id: c, type: http, request: {url: 'http://x'}, compensate: "
    "{type: workflow, request: {name: hello}}}",
    "escaped": "{id: c, type: workflow, request: {name: 'hel\\u006co'}}".replace("'", '"'),
}


def document(step: str, name: str = "appr") -> str:
    return f"name: {name}\nmode: durable\nsteps:\n  - {step}\n"


def service() -> StoredDeployments:
    async def none(_: str, __: str) -> Kept | None:
        return None

    moments = count(0, 1000)
    return StoredDeployments(
        MemoryRecords(),
        compiles,
        now_ms=lambda: next(moments),
        authorises=authorises(none, {}),
    )


async def refusal(caller: Caller, step: str, made: StoredDeployments | None = None) -> Any:
    with pytest.raises(DefinitionInvalid) as caught:
        await (made or service()).deploy(caller, Wanted("appr", document(step)))
    return caught.value


@pytest.mark.parametrize("place", PLACES)
async def test_a_workflow_that_one_may_not_run_is_called_from_nowhere(place: str) -> None:
    error = await refusal(GRANTED, PLACES[place])
    assert (error.code, status_of(error).http) == ("request.forbidden", 403)
    (found,) = error.details["diagnostics"]
    assert found["code"] == "S004"
    assert found["message"] == "key:k lacks the role 'operator' on workflow 'hello'"
    assert found["line"] == 4
    assert "grant" in found["hint"]
    assert "line 4: S004" in str(error)


async def test_the_place_is_that_of_the_name() -> None:
    (found,) = (await refusal(GRANTED, CALL)).details["diagnostics"]
    line = document(CALL).splitlines()[3]
    assert line[found["column"] - 1 : found["end_column"] - 1] == "hello"


@pytest.mark.parametrize("where", ["entry", "exit", "actions"])
async def test_states_call_none_of_them_either(where: str) -> None:
    does = {
        "entry": f"entry: [{CALL}], on: {{go: end}}",
        "exit": f"exit: [{CALL}], on: {{go: end}}",
        "actions": f"on: {{go: {{target: end, actions: [{CALL}]}}}}",
    }
    text = (
        "name: appr\nmode: durable\ninitial: begun\nstates:\n"
        f"  begun: {{{does[where]}}}\n  end: {{final: true}}\n"
    )
    with pytest.raises(DefinitionInvalid) as caught:
        await service().deploy(GRANTED, Wanted("appr", text))
    found: Any = caught.value.details["diagnostics"]
    assert [(one["code"], one["line"]) for one in found] == [("S004", 5)]


@pytest.mark.parametrize("name", ["${input.of}", "hel${'lo'}", "${'hello'}"])
async def test_a_name_that_is_an_expression_is_for_who_may_run_all(name: str) -> None:
    step = f'{{id: c, type: workflow, request: {{name: "{name}"}}}}'
    error = await refusal(GRANTED, step)
    (found,) = error.details["diagnostics"]
    assert (error.code, found["code"]) == ("request.forbidden", "S004")
    assert "is known only when it runs" in found["message"]
    also = Caller("key:k", "acme", "viewer", {"appr": "editor", "hello": "admin"})
    assert (await refusal(also, step)).code == "request.forbidden"
    everywhere = Caller("key:k", "acme", "operator", {"appr": "editor"})
    assert (await service().deploy(everywhere, Wanted("appr", document(step))))["changed"]


@pytest.mark.parametrize(
    "caller",
    [
        LOCAL,
        LOCAL_PROGRAM,
        Caller("key:k", "acme", "operator", {"appr": "editor"}),
        Caller("key:k", "acme", None, {"appr": "editor", "hello": "operator"}),
    ],
)
async def test_who_may_run_it_may_call_it(caller: Caller) -> None:
    assert (await service().deploy(caller, Wanted("appr", document(CALL))))["changed"]


async def test_a_role_that_only_sees_it_is_not_enough() -> None:
    sees = Caller("key:k", "acme", "viewer", {"appr": "editor", "hello": "viewer"})
    assert (await refusal(sees, CALL)).code == "request.forbidden"


async def test_a_workflow_may_call_itself() -> None:
    step = CALL.replace("hello", "appr")
    assert (await service().deploy(GRANTED, Wanted("appr", document(step))))["changed"]


async def test_a_trial_says_it_too_and_going_back_to_such_a_version_is_refused() -> None:
    made = service()
    told: Any = await made.validate(GRANTED, Wanted("appr", document(CALL)))
    assert (told["valid"], [one["code"] for one in told["diagnostics"]]) == (
        False,
        ["S004"],
    )
    boss = Caller("user:b", "acme", "admin")
    first: Any = await made.deploy(boss, Wanted("appr", document(CALL)))
    await made.deploy(GRANTED, Wanted("appr", document(SET)))
    for version in (None, first["version"]):
        with pytest.raises(DefinitionInvalid) as caught:
            await made.activate(GRANTED, "appr", version)
        assert caught.value.code == "request.forbidden"
    assert (await made.activate(boss, "appr", None))["version"] == first["version"]


async def test_a_draft_is_told_it_too() -> None:
    library = SettingsLibrary([], service())
    found = await library.refusals(GRANTED, document(CALL))
    assert [(one.code, one.span.line) for one in found] == [("S004", 4)]


async def test_all_that_is_wrong_is_told_and_the_callers_right_decides() -> None:
    step = (
        "{id: l, type: foreach, items: [1], steps: [{id: h, type: http, credential: shop, "
        f"request: {{url: 'http://x'}}}}, {CALL}]}}"
    )
    error = await refusal(GRANTED, step)
    assert error.code == "request.forbidden"
    codes = {one["code"] for one in error.details["diagnostics"]}
    assert codes == {"S001", "S004"}
