"""`plait health`: asked as container engines do, of real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.cli import plait
from tests.acceptance.gateways import serving
from tests.conformance.journal.servers import free_port

HELLO = """
name: hello
endpoint: {method: GET, path: /hello}
steps: [{id: said, type: set, value: hi}]
output: {said: "${said.response}"}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A workflow."""
    path = tmp_path / "hello.yaml"
    path.write_text(HELLO)
    return path


@pytest.mark.slow
async def test_a_gateway_that_serves_is_healthy_and_one_that_is_gone_is_not(
    document: Path,
) -> None:
    async with serving(document) as gateway:
        host, port = gateway.address
        url = f"http://{host}:{port}"
        assert (await plait("health", url)).code == 0
        assert (await plait("health", env={"PLAIT_GATEWAY_PORT": str(port)})).code == 0
        gateway.stop()
        await gateway.ended()
        done = await plait("health", url)
    assert (done.code, "does not answer" in done.err) == (1, True)


@pytest.mark.slow
async def test_a_gateway_that_cannot_keep_executions_is_not_ready(document: Path) -> None:
    document.write_text(HELLO.replace("endpoint:", "mode: durable\nendpoint:"))
    gone = f"redis://127.0.0.1:{free_port()}/0"
    async with serving(document, settings={"PLAIT_STORE_URL": gone}) as gateway:
        done = await plait("health", f"http://127.0.0.1:{gateway.address[1]}")
    assert (done.code, "503" in done.err) == (1, True), done.err


@pytest.mark.slow
async def test_a_service_is_asked_over_grpc(document: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    env = {"PLAIT_SERVICES_LISTEN": listen}
    async with serving(document, settings=env, arguments=["--role=engine"]) as engine:
        await engine.until_said("engine listening")
        assert (await plait("health", "--role", "engine", env=env)).code == 0
    done = await plait("health", "--role", "engine", env=env)
    assert (done.code, "UNAVAILABLE" in done.err) == (1, True)


@pytest.mark.parametrize(
    "arguments", [["ftp://x"], ["http://h:port"], ["http://h/path"], ["--role", "cook"]]
)
async def test_a_question_that_is_none_ends_with_2(arguments: list[str]) -> None:
    assert (await plait("health", *arguments)).code == 2
