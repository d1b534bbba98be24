"""The OpenAPI document: valid, complete, and in step with what is served."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from plait.gateway.openapi import build_openapi
from plait.gateway.output_schema import output_schema
from tests.unit.gateway.scenes import ECHO, PROFILE, plan_of, scene

ORDER = """
name: order
version: "2"
description: Places an order.
mode: express
endpoint:
  method: PUT
  path: /users/{user_id}/orders
  status: {shop.closed: 409, "${placed.status_code == 202}": 202, connect: 410}
input:
  $schema: https://json-schema.org/draft/2020-12/schema
  type: object
  required: [user_id, items]
  properties:
    user_id: {$ref: "#/$defs/id"}
    items: {type: array, items: {$ref: "#/$defs/item"}}
    again: {$ref: "#"}
  $defs:
    id: {type: integer, description: Who.}
    item: {type: object, properties: {id: {$ref: "#/$defs/id"}}}
steps:
  - id: placed
    type: http
    request: {method: POST, url: "http://orders/", body: "${input.items}"}
  - id: closed
    type: fail
    condition: ${placed.response.closed}
    code: shop.closed
    message: closed
output: {id: "${placed.response.id}", user: "${input.user_id}", text: "n ${input.user_id}",
         n: 1, ok: true, none: null, list: [1], half: 0.5}
"""


def openapi(*documents: str) -> Any:
    document = build_openapi([plan_of(text) for text in documents])
    OpenAPIV31SpecValidator(document).validate()
    return document


def test_a_reply_is_described_under_the_type_that_it_is_sent_with() -> None:
    typed = ECHO.replace("path: /echo}", "path: /echo, headers: {content-type: text/csv}}")
    made = ECHO.replace(
        "path: /echo}", "path: /echo, headers: {Content-Type: '${input.a}'}}"
    )
    for text, media_type in [(typed, "text/csv"), (made, "application/json")]:
        answer = openapi(text)["paths"]["/echo"]["post"]["responses"]["200"]
        assert [*answer["content"]] == [media_type]


def resolved(document: Any, schema: Any) -> Any:
    while "$ref" in schema:
        found = document
        for key in schema["$ref"][2:].split("/"):
            found = found[key]
        schema = found
    return schema


def test_a_get_endpoint_has_path_and_query_parameters() -> None:
    operation = openapi(PROFILE)["paths"]["/profiles/{user_id}"]["get"]
    assert operation["operationId"] == "profile"
    assert [(p["name"], p["in"], p["required"]) for p in operation["parameters"]] == [
        ("user_id", "path", True),
        ("limit", "query", False),
    ]
    assert "requestBody" not in operation
    assert not {"413", "415"} & operation["responses"].keys()


def test_a_put_endpoint_takes_the_rest_of_the_input_as_body() -> None:
    document = openapi(ORDER)
    operation = document["paths"]["/users/{user_id}/orders"]["put"]
    assert [p["name"] for p in operation["parameters"]] == ["user_id"]
    assert resolved(document, operation["parameters"][0]["schema"])["type"] == "integer"
    body = operation["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert body["required"] is True
    assert schema["required"] == ["items"]
    assert schema["properties"].keys() == {"items", "again"}
    assert "application/x-www-form-urlencoded" in body["content"]
    assert {"413", "415"} <= operation["responses"].keys()


USER_REF = '{$ref: "#/$defs/user"}'


@pytest.mark.parametrize(
    "parts",
    [
        "  $ref: '#/$defs/user'",
        f"  allOf: [{USER_REF}, {{required: [items, user_id]}}]",
        f"  allOf: [{{allOf: [{USER_REF}]}}]",
        f"  oneOf: [{USER_REF}]",
        f"  allOf: [{{if: {{required: [size]}}, then: {USER_REF}, else: {USER_REF}}}]",
        f"  anyOf: [{USER_REF}, {{$ref: '#'}}]",
    ],
)
def test_what_the_path_gives_the_body_need_not_wherever_that_is_said(parts: str) -> None:
    defs = """  $defs:
    user: {required: [user_id, items], properties: {user_id: {$ref: "#/$defs/id"}}}"""
    text = ORDER.replace("  required: [user_id, items]", parts).replace("  $defs:", defs)
    document = openapi(text)
    operation = document["paths"]["/users/{user_id}/orders"]["put"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    schema = {**schema, "components": document["components"]}
    check = jsonschema_rs.Draft202012Validator(schema)
    assert check.is_valid({"items": [{"id": 1}]})
    assert not check.is_valid({"items": "x"})
    assert document["components"]["schemas"]["order.input"]["$defs"]["user"]["required"]


def test_references_lead_to_where_the_schema_now_stands() -> None:
    document = openapi(ORDER)
    operation = document["paths"]["/users/{user_id}/orders"]["put"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    item = resolved(document, schema["properties"]["items"]["items"])
    assert resolved(document, item["properties"]["id"])["description"] == "Who."
    assert resolved(document, schema["properties"]["again"])["required"]


def test_parameters_that_only_branches_name_are_listed() -> None:
    branches = """
  oneOf:
    - {properties: {kind: {const: a}, size: {type: integer}}, required: [kind]}
    - {properties: {kind: {const: b}, colour: {type: string}}, required: [kind]}
"""
    text = PROFILE.replace("  type: object\n", f"  type: object{branches}")
    operation = openapi(text)["paths"]["/profiles/{user_id}"]["get"]
    found = {p["name"]: p["schema"] for p in operation["parameters"]}
    assert found.keys() == {"user_id", "limit", "kind", "size", "colour"}
    assert found["kind"] == {"anyOf": [{"const": "a"}, {"const": "b"}]}


def test_a_schema_that_has_an_id_keeps_its_references_here() -> None:
    text = ORDER.replace("  $schema: https", "  $id: urn:plait:order\n  $schema: https")
    document = openapi(text.replace('"#/$defs/item"', '"urn:plait:order#/$defs/item"'))
    operation = document["paths"]["/users/{user_id}/orders"]["put"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    item = resolved(document, schema["properties"]["items"]["items"])
    assert resolved(document, item["properties"]["id"])["description"] == "Who."
    assert "urn:plait:order" not in str(document)


ANCHORED = """
name: {name}
mode: express
endpoint: {{path: "/{name}/{{id}}"}}
input:
  properties:
    id: {{$ref: "#id"}}
    $schema: {{$ref: "#id"}}
    default: {{$dynamicRef: "#id"}}
  $defs: {{x: {{$anchor: id, type: integer, examples: [{{$ref: "#id"}}]}}}}
steps: [{{id: a, type: set, value: 1}}]
"""


def test_anchors_lead_to_where_they_now_stand_and_are_not_there_twice() -> None:
    document = openapi(ANCHORED.format(name="a"), ANCHORED.format(name="b"))
    for name in ("a", "b"):
        parameters = document["paths"][f"/{name}/{{id}}"]["get"]["parameters"]
        assert [one["name"] for one in parameters] == ["id", "$schema", "default"]
        place = f"#/components/schemas/{name}.input/$defs/x"
        assert [one["schema"] for one in parameters] == 3 * [{"$ref": place}]
        found = resolved(document, {"$ref": place})
        assert found == {"type": "integer", "examples": [{"$ref": "#id"}]}


def test_every_status_that_the_document_can_answer_with_is_there() -> None:
    responses = openapi(ORDER)["paths"]["/users/{user_id}/orders"]["put"]["responses"]
    expected = {"200", "202", "400", "409", "410", "413", "415", "422", "431", "500"}
    assert responses.keys() == expected | {"502", "503", "504"}
    assert "application/json" in responses["202"]["content"]
    assert responses["409"]["description"] == "Conflict (shop.closed)"


def test_every_success_tells_of_the_headers() -> None:
    document = openapi(PROFILE)
    response = document["paths"]["/profiles/{user_id}"]["get"]["responses"]["200"]
    assert response["headers"].keys() == {
        "Plait-Completed",
        "Plait-Execution-Id",
        "Server-Timing",
        "X-Request-Id",
    }


def test_names_and_paths_may_come_twice() -> None:
    document = openapi(ECHO, ECHO.replace("/echo", "/other"), ECHO.replace("POST", "PUT"))
    ids = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert sorted(ids) == ["echo", "echo-2", "echo-3"]
    assert document["paths"]["/echo"].keys() == {"post", "put"}


def test_nothing_served_is_a_valid_document_too() -> None:
    assert openapi()["paths"] == {}


def test_the_output_is_known_as_far_as_the_template_tells() -> None:
    schema: Any = output_schema(plan_of(ORDER))
    assert schema["required"] == list(schema["properties"])
    assert schema["properties"] == {
        "id": {},
        "user": {"$ref": "#/$defs/id"},
        "text": {"type": "string"},
        "n": {"type": "integer"},
        "ok": {"type": "boolean"},
        "none": {"type": "null"},
        "list": {"type": "array"},
        "half": {"type": "number"},
    }


@pytest.mark.parametrize(
    "schema", ["true", "false", "{}", "{type: array}", "{anyOf: [{}]}"]
)
def test_any_input_schema_makes_a_valid_document(schema: str) -> None:
    text = ECHO.replace("mode:", f"input: {schema}\nmode:")
    assert openapi(text)["paths"]["/echo"]["post"]["requestBody"]


def test_a_default_output_names_the_steps_and_a_return_says_nothing() -> None:
    default = ECHO.replace("output: ${said.response}", "")
    assert output_schema(plan_of(default)) == {
        "type": "object",
        "properties": {"said": {}},
    }
    returning = ECHO.replace(
        "steps: [", "steps: [{id: out, type: return, condition: '${false}', value: 1}, "
    )
    assert output_schema(plan_of(returning)) == {}


async def test_the_gateway_serves_what_it_serves_now() -> None:
    here = scene(PROFILE)
    assert list((await here.ask("/openapi.json")).json["paths"]) == ["/profiles/{user_id}"]
    here.gateway.deploy([])
    assert (await here.ask("/openapi.json")).json["paths"] == {}


async def test_the_page_shows_every_endpoint_and_nothing_from_elsewhere() -> None:
    evil = PROFILE.replace("name: profile", 'name: evil\ndescription: "<script>x</script>"')
    seen = await scene(evil, ORDER).ask("/docs")
    page = seen.reply.body.decode()
    assert "<script>x" not in page
    assert page.count("<section") == 2
    assert 'data-path="/users/{user_id}/orders"' in page
    assert not {"http://", "https://", "//cdn"} & set(page.split('"'))
    assert "src=" not in page
    policy = seen.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
