"""deploy/compose.yaml: its rules, and its services as processes on private servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from plait.model.duration import parse_duration_ms
from tests.conformance.journal.servers import (
    PrivateServer,
    postgres,
    postgres_address,
    redis,
)
from tests.deploy.image import DEPLOY, DOCKERFILE, Image
from tests.deploy.running import in_image, started
from tests.deploy.yaml_files import documents, faults, yaml_files
from tests.tidy.tree import ROOT

COMPOSE = DEPLOY / "compose.yaml"
SERVICES: dict[str, Any] = documents(COMPOSE)[0]["services"]
PASSWORD = "s3cretWord"
VAULT_FILE = "vault.env"
HELLO = """
name: hello
mode: durable
endpoint: {method: GET, path: /hello, wait: 10s}
steps: [{id: said, type: set, value: hi}]
output: {said: "${said.response}"}
"""


def given(text: str, **variables: str) -> str:
    """Return a text with its variables in place, as compose puts them."""

    def value(found: re.Match[str]) -> str:
        name, rest = found[1], found[2] or ""
        if name in variables:
            return variables[name]
        assert rest.startswith(":-"), f"{name} has no default: {rest}"
        return rest[2:]

    return re.sub(r"\$\{(\w+)(:[^}]*)?\}", value, text)


def options_of(command: list[str]) -> dict[str, str]:
    """Return the options of a server's command line: `--save ""`, `-c fsync=on`."""
    found: dict[str, str] = {}
    words = iter(command[1:])
    for word in words:
        if word == "-c":
            name, _, text = next(words).partition("=")
            found[name] = text
        else:
            found[word.removeprefix("--")] = next(words)
    return found


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: path.name)
def test_the_yaml_of_deploy_says_nothing_twice(path: Path) -> None:
    assert list(faults(path.read_text())) == []


def test_faults_in_yaml_are_found() -> None:
    found = list(faults("a: 1\na: 2\nb:\n   c: on\n"))
    assert len(found) == 4, found


def test_it_builds_the_dockerfile_that_is_there() -> None:
    build = SERVICES["plait"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == ROOT
    assert context / build["dockerfile"] == DOCKERFILE


def test_only_the_gateway_is_reached_and_only_from_its_own_machine() -> None:
    reached = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert [*reached] == ["plait"]
    assert given(reached["plait"][0]) == "127.0.0.1:8080:8080"


def test_what_it_takes_from_the_host_is_no_setting_of_the_host_s_own_commands() -> None:
    # `export PLAIT_PORT=9000` for compose made every `plait` of that shell exit 2.
    taken = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert taken == {"POSTGRES_PASSWORD", "GATEWAY_PORT"}


def test_the_grace_period_is_longer_than_the_drain() -> None:
    plait = SERVICES["plait"]
    drain_ms = parse_duration_ms(plait["environment"]["PLAIT_GATEWAY_DRAIN_TIMEOUT"])
    grace_ms = parse_duration_ms(plait["stop_grace_period"])
    # What the gateway may take to close after it has drained.
    assert drain_ms + 5_000 <= grace_ms


def test_what_is_waited_for_says_when_it_is_healthy() -> None:
    for name, wish in SERVICES["plait"]["depends_on"].items():
        assert wish == {"condition": "service_healthy"}
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_no_password_stands_in_the_file() -> None:
    for one in SERVICES.values():
        for name, text in one.get("environment", {}).items():
            if "PASSWORD" in name or "@" in text:
                assert "${POSTGRES_PASSWORD:?" in text
    with pytest.raises(AssertionError, match="POSTGRES_PASSWORD has no default"):
        given(SERVICES["plait"]["environment"]["PLAIT_STORE_URL"])


def test_the_keys_of_the_vault_come_from_a_file_that_nobody_commits() -> None:
    assert SERVICES["plait"]["env_file"] == [{"path": VAULT_FILE, "required": False}]
    assert VAULT_FILE in (ROOT / ".gitignore").read_text().split("\n")
    assert not (DEPLOY / VAULT_FILE).exists()
    # And the image is made without it.
    assert (ROOT / ".dockerignore").read_text().split("\n")[1] == "*"


def vault_env(image: Image) -> dict[str, str]:
    """Return what the file of the vault has, as docs/guides/deploying.md makes it."""
    made = in_image(image, "plait", "credentials", "key")
    assert made.returncode == 0, made.stderr
    return {"PLAIT_VAULT_KEY": made.stdout.strip()}


@pytest.fixture
def servers() -> Iterator[tuple[PrivateServer, PrivateServer]]:
    """PostgreSQL and Redis, with the options of their services."""
    with (
        postgres(**options_of(SERVICES["postgres"]["command"])) as database,
        redis(**options_of(SERVICES["redis"]["command"])) as cache,
    ):
        yield database, cache


async def prepare(server: PrivateServer) -> None:
    """Make the user and the database that the image of PostgreSQL makes."""
    own = SERVICES["postgres"]["environment"]
    connection = await asyncpg.connect(postgres_address(server))
    user, name = own["POSTGRES_USER"], own["POSTGRES_DB"]
    await connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    await connection.execute(f"CREATE DATABASE {name} OWNER {user}")
    await connection.close()


@pytest.mark.slow
async def test_the_services_work_together(
    image: Image, servers: tuple[PrivateServer, PrivateServer], tmp_path: Path
) -> None:
    database, cache = servers
    await prepare(database)
    plait = SERVICES["plait"]
    env = {
        name: given(text, POSTGRES_PASSWORD=PASSWORD)
        .replace("@postgres:5432", f"@127.0.0.1:{database.port}")
        .replace("//redis:6379", f"//127.0.0.1:{cache.port}")
        for name, text in plait["environment"].items()
    }
    folder = image.root / "data" / "workflows"
    folder.mkdir()
    (folder / "hello.yaml").write_text(HELLO)
    arguments = plait.get("command", [])
    with started(image, *arguments, env=env) as server:
        shown = re.search(r"plait_\w+", "\n".join(server.lines))
        assert shown is not None, "no admin key was shown"
        deployed = in_image(image, "plait", "deploy", "workflows", **server.env)
        assert deployed.returncode == 0, deployed.stderr
        await server.until_there("/hello", key=shown[0])
        assert server.stopped() == 0
    with_vault = env | vault_env(image)
    wish = ["credentials", "add", "shop", "--type=bearer", "--host=api.shop.example"]
    wish += ["--from-env", "token=SHOP_TOKEN"]
    kept = in_image(image, "plait", *wish, **with_vault, SHOP_TOKEN="abc")
    assert kept.returncode == 0, kept.stderr
    with (
        pytest.raises(AssertionError, match="PLAIT_VAULT_KEY"),
        started(image, *arguments, env=env) as server,
    ):
        raise RuntimeError("it has started without the key")
    with started(image, *arguments, env=with_vault) as server:
        assert "plait_" not in "\n".join(server.lines), "the key is shown once"
        assert server.status("/hello", key=shown[0]) == 200
