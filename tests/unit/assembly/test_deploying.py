"""What may be deployed: documents that the gateway can serve, at paths that are free."""

from __future__ import annotations

import pytest

from plait.assembly.deploying import compiler
from plait.assembly.settings import Settings
from plait.compile import CompileErrors

DOCUMENT = """\
name: w
mode: express
endpoint: {{path: "{path}"}}
steps: [{{id: a, type: set, value: 1}}]
"""


@pytest.mark.parametrize(
    "path",
    [
        "/~acme/login",
        "/%7Eacme/login",
        "/%7eacme",
        "/api/v1/x",
        "/%61pi/v1/x",
        "/api%2Fv1/x",
        "/web%68ooks/x",
        "/%68ealth",
        "/openapi%2Ejson",
    ],
)
async def test_no_deployment_takes_the_gateways_paths_or_another_tenants(path: str) -> None:
    with pytest.raises(CompileErrors) as caught:
        await compiler(Settings())("w", DOCUMENT.format(path=path))
    assert [one.code for one in caught.value.diagnostics] == ["G003"]


@pytest.mark.parametrize("path", ["/%zz", "/a%", "/%FF"])
async def test_a_path_that_no_request_can_have_is_no_path(path: str) -> None:
    with pytest.raises(CompileErrors) as caught:
        await compiler(Settings())("w", DOCUMENT.format(path=path))
    assert [one.code[0] for one in caught.value.diagnostics] == ["D"]


@pytest.mark.parametrize("path", ["/apis/v1", "/a/~acme", "/caf%C3%A9", "/{who}/status"])
async def test_what_only_looks_like_one_is_deployed(path: str) -> None:
    made = await compiler(Settings())("w", DOCUMENT.format(path=path))
    assert made.plan.endpoint is not None
