"""deploy/compose.services.yaml: four processes instead of one, on private servers."""

from __future__ import annotations

import http.client
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from plait.assembly.settings import Settings
from tests.conformance.journal.servers import free_port, postgres, redis
from tests.deploy.image import DEPLOY, Image
from tests.deploy.running import WAIT_S, Server, in_image, started
from tests.deploy.test_compose import PASSWORD, given, options_of, prepare
from tests.deploy.test_compose import SERVICES as BELOW
from tests.deploy.yaml_files import documents

(COMPOSE,) = documents(DEPLOY / "compose.services.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
OWN = ("engine", "runtime", "agent")
TOKEN = "metrics-token"
HELLO = """
name: hello
mode: express
endpoint: {method: GET, path: /hello}
steps: [{id: said, type: set, value: hi}]
output: {said: "${said.response}"}
"""


def test_each_role_has_a_process_and_the_gateway_is_the_one_of_the_file_below() -> None:
    roles = {name: one["command"][-1] for name, one in SERVICES.items()}
    assert roles == {"plait": "--role=gateway", **{one: f"--role={one}" for one in OWN}}
    assert "ports" not in str(SERVICES)
    settings = SERVICES["plait"]["environment"]
    for name, text in BELOW["plait"]["environment"].items():
        assert settings[name] == text
    for name in OWN:
        told = SERVICES[name]["environment"]
        assert {**settings, "PLAIT_SERVICES_LISTEN": told["PLAIT_SERVICES_LISTEN"]} == told


def test_services_are_as_confined_as_the_gateway() -> None:
    alike = set(BELOW["plait"]) - {"environment", "env_file", "ports", "depends_on"}
    for name in OWN:
        assert {key: SERVICES[name][key] for key in alike} == {
            key: BELOW["plait"][key] for key in alike
        }
        assert SERVICES[name]["depends_on"] == BELOW["plait"]["depends_on"]
        assert SERVICES[name]["healthcheck"]["test"][-1] == f"--role={name}"


def test_who_opens_credentials_or_takes_them_has_the_keys_of_the_vault() -> None:
    files = {name: one.get("env_file") for name, one in SERVICES.items()}
    own = BELOW["plait"]["env_file"]
    assert files == {"plait": own, "engine": own, "runtime": own, "agent": None}


def test_each_listens_where_the_others_call_it_with_the_secret_that_all_have() -> None:
    settings = SERVICES["plait"]["environment"]
    for name in OWN:
        host, _, port = settings[f"PLAIT_SERVICES_{name.upper()}"].partition(":")
        own = SERVICES[name]["environment"]
        assert (host, own["PLAIT_SERVICES_LISTEN"]) == (name, f"0.0.0.0:{port}")
        default = getattr(Settings().services, name)
        assert default.endswith(f":{port}")
        assert SERVICES["plait"]["depends_on"][name]["condition"] == "service_healthy"
    (secret,) = COMPOSE["secrets"]
    for one in SERVICES.values():
        assert one["secrets"] == [secret]
        path = one["environment"]["PLAIT_SERVICES_TOKEN_FILE"]
        assert path == f"/run/secrets/{secret}"
    assert COMPOSE["secrets"][secret] == {"environment": "SERVICES_TOKEN"}


def scraped(port: int, token: str | None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("GET", "/metrics", headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


@pytest.mark.slow
# It may be the one for which the image is made, and starts seven processes.
@pytest.mark.timeout(300)
async def test_the_four_work_together_and_each_shows_its_metrics(
    image: Image, tmp_path: Path
) -> None:
    token = image.root / "data" / "services.token"
    token.write_text("of-the-services\n")
    token.chmod(0o644)
    ports = {name: free_port() for name in OWN}
    doors = {name: free_port() for name in OWN}
    with ExitStack() as stack:
        database = stack.enter_context(postgres(**options_of(BELOW["postgres"]["command"])))
        cache = stack.enter_context(redis(**options_of(BELOW["redis"]["command"])))
        await prepare(database)

        def environment(name: str) -> dict[str, str]:
            """Return what the containers of one machine have, each a port of its own."""
            told = {
                key: given(text, POSTGRES_PASSWORD=PASSWORD, METRICS_TOKEN=TOKEN)
                .replace("@postgres:5432", f"@127.0.0.1:{database.port}")
                .replace("//redis:6379", f"//127.0.0.1:{cache.port}")
                .replace("/run/secrets/services", str(token))
                .replace("0.0.0.0:9464", f"0.0.0.0:{doors.get(name, 0)}")
                for key, text in SERVICES[name]["environment"].items()
            }
            for one, port in ports.items():
                told[f"PLAIT_SERVICES_{one.upper()}"] = f"127.0.0.1:{port}"
            if name in ports:
                told["PLAIT_SERVICES_LISTEN"] = f"0.0.0.0:{ports[name]}"
            return told

        servers: dict[str, Server] = {}
        for name in (*OWN, "plait"):
            command, env = SERVICES[name]["command"], environment(name)
            servers[name] = stack.enter_context(started(image, *command, env=env))
            if name in OWN:
                asked = SERVICES[name]["healthcheck"]["test"][1:]
                healthy = in_image(image, *asked, **env)
                assert healthy.returncode == 0, healthy.stderr
        gateway = servers["plait"]
        shown = re.search(r"plait_\w+", "\n".join(gateway.lines))
        assert shown is not None, "no admin key was shown"
        folder = image.root / "data" / "split"
        folder.mkdir()
        (folder / "hello.yaml").write_text(HELLO)
        deployed = in_image(image, "plait", "deploy", "split", **gateway.env)
        assert deployed.returncode == 0, deployed.stderr
        await gateway.until_there("/hello", key=shown[0])
        assert gateway.status("/hello", key=shown[0]) == 200
        for port in doors.values():
            assert scraped(port, None)[0] == 401
            assert scraped(port, TOKEN)[0] == 200
        ran = 'plait_executions_ended_total{mode="express",status="completed"'
        assert ran in scraped(doors["engine"], TOKEN)[1]
        for server in servers.values():
            assert server.stopped() == 0
