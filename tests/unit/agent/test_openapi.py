"""OpenAPI documents: what can be called is found, whatever else is in them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.agent import Knowledge, Made, OpenapiUnusable, Operation, read_openapi
from plait.agent.openapi import Shown
from tests.unit.agent.drafts import drafted

GET: dict[str, Any] = {"operationId": "getThing", "responses": {"200": {}}}


def document(**given: Any) -> bytes:
    root = {"openapi": "3.1.0", "paths": {"/things": {"get": GET}}, **given}
    return orjson.dumps(root)


def only(data: bytes) -> Operation:
    found = read_openapi(data, "my api")
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://my-api/things"),
        ({"servers": [{"url": "https://h:8080/v1/"}]}, "https://h:8080/v1/things"),
        ({"servers": [{"url": "/v2"}]}, "http://my-api/v2/things"),
        (
            {"servers": [{"url": "https://{r}.h", "variables": {"r": {"default": "eu"}}}]},
            "https://eu.h/things",
        ),
        ({"host": "h", "basePath": "/b", "schemes": ["http"]}, "http://h/b/things"),
        ({"servers": [{"url": "https://${secrets.x}/"}]}, "http://my-api/things"),
        ({"servers": [{"url": "file:///etc/passwd"}]}, "http://my-api/things"),
        ({"servers": [{"url": "http://u:p@h/"}]}, "http://my-api/things"),
    ],
)
def test_the_address_is_that_of_the_server(given: dict[str, Any], url: str) -> None:
    assert only(document(**given)).url == url


@pytest.mark.parametrize(
    ("scheme", "credential"),
    [
        (
            {"type": "http", "scheme": "bearer"},
            Shown("my_api_token", ("bearer", "oauth2")),
        ),
        (
            {"type": "http", "scheme": "basic"},
            Shown("my_api_basic", ("basic",)),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "X-Key"},
            Shown("my_api_key", ("api_key",), "header", "X-Key"),
        ),
        (
            {"type": "apiKey", "in": "query", "name": "key"},
            Shown("my_api_key", ("api_key",), "query", "key"),
        ),
        ({"type": "apiKey", "in": "header", "name": "X\r\nEvil: 1"}, None),
        ({"type": "oauth2"}, Shown("my_api_token", ("oauth2", "bearer"))),
        ({"type": "odd"}, None),
    ],
)
def test_what_a_call_has_to_show_is_a_credential(scheme: Any, credential: Any) -> None:
    own = document(security=[{"s": []}], components={"securitySchemes": {"s": scheme}})
    assert only(own).credential == credential


def test_references_inside_the_document_are_followed_and_others_left() -> None:
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}}
    properties = {"a": {"$ref": "http://evil/x"}, "b": {"$ref": "#/components/schemas/T"}}
    schemas = {"T": {"type": "object", "required": ["b"], "properties": properties}}
    paths = {"/things": {"post": {"requestBody": body}}}
    found = only(document(paths=paths, components={"schemas": schemas}))
    assert [(one.name, one.is_required) for one in found.parameters] == [
        ("a", False),
        ("b", True),
    ]
    assert found.parameters[0].schema == {}


def test_each_of_several_keys_is_a_credential_of_its_own() -> None:
    schemes = {
        name: {"type": "apiKey", "in": place, "name": at}
        for name, place, at in (("a", "header", "X-A"), ("b", "query", "b"))
    }
    paths: dict[str, Any] = {
        f"/things/{number}": {"get": {"security": [{name: []}]}}
        for number, name in enumerate("aba")
    }
    text = document(paths=paths, components={"securitySchemes": schemes})
    shown = [one.credential for one in read_openapi(text, "my_api")]
    first = Shown("my_api_key", ("api_key",), "header", "X-A")
    assert shown == [first, Shown("my_api_key_2", ("api_key",), "query", "b"), first]


def test_a_schema_that_leads_back_to_itself_everywhere_is_cut() -> None:
    properties = {f"p{n}": {"$ref": "#/components/schemas/T"} for n in range(60)}
    schemas = {"T": {"type": "object", "properties": properties}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}}
    paths = {"/things": {"post": {"requestBody": body}}}
    found = only(document(paths=paths, components={"schemas": schemas}))
    assert len(orjson.dumps([one.schema for one in found.parameters])) < 200_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"paths: [",
        b"paths: 3",
        b'{"paths": {}}',
        b'{"paths": {"no slash": {"get": {}}}}',
        b'{"paths": {"/x/${secrets.a}": {"get": {}}}}',
        b"paths: !!python/object/apply:os.system ['true']",
        b"[" * 5_000,
    ],
)
def test_what_is_no_openapi_document_is_refused(data: bytes) -> None:
    with pytest.raises(OpenapiUnusable):
        read_openapi(data, "odd")


async def test_no_document_puts_an_expression_into_a_draft() -> None:
    evil = "${secrets.other}"
    operation = {
        "operationId": f"getThing{evil}",
        "summary": f"Get thing {evil}",
        "description": evil,
        "parameters": [
            {"name": evil, "in": "query", "required": True, "schema": {"type": "string"}},
            {
                "name": "kind",
                "in": "query",
                "required": True,
                "description": evil,
                "schema": {"type": "string", "description": evil, "enum": [evil, "thing"]},
            },
        ],
    }
    found = read_openapi(document(paths={"/things": {"get": operation}}), "x")
    _, ended = await drafted("get the thing", known=Knowledge(found))
    assert isinstance(ended, Made), ended
    assert "${secrets" not in ended.text.replace("$${secrets", "")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "get post parameters requestBody content application/json schema $ref type "
                "properties items required allOf oneOf enum responses 200 servers url name "
                "security tags operationId summary variables default".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150)
@given(_JSON, _JSON)
def test_any_document_is_read_or_refused(item: Any, components: Any) -> None:
    data = {"paths": {"/a/{b}": item, "/c": {"get": item}}, "components": components}
    for text in (orjson.dumps(data), yaml.safe_dump(data).encode()):
        try:
            found = read_openapi(text, "any")
        except OpenapiUnusable:
            continue
        Knowledge(found).find("get the c")
