"""Credentials of a real store: from the command line into a call, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import serving
from tests.unit.gateway.wires import WAIT_S

SECRET = "s3cr3t-0f-th3-sh0p"
KEY = b64encode(b"k" * 32).decode()
ENV = {"PLAIT_VAULT_KEY": KEY}


def document(url: str, mode: str = "express", credential: str = "shop") -> str:
    return (
        f"name: buy\nmode: {mode}\nendpoint: {{path: /buy}}\nsteps:\n"
        f"  - {{id: got, type: http, credential: {credential}, request: {{url: {url}}}}}\n"
        "output: ${got.response}\n"
    )


async def added(folder: Path, host: str, *more: str, secret: str = SECRET) -> None:
    done = await plait(
        *("credentials", "add", "shop", "--type=bearer", f"--host={host}", *more),
        cwd=folder,
        env=ENV,
        stdin=f"{secret}\n".encode(),
    )
    assert done.code == 0, done.err


def settings_of(folder: Path) -> dict[str, str]:
    return {**ENV, "PLAIT_STORE_URL": str(folder / ".plait" / "plait.db")}


def files_with(folder: Path, text: str) -> list[str]:
    """Return the files in which a text stands, as it is or in base64."""
    forms = (text.encode(), b64encode(text.encode())[:-4])
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [one.name for one in found if any(form in one.read_bytes() for form in forms)]


@pytest.mark.parametrize("mode", ["express", "durable"])
async def test_a_call_shows_it_and_no_file_log_or_reply_has_it(
    tmp_path: Path, mode: str
) -> None:
    async with Upstream(reply(json={"seen": f"Bearer {SECRET}"})) as upstream:
        await added(tmp_path, upstream.url(""))
        (tmp_path / "buy.yaml").write_text(document(upstream.url(), mode))
        deployed = await plait("deploy", "buy.yaml", cwd=tmp_path, env=ENV)
        assert deployed.code == 0, deployed.err
        async with serving(settings=settings_of(tmp_path)) as gateway:
            answer = await gateway.ask("/buy", Prefer="wait=10")
            assert json.loads(answer.body) == {"seen": "Bearer ***"}
            said = "\n".join(gateway.lines)
        assert upstream.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in said
    assert files_with(tmp_path, SECRET) == []
    for asked in ("list", "show shop"):
        shown = await plait("credentials", *asked.split(), "--json", cwd=tmp_path, env=ENV)
        assert shown.code == 0
        assert SECRET not in shown.out + shown.err


async def test_a_document_that_names_what_it_may_not_have_is_refused_with_its_place(
    tmp_path: Path,
) -> None:
    await added(tmp_path, "http://orders", "--workflow=other")
    (tmp_path / "buy.yaml").write_text(document("http://orders/x"))
    done = await plait("deploy", "buy.yaml", cwd=tmp_path, env=ENV)
    assert done.code == 2
    assert "buy.yaml:5:39: S002" in done.err
    (tmp_path / "buy.yaml").write_text(document("http://orders/x", credential="shoq"))
    done = await plait("deploy", "buy.yaml", cwd=tmp_path, env=ENV)
    assert done.code == 2
    assert "buy.yaml:5:39: S001 there is no credential 'shoq'" in done.err
    assert (await plait("validate", "buy.yaml", cwd=tmp_path)).code == 0


async def test_a_gateway_without_the_key_of_the_stores_credentials_does_not_start(
    tmp_path: Path,
) -> None:
    await added(tmp_path, "http://orders")
    (tmp_path / "hi.yaml").write_text(
        "name: hi\nmode: express\nendpoint: {path: /hi}\n"
        "steps: [{id: a, type: set, value: 1}]\n"
    )
    for env in ({}, {"PLAIT_VAULT_KEY_OTHER": KEY}):
        done = await plait("serve", "hi.yaml", "--port=0", cwd=tmp_path, env=env)
        assert done.code != 0
        assert "vault.key_missing" in done.err or "[vault.keys]" in done.err
    async with serving(tmp_path / "hi.yaml", settings=settings_of(tmp_path)) as gateway:
        assert (await gateway.ask("/hi")).status == 200


async def test_keys_are_rotated_by_command(tmp_path: Path) -> None:
    await added(tmp_path, "http://orders")
    other = b64encode(b"n" * 32).decode()
    both = {**ENV, "PLAIT_VAULT_KEY_NEW": other}
    done = await plait("credentials", "rotate", cwd=tmp_path, env=both)
    assert done.code == 2
    assert "vault.newest" in done.err
    both["PLAIT_VAULT_NEWEST"] = "new"
    done = await plait("credentials", "rotate", "--json", cwd=tmp_path, env=both)
    assert json.loads(done.out) == {"key": "new", "changed": 1, "unchanged": 0}
    done = await plait("credentials", "show", "shop", cwd=tmp_path)
    assert "key        new" in done.out


async def test_a_secret_is_no_argument_and_comes_from_files_and_variables(
    tmp_path: Path,
) -> None:
    add = ("credentials", "add", "crm", "--type=basic", "--host=crm.example")
    done = await plait(*add, "--set=password=x", cwd=tmp_path, env=ENV)
    assert done.code == 2
    assert "a secret is no argument" in done.err
    (tmp_path / "password").write_text(f"{SECRET}\n")
    file = ("--set=username=ann", "--file=password=password")
    assert (await plait(*add, *file, cwd=tmp_path, env=ENV)).code == 0
    variable = ("--set=username=ann", "--from-env=password=CRM", "--replace")
    done = await plait(*add, *variable, cwd=tmp_path, env={**ENV, "CRM": SECRET})
    assert done.code == 0, done.err
    assert (await plait("credentials", "remove", "crm", cwd=tmp_path)).code == 0
    assert (await plait("credentials", "show", "crm", cwd=tmp_path)).code == 2
    done = await plait("credentials", "key", cwd=tmp_path)
    assert len(done.out) == 45


@pytest.mark.slow
async def test_in_processes_of_their_own_the_engine_shows_what_the_gateway_was_given(
    tmp_path: Path,
) -> None:
    own = settings_of(tmp_path)
    (tmp_path / ".plait").mkdir()
    # What comes over the API is trusted with no private host.
    own["PLAIT_EGRESS_ALLOW_PRIVATE"] = "true"
    listens = {**own, "PLAIT_SERVICES_LISTEN": "127.0.0.1:0"}
    async with (
        Upstream(reply(json={"seen": SECRET})) as upstream,
        serving(settings=listens, arguments=["--role=engine"]) as engine,
        serving(settings=listens, arguments=["--role=runtime"]) as runtime,
    ):
        for process, name in ((engine, "ENGINE"), (runtime, "RUNTIME")):
            said = next(line for line in process.lines if "listening on" in line)
            own[f"PLAIT_SERVICES_{name}"] = said.rpartition(" ")[2]
        async with serving(settings=own, arguments=["--role=gateway"]) as gateway:
            kept: dict[str, Any] = {"name": "shop", "type": "bearer"}
            kept |= {"hosts": [upstream.url("")], "fields": {"token": SECRET}}
            (key,) = [
                line.strip() for line in gateway.lines if line.strip().startswith("plait_")
            ]
            added_ = await gateway.ask(
                "/api/v1/credentials", "POST", body=kept, X_API_Key=key
            )
            assert added_.status == 201, added_.body
            wanted = {"name": "buy", "workflow_definition": document(upstream.url())}
            deployed = await gateway.ask(
                "/api/v1/workflow/deployments", "POST", body=wanted
            )
            assert deployed.status == 201, deployed.body
            async with asyncio.timeout(WAIT_S):
                while (await gateway.ask("/buy")).status == 404:
                    pass  # it is served within a second
            audit = (await gateway.ask("/api/v1/audit", X_API_Key=key)).json["entries"]
    assert upstream.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert [(one["action"], one["who"]) for one in audit] == [
        ("deployment.deploy", "local"),
        ("credential.add", f"key:{key.split('_')[1]}"),
        ("key.create", "system"),
    ]
    assert files_with(tmp_path, SECRET) == []
