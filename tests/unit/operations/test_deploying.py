"""Deployments: immutable versions, one active, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from plait.model.caller import LOCAL, Caller, Forbidden
from plait.operations.deploying import (
    ActiveDeployments,
    DefinitionInvalid,
    DeploymentConflict,
    DeploymentRefused,
    EndpointTaken,
    NothingBefore,
    UnknownDeployment,
    UnknownVersion,
)
from plait.operations.deploying.kept import (
    Deployed,
    dump_deployed,
    load_deployed,
)
from plait.ports.platform import Deployments, Wanted
from plait.ports.records import Change, Conflict
from plait.stores.memory.records import MemoryRecords
from tests.unit.operations.deploying import (
    Interleaved,
    active,
    compiles,
    deploy,
    everything,
    service,
    text,
)


async def test_a_deployed_document_is_given_back_to_the_byte() -> None:
    made: Deployments = service(MemoryRecords())
    definition = "\ufeff" + text(value="'ä\\t'").replace("\n", "\r\n") + "# no end"
    reply: Any = await made.deploy(LOCAL, Wanted("hello", definition, description="d"))
    assert (reply["deployment_id"], reply["status"], reply["changed"]) == (
        "hello",
        "active",
        True,
    )
    shown: Any = await made.get(LOCAL, "hello")
    assert shown["definition"] == definition
    assert (shown["version"], shown["description"]) == (reply["version"], "d")
    assert shown["created_at"] == "1970-01-01T00:00:00.000Z"
    assert [one["is_active"] for one in shown["versions"]] == [True]


async def test_what_came_over_the_api_and_the_operators_file_are_two_versions() -> None:
    records = MemoryRecords()
    definition = "name: w\nsteps: [{id: a, type: http, request: {url: http://inner}}]\n"
    trusted = []
    for is_operators in (False, True, False):
        made = service(records, is_operators=is_operators)
        assert (await deploy(made, definition))["changed"]
        found = active(records)
        await found.look()
        (one,) = found.all
        assert one.compiled is not None
        (step,) = one.compiled.plan.scope.nodes
        trusted.append(step.options["host_is_literal"])
    assert trusted == [False, True, False]
    shown: Any = await made.get(LOCAL, "w")
    assert len(shown["versions"]) == 2


async def test_the_same_again_changes_nothing() -> None:
    records = MemoryRecords()
    made = service(records)
    first = await deploy(made, text())
    before, revision = await everything(records), await records.revision()
    again = await deploy(made, text())
    assert (again["changed"], again["version"]) == (False, first["version"])
    assert (await everything(records), await records.revision()) == (before, revision)


async def test_a_second_version_is_active_and_the_first_is_kept() -> None:
    made = service(MemoryRecords())
    first, second = await deploy(made, text()), await deploy(made, text(value="2"))
    assert second["replaced"] == first["version"]
    shown: Any = await made.get(LOCAL, "hello")
    assert [(one["number"], one["is_active"]) for one in shown["versions"]] == [
        (2, True),
        (1, False),
    ]
    assert await made.definition(LOCAL, "hello", first["version"][:8]) == text()


async def test_what_does_not_compile_is_not_kept_and_says_all_that_is_wrong() -> None:
    records = MemoryRecords()
    wrong = "name: hello\nmod: express\nsteps: [{id: a, type: nonsense}]\n"
    with pytest.raises(DefinitionInvalid) as caught:
        await deploy(service(records), wrong)
    found: Any = caught.value.details["diagnostics"]
    assert [(one["code"], one["line"]) for one in found] == [("D101", 2), ("D104", 3)]
    assert await everything(records) == []


@pytest.mark.parametrize("name", [".", "..", "..."])
async def test_a_name_that_is_no_segment_of_a_path_is_refused(name: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        await deploy(service(MemoryRecords()), text(name))
    (found,) = caught.value.diagnostics
    assert (found.code, found.span.line) == ("D103", 1)
    assert "not dots alone" in found.hint


@pytest.mark.parametrize("name", [".a", "..a", "a.", "-x", "_"])
async def test_a_name_may_begin_and_end_with_dots(name: str) -> None:
    assert (await deploy(service(MemoryRecords()), text(name)))["name"] == name


async def test_a_name_that_is_not_the_documents_is_refused() -> None:
    made = service(MemoryRecords())
    with pytest.raises(DeploymentRefused, match="give both the same name"):
        await made.deploy(LOCAL, Wanted("other", text()))


async def test_half_a_surrogate_pair_is_refused() -> None:
    made = service(MemoryRecords())
    with pytest.raises(DeploymentRefused, match="surrogate"):
        await deploy(made, text(value="'\ud800'"))


async def test_a_version_that_was_not_expected_is_a_conflict() -> None:
    made = service(MemoryRecords())
    first = await deploy(made, text(), expected="")
    second = await deploy(made, text(value="2"), expected=first["version"])
    with pytest.raises(DeploymentConflict) as caught:
        await deploy(made, text(value="3"), expected=first["version"])
    assert caught.value.details["active"] == second["version"]
    # Its reply was lost, and it was sent again: it is done.
    again = await deploy(made, text(value="2"), expected=first["version"])
    assert again["changed"] is False


async def test_a_version_may_be_kept_and_not_activated() -> None:
    made = service(MemoryRecords())
    kept = await deploy(made, text(path="/x"), activates=False)
    assert (kept["status"], kept["changed"]) == ("inactive", True)
    assert (await deploy(made, text(path="/x"), activates=False))["changed"] is False
    other = await deploy(made, text("other", path="/x"))  # its endpoint is free
    with pytest.raises(EndpointTaken):
        await made.activate(LOCAL, "hello", kept["version"])
    await made.undeploy(LOCAL, other["name"])
    assert (await made.activate(LOCAL, "hello", kept["version"]))["status"] == "active"


async def test_who_keeps_a_version_beside_the_active_one_is_told_its_id() -> None:
    made = service(MemoryRecords())
    first = await deploy(made, text())
    kept = await deploy(made, text(value="2"), activates=False)
    again = await deploy(made, text(value="2"), activates=False)
    assert kept["version"] == again["version"] != first["version"]
    assert (
        ((await made.activate(LOCAL, "hello", kept["version"]))["replaced"])
        == (first["version"])
    )
    # The same when it is not the latest that is kept.
    old = await deploy(made, text(), activates=False)
    assert (old["version"], old["changed"]) == (first["version"], False)


async def test_two_deployments_cannot_answer_at_one_endpoint() -> None:
    made = service(MemoryRecords())
    await deploy(made, text("a", path="/users/{id}/x"))
    with pytest.raises(EndpointTaken) as caught:
        await deploy(made, text("b", path="/users/{user}/%78"))
    assert caught.value.details["holder"] == "a"
    with pytest.raises(UnknownDeployment):
        await made.get(LOCAL, "b")
    await deploy(made, text("a", path="/elsewhere"))
    await deploy(made, text("b", path="/users/{user}/x"))


async def test_another_tenants_endpoints_do_not_count_and_are_not_seen() -> None:
    made = service(MemoryRecords())
    acme = Caller("key:1", "acme", "admin")
    await deploy(made, text(path="/x"))
    with pytest.raises(UnknownDeployment):
        await made.get(acme, "hello")
    await deploy(made, text("theirs", path="/x"), acme)
    listed: Any = await made.list(LOCAL)
    assert [one["name"] for one in listed["deployments"]] == ["hello"]


async def test_endpoints_change_hands_within_one_deployment_of_several() -> None:
    made = service(MemoryRecords())
    await deploy(made, text("a", path="/one"))
    await deploy(made, text("b", path="/two"))
    swapped = [Wanted("", text("a", path="/two")), Wanted("", text("b", path="/one"))]
    steps = await made.deploy_all(LOCAL, swapped)
    assert [step.change for step in steps] == ["changed", "changed"]
    twice = [Wanted("", text("a", path="/x")), Wanted("", text("b", path="/x"))]
    with pytest.raises(EndpointTaken):
        await made.deploy_all(LOCAL, twice)


async def test_several_are_deployed_or_none() -> None:
    records = MemoryRecords()
    made = service(records)
    with pytest.raises(DefinitionInvalid):
        await made.deploy_all(LOCAL, [Wanted("", text()), Wanted("", "name: b")])
    with pytest.raises(DeploymentRefused, match="two documents"):
        await made.deploy_all(LOCAL, [Wanted("", text()), Wanted("", text(value="2"))])
    assert await everything(records) == []


async def test_pruning_removes_the_others_and_a_trial_changes_nothing() -> None:
    records = MemoryRecords()
    made = service(records)
    for name in "abc":
        await deploy(made, text(name))
    before = await everything(records)
    wanted = [Wanted("", text("a")), Wanted("", text("b", "2")), Wanted("", text("d"))]
    trial = await made.deploy_all(LOCAL, wanted, prunes=True, is_trial=True)
    told = {step.name: step.change for step in trial}
    assert told == {"a": "unchanged", "b": "changed", "d": "added", "c": "removed"}
    assert await everything(records) == before
    await made.deploy_all(LOCAL, wanted, prunes=True)
    again = await made.deploy_all(LOCAL, wanted, prunes=True)
    assert {step.change for step in again} == {"unchanged"}
    assert len(again) == 3


async def test_going_back_leads_to_the_one_before_each_time() -> None:
    made = service(MemoryRecords())
    ids = [(await deploy(made, text(value=str(n))))["version"] for n in range(3)]
    assert (await made.activate(LOCAL, "hello", None))["version"] == ids[1]
    assert (await made.activate(LOCAL, "hello", None))["version"] == ids[0]
    with pytest.raises(NothingBefore):
        await made.activate(LOCAL, "hello", None)
    assert (await made.activate(LOCAL, "hello", ids[2][:10]))["version"] == ids[2]
    assert (await made.activate(LOCAL, "hello", None))["version"] == ids[0]


async def test_what_was_removed_comes_back_as_it_was() -> None:
    made = service(MemoryRecords())
    version = (await deploy(made, text(path="/x")))["version"]
    gone = await made.undeploy(LOCAL, "hello")
    assert (gone["status"], gone["changed"], gone["replaced"]) == (
        "inactive",
        True,
        version,
    )
    assert (await made.undeploy(LOCAL, "hello"))["changed"] is False
    back = await made.activate(LOCAL, "hello", None)
    assert (back["status"], back["version"]) == ("active", version)
    with pytest.raises(EndpointTaken):
        await deploy(made, text("other", path="/x"))
    shown: Any = await made.get(LOCAL, "hello")
    assert [one["version"] for one in shown["history"]] == [version, None, version]


async def test_going_back_works_when_what_was_removed_was_deployed_or_activated_again() -> (
    None
):
    made = service(MemoryRecords())
    first, second = [(await deploy(made, text(value=one)))["version"] for one in ("1", "2")]
    await made.undeploy(LOCAL, "hello")
    await deploy(made, text(value="2"))
    await made.undeploy(LOCAL, "hello")
    await made.activate(LOCAL, "hello", second)
    told: Any = await made.difference(LOCAL, "hello", "previous", "active")
    assert (told["old"], told["new"]) == (first, second)
    back = await made.activate(LOCAL, "hello", None)
    assert (back["version"], back["changed"]) == (first, True)
    with pytest.raises(NothingBefore):
        await made.activate(LOCAL, "hello", None)


def test_a_record_that_names_a_version_twice_in_its_trail_is_mended_when_it_is_read() -> (
    None
):
    kept = Deployed("hello", 0, "b", trail=("a", "b", "b", "a", "a", "b", "b"))
    assert load_deployed("hello", dump_deployed(kept)).trail == ("a", "b", "a", "b")


async def test_a_dropped_version_leaves_no_way_back_to_the_active_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plait.operations.deploying.shelf.VERSIONS_MAX", 2)
    made = service(MemoryRecords())
    first = (await deploy(made, text()))["version"]
    await deploy(made, text(value="2"))
    await made.activate(LOCAL, "hello", first)
    await deploy(made, text(value="3"), activates=False)  # drops the second
    with pytest.raises(NothingBefore):
        await made.activate(LOCAL, "hello", None)


async def test_versions_are_named_by_enough_of_their_ids() -> None:
    made = service(MemoryRecords())
    await deploy(made, text())
    for wrong in ("", "abc", "zzzz", "previous"):
        with pytest.raises(UnknownVersion):
            await made.activate(LOCAL, "hello", wrong)
    with pytest.raises(UnknownDeployment):
        await made.activate(LOCAL, "nothing", None)


async def test_versions_differ_in_text_and_in_steps() -> None:
    made = service(MemoryRecords())
    await deploy(made, text())
    more = text(value="2", path="/x") + "  - {id: two, type: set, value: 1}\n"
    await deploy(made, more)
    told: Any = await made.difference(LOCAL, "hello", "previous", "active")
    assert told["changes"] == [
        {"kind": "step", "path": "said", "change": "changed", "keys": ["value"]},
        {"kind": "key", "path": "endpoint", "change": "added"},
        {"kind": "step", "path": "two", "change": "added"},
    ]
    assert "\n+  - {id: two, type: set, value: 1}\n" in told["text"]
    same: Any = await made.difference(LOCAL, "hello", "active", "active")
    assert (same["changes"], same["text"]) == ([], "")


async def test_who_deploys_is_an_editor_and_who_looks_a_viewer() -> None:
    made = service(MemoryRecords())
    operator = Caller("user:o", role="operator")
    granted = Caller("user:g", grants={"hello": "editor"})
    nobody = Caller("user:n")
    for caller in (operator, nobody, Caller("x", grants={"other": "admin"})):
        with pytest.raises(Forbidden):
            await made.deploy(caller, Wanted("hello", text()))
    await made.deploy(granted, Wanted("hello", text()))
    with pytest.raises(Forbidden):  # of no single workflow
        await made.deploy_all(granted, [Wanted("hello", text())], prunes=True)
    for changes in (
        made.activate(operator, "hello", None),
        made.undeploy(operator, "hello"),
    ):
        with pytest.raises(Forbidden):
            await changes
    await deploy(made, text("secret"))
    seen: Any = await made.list(granted)
    assert [one["name"] for one in seen["deployments"]] == ["hello"]
    assert (await made.get(operator, "secret"))["name"] == "secret"
    assert (await made.validate(granted, Wanted("hello", text())))["valid"] is True
    for looks in (
        made.list(nobody),
        made.get(granted, "secret"),
        made.difference(granted, "secret", "active", "active"),
        made.definition(nobody, "hello", "active"),
        made.validate(nobody, Wanted("", text())),
        made.validate(operator, Wanted("", text())),
        made.validate(granted, Wanted("", text())),
        made.validate(
            replace(granted, grants={"hello": "editor"}), Wanted("", text("secret"))
        ),
    ):
        with pytest.raises(Forbidden):
            await looks


async def test_lists_are_told_in_pages() -> None:
    made = service(MemoryRecords())
    for name in "abcde":
        await deploy(made, text(name))
    pages, after = list[list[str]](), ""
    while True:
        page: Any = await made.list(LOCAL, after=after, limit=2)
        pages.append([one["name"] for one in page["deployments"]])
        if page["next"] is None:
            break
        after = page["next"]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


async def test_validating_keeps_nothing() -> None:
    records = MemoryRecords()
    made = service(records)
    told: Any = await made.validate(LOCAL, Wanted("", text()))
    assert told == {"valid": True, "diagnostics": [], "name": "hello"}
    wrong: Any = await made.validate(LOCAL, Wanted("", "name: x\nsteps: 1\n"))
    assert (wrong["valid"], wrong["diagnostics"][0]["code"]) == (False, "D103")
    with pytest.raises(DeploymentRefused, match="give both the same name"):
        await made.validate(LOCAL, Wanted("other", text()))
    assert await everything(records) == []


async def test_of_many_that_deploy_at_once_every_one_gets_on() -> None:
    records = Interleaved()
    made = [service(records) for _ in range(8)]
    await asyncio.gather(*(deploy(one, text(value=str(n))) for n, one in enumerate(made)))
    shown: Any = await made[0].get(LOCAL, "hello")
    assert sorted(one["number"] for one in shown["versions"]) == list(range(1, 9))
    assert sum(one["is_active"] for one in shown["versions"]) == 1


async def test_of_two_that_want_one_endpoint_at_once_one_gets_it() -> None:
    records = Interleaved()
    both = (deploy(service(records), text(name, path="/x")) for name in "ab")
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["EndpointTaken", "dict"]


async def test_somebody_who_is_always_faster_is_told_of() -> None:
    class Busy(MemoryRecords):
        async def change(self, changes: Any, at_ms: int) -> list[int]:
            raise Conflict("deployment", "hello")

    with pytest.raises(Conflict):
        await deploy(service(Busy()), text())


async def test_a_damaged_record_is_told_of_and_mended_by_deploying_again() -> None:
    records = MemoryRecords()
    made = service(records)
    await deploy(made, text(path="/x"))
    await records.change([Change("deployment", "default", "hello", b"{")], 0)
    await deploy(made, text("other"))
    listed: Any = await made.list(LOCAL)
    assert [one["status"] for one in listed["deployments"]] == ["unreadable", "active"]
    assert (await deploy(made, text(path="/x")))["status"] == "active"
    newer = b'{"v": 2}'
    await records.change([Change("deployment", "default", "hello", newer)], 0)
    with pytest.raises(Exception, match="upgrade"):
        await deploy(made, text(value="2"))


async def test_of_very_many_versions_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 3
    monkeypatch.setattr("plait.operations.deploying.shelf.VERSIONS_MAX", limit)
    records = MemoryRecords()
    made = service(records)
    first = (await deploy(made, text()))["version"]
    for n in range(2, 6):
        await deploy(made, text(value=str(n)), activates=False)
    shown: Any = await made.get(LOCAL, "hello")
    assert [one["number"] for one in shown["versions"]] == [5, 4, 1]
    assert (shown["version"], shown["definition"]) == (first, text())
    assert await records.count("deployment.version", "default") == limit


async def test_looking_shows_what_is_active_and_compiles_each_version_once() -> None:
    records, compiled = MemoryRecords(), list[str]()

    async def counted(name: str, definition: str) -> Any:
        compiled.append(name)
        return await compiles(name, definition)

    looked = ActiveDeployments(records, counted)
    made = service(records)
    assert await looked.look()  # the first time: nothing is known before
    await deploy(made, text("a"))
    await deploy(made, text("b"))
    assert await looked.look()
    assert [one.name for one in looked.all] == ["a", "b"]
    await made.undeploy(LOCAL, "a")
    assert await looked.look()
    assert [one.name for one in looked.all] == ["b"]
    await records.change([Change("session", "default", "s", b"{}")], 0)
    assert not await looked.look()
    assert compiled == ["a", "b"]


async def test_a_stored_definition_that_is_broken_hides_no_other() -> None:
    records = MemoryRecords()
    made = service(records)
    version = (await deploy(made, text("a")))["version"]
    await deploy(made, text("b"))
    await deploy(made, text("c"))
    broken = b'{"v": 1, "definition": "name: a", "triggers": []}'
    await records.change(
        [
            Change("deployment.version", "default", f"a/{version}", broken),
            Change("deployment", "default", "b", b"\xff"),
        ],
        0,
    )
    looked = active(records)
    await looked.look()
    told = {one.name: [found.code for found in one.diagnostics] for one in looked.all}
    assert told == {"a": ["D102"], "b": ["F003"], "c": []}
    assert [one.name for one in looked.all if one.compiled] == ["c"]
