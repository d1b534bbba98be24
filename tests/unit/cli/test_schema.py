"""The published JSON Schema: it is generated, and it and the models agree.

Agree: a document that one accepts on its shape, the other accepts too. What no JSON Schema
can say (a join of more branches than there are, say) is in ONLY_MODELS_TELL, document by
document.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.assembly.connectors import built_in_connectors
from plait.cli.schema import schema_text
from plait.document import Catalog, DocumentErrors, parse_document
from plait.document.schema import alert_schema, workflow_schema
from plait.document.source import read_source

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = ROOT / "schema" / "workflow.schema.json"
PUBLISHED_ALERT = ROOT / "schema" / "alert.schema.json"
CATALOG = Catalog(connector.step for connector in built_in_connectors())
SCHEMA = workflow_schema(CATALOG)
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

HTTP: dict[str, Any] = {"id": "a", "type": "http", "request": {"url": "http://h/p"}}
SET: dict[str, Any] = {"id": "v", "type": "set", "value": 1}
FULL: dict[str, Any] = {
    "name": "full",
    "version": 1,
    "description": "d",
    "mode": "express",
    "input": {"type": "object"},
    "defaults": {"timeout": "2s", "retry": {"max_attempts": 2, "on": ["connect", 503]}},
    "order": "graph",
    "timeout": "1m",
    "on_failure": "stop",
    "endpoint": {
        "method": "GET",
        "path": "/a/{b}",
        "partial": True,
        "status": {"connector.http.404": 404, "5xx": 503},
        "headers": {"x-a": "1"},
        "cache": {"ttl": "5s", "stale_while_revalidate": "1m"},
    },
    "annotations": {"x": 1},
    "output": {"a": "${a.response}"},
    "steps": [
        {
            **HTTP,
            "description": "d",
            "depends_on": ["v"],
            "condition": "${v.response == 1}",
            "timeout": "2s",
            "attempt_timeout": "800ms",
            "retry": {
                "max_attempts": 3,
                "delay": "50ms",
                "backoff": "exponential",
                "factor": 2,
                "max_delay": "PT1S",
                "jitter": 0.5,
                "on": "${error.code == 'x'}",
            },
            "on_error": "continue",
            "fallback": {"x": 1},
            "effect": "keyed",
            "idempotency_key": "k",
            "output": "${a.response}",
            "disabled": False,
            "annotations": {},
            "request": {
                "method": "POST",
                "url": "https://h/p/${v.response}",
                "params": {"q": ["a", 1]},
                "headers": {"x": "y"},
                "body": {"a": [1, None]},
                "expect": [200, "4xx"],
                "decode": "json",
                "redirects": 2,
                "max_bytes": 1000,
                "tls": {"verify": True},
            },
        },
        SET,
        {"id": "w", "type": "wait", "for": "1h30m"},
        {"id": "f", "type": "fail", "condition": False, "code": "x.y", "message": "m"},
        {
            "id": "p",
            "type": "parallel",
            "join": 1,
            "branches": {"left": {"order": "sequence", "steps": [SET], "output": 1}},
        },
        {"id": "s", "type": "sequence", "steps": [HTTP]},
        {"id": "r", "type": "return", "value": None},
    ],
}


def with_step(**changes: Any) -> dict[str, Any]:
    return {"name": "n", "steps": [{**HTTP, **changes}]}


def with_only(**step: Any) -> dict[str, Any]:
    return {"name": "n", "steps": [{"id": "only", **step}]}


def with_request(**changes: Any) -> dict[str, Any]:
    return with_step(request={**HTTP["request"], **changes})


def with_document(**changes: Any) -> dict[str, Any]:
    return {"name": "n", "steps": [HTTP], **changes}


def with_states(*parts: dict[str, Any], **document: Any) -> dict[str, Any]:
    """Return a machine whose first state `a` has these keys too."""
    first = {"on": {"go": "b"}}
    for one in parts:
        first |= one
    states = {"a": first, "b": {"final": True}}
    return {"name": "n", "initial": "a", "states": states, **document}


def with_retry(**changes: Any) -> dict[str, Any]:
    return with_step(retry=changes)


GOOD: dict[str, dict[str, Any]] = {
    "full": FULL,
    "smallest": with_document(),
    "durable": with_document(mode="durable"),
    "version text": with_document(version="2026-01"),
    "input is true": with_document(input=True),
    "endpoint with path only": with_document(endpoint={"path": "/"}),
    "cache as duration": with_document(endpoint={"path": "/x", "cache": "5s"}),
    "endpoint open": with_document(endpoint={"path": "/x", "auth": "none"}),
    "endpoint closed": with_document(endpoint={"path": "/x", "auth": "required"}),
    "endpoint by role": with_document(endpoint={"path": "/x", "auth": {"role": "editor"}}),
    "endpoint rate": with_document(endpoint={"path": "/x", "rate_limit": "100/1m"}),
    "endpoint rate as mapping": with_document(
        endpoint={"path": "/x", "rate_limit": {"limit": 5, "per": "1s", "by": "all"}}
    ),
    "status by condition": with_document(
        endpoint={"path": "/x", "status": {"${a.status == 'failed'}": 502}}
    ),
    "condition true": with_step(condition=True),
    "fallback step": with_step(fallback={"type": "set", "value": 1}),
    "retry one word": with_retry(on="timeout"),
    "retry one status": with_retry(on=503),
    "retry code": with_retry(on=["connector.tls", "step.*", "5xx", "any"]),
    "templated method": with_request(method="${input.method}"),
    "templated params": with_request(params="${input.params}"),
    "form": with_request(form={"a": ["b", "c"], "d": None}),
    "multipart list": with_request(multipart=[{"name": "f", "content": "x"}]),
    "multipart mapping": with_request(multipart={"f": {"filename": "x", "content": "y"}}),
    "machine": with_states(),
    "machine in full": with_states(
        {
            "description": "d",
            "annotations": {},
            "entry": [HTTP],
            "exit": [SET],
            "after": {"30m": "b", "PT1S": {"target": "a", "guard": True}},
            "on": {
                "order/17:go.now-1": [
                    {"target": "b", "guard": "${event.payload}", "actions": [SET]},
                    {"actions": [SET], "description": "d"},
                    {},
                ]
            },
        }
    ),
    "wait by template": with_only(type="wait", **{"for": "${input.w}"}),
    "null settings": with_step(timeout=None, retry=None, on_error=None, description=None),
}

BAD: dict[str, dict[str, Any]] = {
    "no name": {"steps": [HTTP]},
    "no steps": {"name": "n"},
    "machine without a beginning": {"name": "n", "states": {"a": {"final": True}}},
    "beginning without a machine": with_document(initial="a"),
    "steps and states": with_document(initial="a", states={"a": {"final": True}}),
    "no states": {"name": "n", "initial": "a", "states": {}},
    "state as list": {"name": "n", "initial": "a", "states": {"a": []}},
    "state with a dash": with_states(states={"a": {"on": {"go": "b-c"}}, "b-c": {}}),
    "state of an unknown key": with_states({"onn": {}}),
    "event with a space": with_states({"on": {"go on": "b"}}),
    "event without a way": with_states({"on": {"go": []}}),
    "transition with an unknown key": with_states({"on": {"go": {"tarjet": "b"}}}),
    "guard that is text": with_states({"on": {"go": {"guard": "yes"}}}),
    "actions of none": with_states({"on": {"go": {"actions": []}}}),
    "action that is no step": with_states({"entry": [{"id": "x"}]}),
    "after no duration": with_states({"after": {"soon": "b"}}),
    "final that is text": with_states({"final": "yes"}),
    "machine with an order": with_states(order="sequence"),
    "url that is none": with_request(url="users/1"),
    "empty steps": {"name": "n", "steps": []},
    "steps as mapping": {"name": "n", "steps": {"a": HTTP}},
    "name with space": with_document(name="a b"),
    "name empty": with_document(name=""),
    "name number": with_document(name=7),
    "name too long": with_document(name="n" * 201),
    "unknown key": with_document(stepz=[]),
    "unknown mode": with_document(mode="fast"),
    "unknown order": with_document(order="random"),
    "input as text": with_document(input="object"),
    "trigger of another type": with_document(triggers=[{"type": "moon", "path": "/x"}]),
    "webhook without secret": with_document(triggers=[{"type": "webhook", "path": "/x"}]),
    "webhook path": with_document(
        triggers=[{"type": "webhook", "path": "/~x", "secret": "s"}]
    ),
    "defaults with unknown key": with_document(defaults={"cache": "5s"}),
    "endpoint without path": with_document(endpoint={"method": "GET"}),
    "endpoint path without slash": with_document(endpoint={"path": "x"}),
    "endpoint method": with_document(endpoint={"path": "/", "method": "HEAD"}),
    "endpoint planned key": with_document(endpoint={"path": "/", "prefer_async": 1}),
    "endpoint auth": with_document(endpoint={"path": "/", "auth": "admin"}),
    "endpoint auth true": with_document(endpoint={"path": "/", "auth": True}),
    "endpoint role": with_document(endpoint={"path": "/", "auth": {"role": "root"}}),
    "endpoint role missing": with_document(endpoint={"path": "/", "auth": {}}),
    "endpoint rate text": with_document(endpoint={"path": "/", "rate_limit": "100"}),
    "endpoint rate 0": with_document(endpoint={"path": "/", "rate_limit": "0/1m"}),
    "endpoint rate unit": with_document(endpoint={"path": "/", "rate_limit": "9/60"}),
    "endpoint rate by": with_document(
        endpoint={"path": "/", "rate_limit": {"limit": 1, "per": "1s", "by": "ip"}}
    ),
    "endpoint status too low": with_document(endpoint={"path": "/", "status": {"5xx": 99}}),
    "endpoint status text": with_document(endpoint={"path": "/", "status": {"5xx": "502"}}),
    "endpoint partial text": with_document(endpoint={"path": "/", "partial": "yes"}),
    "cache without ttl": with_document(endpoint={"path": "/", "cache": {}}),
    "step is text": {"name": "n", "steps": ["a"]},
    "step without type": {"name": "n", "steps": [{"id": "a"}]},
    "step without id": {"name": "n", "steps": [{"type": "set", "value": 1}]},
    "unknown type": with_step(type="htpp"),
    "planned type": with_step(type="grpc"),
    "type of another": with_step(type="set"),
    "id with dash": with_step(id="a-b"),
    "id starts with digit": with_step(id="1a"),
    "id reserved": with_step(id="input"),
    "id with line end": with_step(id="a\n"),
    "unknown step key": with_step(conditoin=True),
    "planned step key": with_step(compensate={}),
    "condition plain text": with_step(condition="yes"),
    "condition with room around": with_step(condition=" ${input.x} "),
    "condition number": with_step(condition=1),
    "timeout number": with_step(timeout=5),
    "timeout without unit": with_step(timeout="5"),
    "timeout nonsense": with_step(timeout="5 parsecs"),
    "timeout ISO empty": with_step(timeout="P"),
    "timeout ISO T": with_step(timeout="P1DT"),
    "on_error ignore": with_step(on_error="ignore"),
    "depends_on text": with_step(depends_on="a"),
    "depends_on numbers": with_step(depends_on=[1]),
    "effect": with_step(effect="write"),
    "disabled text": with_step(disabled="true"),
    "retry zero attempts": with_retry(max_attempts=0),
    "retry too many attempts": with_retry(max_attempts=1001),
    "retry attempts text": with_retry(max_attempts="3"),
    "retry backoff": with_retry(backoff="quadratic"),
    "retry factor": with_retry(factor=0.5),
    "retry jitter": with_retry(jitter=1.5),
    "retry on nothing": with_retry(on=[]),
    "retry on word": with_retry(on=["connexion"]),
    "retry on status 999": with_retry(on=[999]),
    "retry unknown key": with_retry(attempts=3),
    "no url": with_step(request={"method": "GET"}),
    "request text": with_step(request="http://h"),
    "url number": with_request(url=7),
    "method in lower case": with_request(method="post"),
    "two bodies": with_request(body={}, text="x"),
    "method unknown": with_request(method="FETCH"),
    "params list": with_request(params=["a"]),
    "params nested": with_request(params={"a": {"b": 1}}),
    "request unknown key": with_request(parms={}),
    "decode unknown": with_request(decode="xml"),
    "redirects too many": with_request(redirects=4),
    "max_bytes negative": with_request(max_bytes=-1),
    "tls unknown key": with_request(tls={"verfy": False}),
    "wait without for": {"name": "n", "steps": [{"id": "w", "type": "wait"}]},
    "wait nonsense": with_only(type="wait", **{"for": "soon"}),
    "parallel without branches": with_only(type="parallel"),
    "parallel empty": with_only(type="parallel", branches={}),
    "branch step wrong": with_only(
        type="parallel", branches={"b": {"steps": [{"id": "x"}]}}
    ),
    "branch name that is no id": with_only(
        type="parallel", branches={"a-b": {"steps": [HTTP]}}
    ),
    "branch name that templates use": with_only(
        type="parallel", branches={"input": {"steps": [HTTP]}}
    ),
    "error word that means nothing": with_document(
        endpoint={"path": "/", "status": {"no": 502}}
    ),
    "join zero": with_only(type="parallel", join=0, branches={"b": {"steps": [HTTP]}}),
    "sequence step wrong": {
        "name": "n",
        "steps": [{"id": "s", "type": "sequence", "steps": [{**HTTP, "x": 1}]}],
    },
    "set without value": {"name": "n", "steps": [{"id": "v", "type": "set"}]},
    "fail code empty": {"name": "n", "steps": [{"id": "f", "type": "fail", "code": ""}]},
}

ONLY_MODELS_TELL: dict[str, dict[str, Any]] = {
    "join of more than there are": with_only(
        type="parallel", join=2, branches={"b": {"steps": [HTTP]}}
    ),
    "condition of two expressions": with_step(condition="${input.x} ${input.y}"),
    "duration above a century": with_step(timeout="999999d"),
    "parameter twice": with_document(endpoint={"path": "/{a}/{a}"}),
    "path segment that is half a parameter": with_document(endpoint={"path": "/a{b}"}),
    "header of the connector's own": with_request(headers={"Content-Length": "1"}),
    "body that its type denies": with_request(body={}, headers={"content-type": "a/b"}),
    "idempotency key of two lines": with_step(idempotency_key="a\nb"),
    "fallback step that is wrong": with_step(fallback={"type": "http", "request": {}}),
}


# What the findings of ONLY_MODELS_TELL say, whatever they are about.
BEYOND_SCHEMA = re.compile(
    "needs more branches|longer than a century|stands twice in the path|no path segment"
    "|the URL|so that templates can read it|is no status|a name that templates use"
    "|or one expression|there is no state '"
)


def findings(document: dict[str, Any]) -> list[str]:
    """Return what the models say."""
    source = read_source(orjson.dumps(document), name="document.json")
    try:
        found = parse_document(source, CATALOG).found
    except DocumentErrors as error:
        return [finding.message for finding in error.diagnostics]
    return [finding.message for finding in found.in_order()]


def test_the_published_schema_of_alerts_is_the_one_of_the_models() -> None:
    assert PUBLISHED_ALERT.read_text("utf-8") == schema_text(alert_schema())
    check = jsonschema_rs.Draft202012Validator(alert_schema())
    examples = sorted((ROOT / "examples" / "alerts").glob("*.yaml"))
    told = [read_source(path.read_bytes(), name=path.name).value for path in examples]
    alerts = [one for one in told if isinstance(one, dict) and "alert" in one]
    assert len(alerts) == 3
    assert [one["alert"] for one in alerts if not check.is_valid(one)] == []


def test_the_published_file_is_what_the_command_prints() -> None:
    assert PUBLISHED.read_text("utf-8") == schema_text(SCHEMA)


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", GOOD)
def test_both_accept_good_documents(name: str) -> None:
    assert findings(GOOD[name]) == []
    assert VALIDATOR.is_valid(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_both_refuse_bad_documents(name: str) -> None:
    assert findings(BAD[name])
    assert not VALIDATOR.is_valid(BAD[name])


@pytest.mark.parametrize("name", ONLY_MODELS_TELL)
def test_what_only_models_can_tell_is_refused_by_them(name: str) -> None:
    assert findings(ONLY_MODELS_TELL[name])
    assert VALIDATOR.is_valid(ONLY_MODELS_TELL[name])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside `value`."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    pairs = list(items) or (list(enumerate(value)) if isinstance(value, list) else [])
    for key, inner in pairs:
        found += places(inner, (*path, key))
    return found


MACHINE = GOOD["machine in full"]
PLACES = places(FULL)
STATE_PLACES = places(MACHINE)
REPLACEMENTS: list[Any] = [None, True, 0, 1, -1, 1.5, 503, "", "x", "1s", "${input.x}", []]
KEYS = [*sorted({str(path[-1]) for path in PLACES + STATE_PLACES}), "unknown", "for"]


def changed(
    whole: dict[str, Any], path: tuple[Any, ...], how: str, value: Any, key: str
) -> dict[str, Any]:
    """Return `whole` with one change at `path`."""
    document: Any = copy.deepcopy(whole)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if how == "remove":
        del holder[path[-1]]
    elif how == "add" and isinstance(holder[path[-1]], dict):
        holder[path[-1]][key] = value
    elif how == "rename" and isinstance(holder, dict):
        holder[key] = holder.pop(path[-1])
    else:
        holder[path[-1]] = value
    result: dict[str, Any] = document
    return result


@pytest.mark.slow
@settings(max_examples=2_000)
@given(
    st.sampled_from(PLACES),
    st.sampled_from(["replace", "remove", "add", "rename"]),
    st.sampled_from(REPLACEMENTS),
    st.sampled_from(KEYS),
)
def test_both_agree_on_documents_with_one_change(
    path: tuple[Any, ...], how: str, value: Any, key: str
) -> None:
    agree_on(changed(FULL, path, how, value, key))


@pytest.mark.slow
@settings(max_examples=2_000)
@given(
    st.sampled_from(STATE_PLACES),
    st.sampled_from(["replace", "remove", "add", "rename"]),
    st.sampled_from(REPLACEMENTS),
    st.sampled_from(KEYS),
)
def test_both_agree_on_machines_with_one_change(
    path: tuple[Any, ...], how: str, value: Any, key: str
) -> None:
    agree_on(changed(MACHINE, path, how, value, key))


def agree_on(document: dict[str, Any]) -> None:
    found = findings(document)
    if VALIDATOR.is_valid(document):
        assert not found or any(BEYOND_SCHEMA.search(text) for text in found)
    else:
        assert found
