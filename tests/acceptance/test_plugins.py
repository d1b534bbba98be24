"""Plug-ins as a user has them: packages that pip installed, beside Plait.

The packages of examples/plugins are built and installed into a folder of their own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.acceptance.cli import ROOT, Done, plait
from tests.acceptance.gateways import serving

EXAMPLES = ROOT / "examples/plugins"
PACKAGES = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
PRICE = """
name: price
mode: express
endpoint: {method: GET, path: "/price/{sku}"}
steps:
- id: asked
  type: line
  effect: read
  request: {host: prices, port: 7000, text: "PRICE ${input.sku}", decode: json}
output: {price: "${asked.response}"}
"""


CACHED = """
name: cached
mode: express
endpoint: {method: GET, path: "/cached/{sku}"}
steps:
- id: asked
  type: line
  effect: read
  cache: {ttl: 1h}
  request: {host: prices, port: 7000, text: "PRICE ${input.sku}", decode: json}
output: {price: "${asked.response}"}
"""
MINE = """
name: mine
mode: express
endpoint: {method: GET, path: /mine, auth: required}
steps: [{id: said, type: set, value: hi}]
output: {said: "${said.response}"}
"""
SETTINGS = """
[gateway]
middleware = ["maintenance"]
[middleware.maintenance]
file = "FOLDER/maintenance"
[security]
required = true
strategies = ["proxied"]
[authentication.proxied]
proxies = ["127.0.0.1/32"]
role = "operator"
[resilience]
cache = "files"
[caches.files]
folder = "FOLDER/kept"
"""


def install(*packages: Path, into: Path) -> None:
    """Install packages as pip does, with all that they say of themselves."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(into)]
    subprocess.run([*pip, *how, *map(str, packages)], check=True, stdout=subprocess.PIPE)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the examples are installed."""
    folder = tmp_path_factory.mktemp("plugins")
    # Copies: building writes beside the source.
    sources = folder / "sources"
    shutil.copytree(EXAMPLES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    install(*(sources / name for name in PACKAGES), into=folder / "packages")
    return folder / "packages"


def beside(folder: Path) -> dict[str, str]:
    """Return the variables that let Plait see what is installed in a folder."""
    return {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(folder)])}


def brought(folder: Path, name: str, text: str, group: str = "plait.connectors") -> Path:
    """Write a package as pip leaves it: one module, and what it says of itself.

    Args:
        text: The module's text; it brings `THING` under the package's name.
    """
    (folder / f"acme_{name}.py").write_text(text)
    info = folder / f"acme_{name}-1.2.dist-info"
    info.mkdir(parents=True)
    meta = f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.2\n"
    (info / "METADATA").write_text(meta)
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = acme_{name}:THING\n")
    return folder


@asynccontextmanager
async def prices() -> AsyncIterator[int]:
    """A server of prices, line by line; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readline()).decode().split()
        writer.write(b'{"sku":"%s","cents":250}\n' % asked[1].encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def listed(command: str, folder: Path) -> tuple[Done, list[dict[str, Any]]]:
    done = await plait("plugins", command, "--json", env=beside(folder))
    return done, orjson.loads(done.out)["plugins"]


@pytest.mark.slow
async def test_a_step_type_that_a_package_brings_is_validated_and_served(
    installed: Path, tmp_path: Path
) -> None:
    document = tmp_path / "price.yaml"
    document.write_text(PRICE)
    without = await plait("validate", document)
    assert (without.code, "D104 unknown step type 'line'" in without.out) == (2, True)
    assert "others come with packages" in without.out
    fine = await plait("validate", document, env=beside(installed))
    assert fine.code == 0, fine.out
    async with prices() as port:
        # The operator's own words for the host hold for every connector.
        settings = {
            **beside(installed),
            "PLAIT_RESOLVE": orjson.dumps({"prices": f"127.0.0.1:{port}"}).decode(),
        }
        async with serving(document, settings=settings) as gateway:
            answer = await gateway.ask("/price/7")
    assert answer.json == {"price": {"sku": "7", "cents": 250}}


@pytest.mark.slow
async def test_middleware_strategies_and_caches_are_used_where_settings_name_them(
    installed: Path, tmp_path: Path
) -> None:
    documents = tmp_path / "cached.yaml", tmp_path / "mine.yaml"
    for path, text in zip(documents, (CACHED, MINE), strict=True):
        path.write_text(text)
    config = tmp_path / "plait.toml"
    config.write_text(SETTINGS.replace("FOLDER", str(tmp_path)))
    ann = {"X_Forwarded_User": "ann"}
    async with prices() as port:
        settings = {
            **beside(installed),
            "PLAIT_RESOLVE": orjson.dumps({"prices": f"127.0.0.1:{port}"}).decode(),
        }
        options = [f"--config={config}"]
        serve = partial(serving, *documents, settings=settings, arguments=options)
        async with serve() as gateway:
            assert (await gateway.ask("/mine")).status == 401
            assert (await gateway.ask("/mine", **ann)).json == {"said": "hi"}
            assert (await gateway.ask("/api/v1/executions")).status == 401
            assert (await gateway.ask("/api/v1/executions", **ann)).status == 200
            first = await gateway.ask("/cached/7", **ann)
            assert first.json == {"price": {"sku": "7", "cents": 250}}
            (tmp_path / "maintenance").touch()
            closed = await gateway.ask("/mine", **ann)
            assert (closed.status, closed.headers["retry-after"]) == (503, "60")
            assert (await gateway.ask("/health")).status == 200
            (tmp_path / "maintenance").unlink()
    # Another process, and nobody to ask: what was kept is in the files.
    async with serve() as gateway:
        again = await gateway.ask("/cached/7", **ann)
    assert (again.status, again.body) == (200, first.body)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('[gateway]\nmiddleware = ["maintenence"]', "plugin.missing: gateway.middleware"),
        ('[security]\nstrategies = ["badge"]', "plugin.missing: security.strategies"),
        ('[resilience]\ncache = "shelf"', "plugin.missing: resilience.cache"),
        ("[middleware.maintenance]", "'maintenance' is not named in gateway.middleware"),
        (
            '[resilience]\ncache = "files"\n[caches.files]\nfolders = "x"',
            "plugin.options: [caches.files] of the settings cannot be used: unknown",
        ),
    ],
)
async def test_what_settings_name_is_there_and_fits_or_nothing_starts(
    installed: Path, tmp_path: Path, settings: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "plait.toml").write_text(settings)
    done = await plait("serve", "mine.yaml", cwd=tmp_path, env=beside(installed))
    assert (done.code, said in done.err) == (2, True), done.err


@pytest.mark.slow
async def test_the_schema_for_editors_has_what_is_installed(installed: Path) -> None:
    own = orjson.loads((await plait("schema")).out)
    more = orjson.loads((await plait("schema", env=beside(installed))).out)
    assert set(more["$defs"]) - set(own["$defs"]) == {"LineStep", "LineRequest"}


@pytest.mark.slow
async def test_packages_are_listed_and_found_fine(installed: Path) -> None:
    done, told = await listed("list", installed)
    assert done.code == 0
    packages = {one["package"].partition(" ")[0] for one in told}
    assert packages == {f"plait-{name}" for name in PACKAGES}
    done, told = await listed("check", installed)
    assert (done.code, [one["error"] for one in told]) == (0, [None] * len(told))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import nowhere", "plugin.unusable", "No module named 'nowhere'"),
        ("THING = 7", "plugin.unusable", "acme_fax:THING is no Connector"),
        (
            "from plait.ports.connector import Connector\n"
            "from plait.connectors.http.step import HttpStep\n"
            "THING = Connector(9, HttpStep, None)",
            "plugin.port",
            "it is for version 9 of its port",
        ),
    ],
)
async def test_a_broken_package_is_found_and_disturbs_nobody_else(
    tmp_path: Path, text: str, code: str, said: str
) -> None:
    folder = brought(tmp_path, "fax", text)
    done, (told,) = await listed("check", folder)
    assert (done.code, told["error"]["code"]) == (2, code)
    assert said in told["error"]["message"]
    assert "acme-fax 1.2" in told["error"]["message"]
    fine = tmp_path / "fine.yaml"
    fine.write_text("name: fine\nsteps: [{id: a, type: set, value: 1}]\n")
    assert (await plait("validate", fine, env=beside(folder))).code == 0
    fine.write_text("name: fine\nsteps: [{id: a, type: fax, request: {}}]\n")
    refused = await plait("validate", fine, env=beside(folder))
    assert (refused.code, "D106" in refused.out, said in refused.out) == (2, True, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGES)
def test_the_suite_of_each_port_finds_a_plug_in_that_breaks_its_contract(
    name: str,
) -> None:
    folder = EXAMPLES / name
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "--override-ini=python_files=broken_*.py", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stdout
    assert f"FAILED examples/plugins/{name}/broken_{name}.py::Test" in ran.stdout
