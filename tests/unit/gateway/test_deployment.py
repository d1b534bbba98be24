"""Deploying: one bad document stops no other, and a broken edit keeps the last good one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from plait.gateway.app import Gateway
from plait.gateway.deployment import Broken, Deployment, Finding
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.place import Span
from tests.unit.gateway.scenes import ECHO, HANG, PROFILE, plan_of, reply, scene, until

ALL_WELL = {"user": reply({"id": "7"}), "offers": reply([1])}
PROBLEM = Diagnostic("P001", "no", "", Span(2, 3, 2, 4))


def deployed(name: str, text: str) -> Deployment:
    return Deployment(name, plan_of(text), Span(4, 1, 5, 1))


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.source_name, finding.diagnostic.code) for finding in findings]


def served(gateway: Gateway) -> list[str]:
    return [f"{route.method} {route.template}" for route in gateway.snapshot.served]


def test_a_broken_document_is_told_and_the_others_are_served() -> None:
    gateway = scene().gateway
    findings = gateway.deploy([Broken("a", (PROBLEM,)), deployed("b", ECHO)])
    assert [finding.render() for finding in findings] == ["a:2:3: P001 no"]
    assert served(gateway) == ["POST /echo"]


def test_a_broken_edit_keeps_the_last_good_version() -> None:
    gateway = scene().gateway
    gateway.deploy([deployed("a", ECHO), deployed("b", PROFILE)])
    findings = gateway.deploy([Broken("a", (PROBLEM,)), deployed("b", PROFILE)])
    assert codes(findings) == [("a", "P001")]
    assert served(gateway) == ["POST /echo", "GET /profiles/{user_id}"]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("wf", ("wf/a.yaml", "wf/deep/b.yaml")),
        ("wf/", ("wf/a.yaml", "wf/deep/b.yaml")),
        ("/x/wf", ("/x/wf/a.yaml", "/x/wf/deep/b.yaml")),
        (".", ("a.yaml", "deep/b.yaml")),
    ],
)
def test_what_is_below_a_path_that_cannot_be_read_stays(
    folder: str, names: tuple[str, str]
) -> None:
    gateway = scene().gateway
    one, two = deployed(names[0], ECHO), deployed(names[1], PROFILE)
    gateway.deploy([one, two])
    missing = Broken(folder, (PROBLEM,), is_unreadable=True)
    assert codes(gateway.deploy([missing])) == [(folder, "P001")]
    assert served(gateway) == ["POST /echo", "GET /profiles/{user_id}"]
    assert codes(gateway.deploy([one, missing])) == [(folder, "P001")]
    assert served(gateway) == ["POST /echo", "GET /profiles/{user_id}"]
    assert gateway.deploy([one]) == []
    assert served(gateway) == ["POST /echo"]


def test_a_path_that_cannot_be_read_keeps_nothing_beside_it() -> None:
    gateway = scene().gateway
    gateway.deploy([deployed("wf2/a.yaml", ECHO)])
    gateway.deploy([Broken("wf", (PROBLEM,), is_unreadable=True)])
    assert served(gateway) == []


def test_a_folder_without_documents_keeps_none() -> None:
    gateway = scene().gateway
    gateway.deploy([deployed("wf/a.yaml", ECHO)])
    gateway.deploy([Broken("wf", (PROBLEM,))])
    assert served(gateway) == []


def test_a_deleted_document_is_served_no_more_and_a_new_one_is() -> None:
    gateway = scene().gateway
    gateway.deploy([deployed("a", ECHO)])
    assert gateway.deploy([deployed("b", PROFILE)]) == []
    assert served(gateway) == ["GET /profiles/{user_id}"]
    gateway.deploy([Broken("a", (PROBLEM,))])
    assert served(gateway) == []


def test_warnings_are_told() -> None:
    warning = Diagnostic("P015", "hm", "", Span(1, 1, 1, 2), Severity.WARNING)
    plan = plan_of(ECHO)
    findings = scene().gateway.deploy([Deployment("a", plan, warnings=(warning,))])
    assert [finding.render() for finding in findings] == ["a:1:1: warning P015 hm"]


def test_the_second_document_of_one_path_is_told_and_the_first_serves() -> None:
    gateway = scene().gateway
    other = PROFILE.replace("name: profile", "name: other").replace("{user_id}", "{limit}")
    findings = gateway.deploy([deployed("a", PROFILE), deployed("b", other)])
    assert codes(findings) == [("b", "G001")]
    assert "is answered by a already" in findings[0].diagnostic.message
    assert findings[0].diagnostic.span == Span(4, 1, 5, 1)
    assert len(served(gateway)) == 1


def test_a_durable_workflow_cannot_be_served_and_is_told() -> None:
    durable = ECHO.replace("mode: express\n", "")
    findings = scene(durable, PROFILE).findings
    assert codes(findings) == [("0.yaml", "G002")]
    assert findings[0].diagnostic.hint == "set `mode: express`"


def test_no_document_takes_a_path_of_the_gateway_s_own() -> None:
    text = ECHO.replace("POST", "GET").replace("/echo", "/health")
    assert codes(scene(text).findings) == [("0.yaml", "G003")]


@pytest.mark.parametrize("path", ["/~acme/echo", "/%7Eacme/echo", "/%7eacme/{id}", "/~"])
def test_no_document_takes_a_path_of_a_tenant(path: str) -> None:
    gateway = scene().gateway
    stolen = deployed("stolen.yaml", ECHO.replace("/echo", f'"{path}"'))
    tenants = replace(deployed("acme/echo (deployed)", ECHO), tenant="acme")
    findings = gateway.deploy([stolen, tenants])
    assert [finding.render() for finding in findings] == [
        f"stolen.yaml:4:1: G003 POST {path} belongs to a tenant: its paths begin with '/~' "
        "(choose another path, or deploy it with a key of that tenant)"
    ]
    assert gateway.refused == ("stolen.yaml",)
    assert served(gateway) == ["POST /~acme/echo"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_cache_that_keeps_nothing_for_the_method_is_warned_of(method: str) -> None:
    text = ECHO.replace("POST, path: /echo", f"{method}, path: /echo, cache: 5s")
    findings = scene(text).findings
    assert codes(findings) == [("0.yaml", "G006")]
    assert findings[0].diagnostic.severity is Severity.WARNING
    assert f"a {method} may change something" in findings[0].diagnostic.message
    assert not scene(text.replace(method, "GET", 1)).findings


def test_a_cache_beside_a_wait_is_warned_of() -> None:
    text = ECHO.replace("POST, path: /echo", "GET, path: /echo, cache: 5s, wait: 1s")
    findings = scene(text).findings
    assert codes(findings) == [("0.yaml", "G006")]
    assert "'wait'" in findings[0].diagnostic.message


def test_a_header_that_is_not_sent_is_warned_of() -> None:
    text = ECHO.replace("path: /echo", "path: /echo, headers: {Connection: x, X-A: y}")
    findings = scene(text).findings
    assert codes(findings) == [("0.yaml", "G004")]
    assert findings[0].diagnostic.severity is Severity.WARNING
    assert "'Connection'" in findings[0].diagnostic.message


def test_a_schema_that_cannot_be_checked_stops_only_its_own_document() -> None:
    """The compiler refuses such schemas; a plan that was stored may hold one still."""
    plan = replace(plan_of(ECHO), input_schema={"$ref": "#/$defs/no"})
    here = scene(PROFILE)
    findings = here.gateway.deploy([Deployment("a", plan), deployed("b", PROFILE)])
    assert codes(findings) == [("a", "G005")]
    assert served(here.gateway) == ["GET /profiles/{user_id}"]


def test_a_workflow_without_endpoint_is_nothing_to_tell_of() -> None:
    text = ECHO.replace("endpoint: {method: POST, path: /echo}\n", "")
    here = scene(text)
    assert here.findings == []
    assert served(here.gateway) == []


def test_what_did_not_change_is_not_built_again() -> None:
    gateway = scene().gateway
    gateway.deploy([deployed("a", ECHO), deployed("b", PROFILE)])
    before = {route.template: route.handler for route in gateway.snapshot.served}
    changed = PROFILE.replace("output:", "output:\n  new: 1\n  #")
    gateway.deploy([deployed("a", ECHO), deployed("b", changed)])
    after = {route.template: route.handler for route in gateway.snapshot.served}
    assert after["/echo"] is before["/echo"]
    assert after["/profiles/{user_id}"] is not before["/profiles/{user_id}"]


async def test_a_request_finishes_with_the_version_it_began_with() -> None:
    here = scene(PROFILE, script={"user": HANG, "offers": reply([1])})
    asking = asyncio.create_task(here.ask("/profiles/7"))
    await until(lambda: len(here.calls.started) == 2)
    here.gateway.deploy(
        [deployed("0.yaml", PROFILE.replace("output:", "output:\n  x: 1\n #"))]
    )
    assert not asking.done()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_edit_is_answered_with_from_then_on() -> None:
    here = scene(ECHO)
    assert (await here.ask("/echo", "POST", json={"a": 1})).json == {"a": 1}
    here.gateway.deploy([deployed("0.yaml", ECHO.replace("${said.response}", "new"))])
    assert (await here.ask("/echo", "POST", json={"a": 1})).json == "new"


SHOUT = ECHO.replace("name: echo", "name: shout").replace("/echo", "/shout")


@pytest.mark.parametrize(
    ("edited", "code"),
    [
        (SHOUT.replace("/shout", "/echo"), "G001"),
        (SHOUT.replace("mode: express\n", ""), "G002"),
        (SHOUT.replace("POST, path: /shout", "GET, path: /health"), "G003"),
    ],
)
def test_an_edit_that_cannot_be_served_keeps_the_last_version(
    edited: str, code: str
) -> None:
    gateway = scene().gateway
    # `a` comes before `b`, and still cannot take what `b` has.
    gateway.deploy([deployed("a", SHOUT), deployed("b", ECHO)])
    findings = gateway.deploy([deployed("a", edited), deployed("b", ECHO)])
    assert codes(findings) == [("a", code)]
    assert sorted(served(gateway)) == ["POST /echo", "POST /shout"]
    assert gateway.deploy([deployed("a", SHOUT), deployed("b", ECHO)]) == []


def test_two_edits_may_exchange_their_routes() -> None:
    gateway = scene().gateway
    gateway.deploy([deployed("a", SHOUT), deployed("b", ECHO)])
    assert gateway.deploy([deployed("a", ECHO), deployed("b", SHOUT)]) == []
    assert sorted(served(gateway)) == ["POST /echo", "POST /shout"]


def at(name: str, path: str) -> Deployment:
    """Return a document that serves `path`, or nothing if that is empty."""
    text = ECHO.replace("name: echo", f"name: {name}")
    line = "endpoint: {method: POST, path: /echo}\n"
    put = line.replace("/echo", path) if path else ""
    return deployed(name, text.replace(line, put))


def holders(gateway: Gateway) -> dict[str, str]:
    """Return who serves which path."""
    return {
        route.template: route.deployment.source_name
        for route in gateway.snapshot.served
        if route.deployment is not None
    }


def test_a_new_document_cannot_take_the_route_that_a_failed_edit_falls_back_on() -> None:
    gateway = scene().gateway
    gateway.deploy([at("m", "/x"), at("z", "/z")])
    findings = gateway.deploy([at("0new", "/x"), at("m", "/z"), at("z", "/z")])
    assert codes(findings) == [("0new", "G001"), ("m", "G001")]
    assert holders(gateway) == {"/x": "m", "/z": "z"}
    gateway.deploy([at("m", "/z"), at("z", "/z")])
    assert holders(gateway) == {"/x": "m", "/z": "z"}


@pytest.mark.parametrize("names", ["amz", "maz", "zam"])
def test_nor_can_an_edit_that_came_before_it(names: str) -> None:
    gateway = scene().gateway
    gateway.deploy([at("m", "/x"), at("z", "/z"), at("a", "/a")])
    now = {"a": at("a", "/x"), "m": at("m", "/z"), "z": at("z", "/z")}
    findings = gateway.deploy([now[name] for name in names])
    assert sorted(codes(findings)) == [("a", "G001"), ("m", "G001")]
    assert holders(gateway) == {"/x": "m", "/z": "z", "/a": "a"}


def test_edits_may_exchange_their_routes() -> None:
    gateway = scene().gateway
    gateway.deploy([at("a", "/a"), at("b", "/b"), at("c", "/c")])
    assert gateway.deploy([at("a", "/b"), at("b", "/c"), at("c", "/a")]) == []
    assert holders(gateway) == {"/b": "a", "/c": "b", "/a": "c"}


def test_a_last_good_version_may_be_one_without_a_route() -> None:
    gateway = scene().gateway
    gateway.deploy([at("a", "/a"), at("b", "")])
    assert codes(gateway.deploy([at("a", "/a"), at("b", "/a")])) == [("b", "G001")]
    [kept] = [one for one in gateway.snapshot.deployments if one.source_name == "b"]
    assert kept.plan.endpoint is None


def test_a_refused_document_is_served_as_soon_as_its_route_is_free() -> None:
    gateway = scene().gateway
    gateway.deploy([at("a", "/x"), at("b", "/x")])
    assert holders(gateway) == {"/x": "a"}
    assert gateway.deploy([at("b", "/x")]) == []
    assert holders(gateway) == {"/x": "b"}
