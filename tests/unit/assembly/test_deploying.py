"""What may be deployed: documents that the gateway can serve, at paths that are free."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.assembly.deploying import compiler, deploying
from plait.assembly.settings import Settings
from plait.compile import CompileErrors
from plait.model.caller import LOCAL
from plait.operations.deploying import UnknownDeployment
from plait.ports.platform import Wanted

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


async def test_who_only_looks_makes_no_store(tmp_path: Path) -> None:
    place = tmp_path / "plait.db"
    own = deploying(Settings.model_validate({"store": {"url": str(place)}}))
    wanted = Wanted("w", DOCUMENT.format(path="/w"))
    assert (await own.deployments.validate(LOCAL, wanted))["valid"] is True
    assert (await own.deployments.list(LOCAL))["deployments"] == []
    with pytest.raises(UnknownDeployment):
        await own.deployments.get(LOCAL, "w")
    assert await own.records.count("deployment", "default") == 0
    assert not place.exists()
    await own.deployments.deploy(LOCAL, wanted)
    assert place.exists()
    assert (await own.deployments.get(LOCAL, "w"))["status"] == "active"
    await own.follower.close()
