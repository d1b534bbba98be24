"""The one OpenAPI document: endpoints and control plane, whole and valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from plait.gateway.control import reference
from plait.gateway.control.operations import OPERATIONS, VERBS
from plait.gateway.deployment import Deployment
from plait.model.caller import ROLES
from plait.operations.verbs import VERBS as VERBS_THAT_ARE
from tests.unit.gateway.control_scenes import control
from tests.unit.gateway.scenes import PROFILE, plan_of


async def document(*texts: str) -> Any:
    scene = control()
    named = [(f"{number}.yaml", text) for number, text in enumerate(texts)]
    scene.gateway.deploy([Deployment(name, plan_of(text, name)) for name, text in named])
    return (await scene.ask("/openapi.json")).json


def operations(told: Any) -> dict[str, Any]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    }


async def test_it_is_valid_and_has_endpoints_and_control_plane() -> None:
    told = await document(PROFILE)
    OpenAPIV31SpecValidator(told).validate()
    found = operations(told)
    assert found["profile"][:2] == ("GET", "/profiles/{user_id}")
    for operation in OPERATIONS:
        method, path, described = found[operation.name]
        assert (method, path) == (operation.method, operation.template)
        assert described["x-plait-role"] == operation.role
        assert described["x-plait-role"] in ROLES
        assert described["summary"]
        assert described["security"]
        assert described["tags"] == [operation.tag]


async def test_what_needs_more_than_its_operation_says_so_where_it_stands() -> None:
    _, _, execute = operations(await document())["execute_workflow"]
    assert execute["x-plait-role"] == "operator"
    assert "editor" in execute["description"]
    schema = execute["requestBody"]["content"]["application/json"]["schema"]
    whole = (await document())["components"]["schemas"]
    body = whole[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert body["properties"]["definition"]["x-plait-role"] == "editor"
    assert "editor" in body["properties"]["definition"]["description"]


async def test_every_error_has_the_one_shape() -> None:
    told = await document()
    schema = {"$ref": "#/components/schemas/Error"}
    for name, response in told["components"]["responses"].items():
        assert response["content"]["application/json"]["schema"] == schema, name
    for name, (_, _, described) in operations(told).items():
        errors = {int(code) for code in described["responses"] if int(code) >= 400}
        assert name.startswith(("health", "metrics")) or {400, 500} <= errors, name
    assert "HTTPValidationError" not in told["components"]["schemas"]


async def test_a_workflow_may_be_named_as_an_operation_is() -> None:
    found = operations(await document(PROFILE.replace("name: profile", "name: chat")))
    assert found["chat"][1] == "/api/v1/chat/stream"
    assert found["chat-2"][1] == "/profiles/{user_id}"


async def test_a_document_cannot_take_a_route_of_the_control_plane() -> None:
    taken = PROFILE.replace("/profiles/{user_id}", "/api/v1/executions/{user_id}")
    scene = control()
    (finding,) = scene.gateway.deploy([Deployment("a.yaml", plan_of(taken))])
    assert "G003" in finding.render()
    free = PROFILE.replace("/profiles/{user_id}", "/api/v1/orders/{user_id}")
    assert scene.gateway.deploy([Deployment("a.yaml", plan_of(free))]) == []


async def test_the_page_shows_endpoints_before_the_rest() -> None:
    scene = control()
    scene.gateway.deploy([Deployment("a.yaml", plan_of(PROFILE))])
    page = (await scene.ask("/docs")).reply.body.decode()
    assert page.index('id="profile"') < page.index('id="create_session"')


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "api.md"
    assert page.read_text("utf-8") == reference.page()


def test_every_verb_has_an_operation() -> None:
    assert set(VERBS) == set(VERBS_THAT_ARE)


async def test_health_and_metrics_are_there_under_the_prefix_too() -> None:
    scene = control()
    assert (await scene.ask("/api/v1/health")).json["status"] == "starting"
    assert (await scene.ask("/api/v1/health/ready")).status == 503
    scene.gateway.begin()
    assert (await scene.ask("/api/v1/health/ready")).status == 200
    assert b"plait_" in (await scene.ask("/api/v1/metrics")).reply.body
