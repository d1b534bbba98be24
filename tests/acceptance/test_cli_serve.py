"""`plait serve` as a user meets it: a process, a socket, edits and signals."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, reply
from tests.acceptance.cli import ROOT, Done, interrupt, plait, start

WAIT_S_MAX = 30
HELLO = """\
name: hello
mode: express
endpoint: {path: "/hello/{name}"}
input: {type: object, properties: {name: {type: string}}}
steps: [{id: a, type: set, value: "Hello, ${input.name}!"}]
output: ${a.response}
"""
BROKEN = "name: broken\nsteps: [{id: a, type: sett}]\n"


@dataclass
class Served:
    """A gateway that listens, and what it has said so far."""

    process: Process
    url: str
    said: list[str]

    async def get(self, path: str) -> tuple[int, Any]:
        """Return status and decoded body."""
        return await asyncio.to_thread(_get, self.url + path)

    async def until_said(self, text: str) -> None:
        """Return when a line of standard error holds `text`."""
        assert self.process.stderr is not None
        while not any(text in line for line in self.said):
            line = await asyncio.wait_for(self.process.stderr.readline(), WAIT_S_MAX)
            assert line, f"it ended without saying {text!r}"
            self.said.append(line.decode())


def _get(url: str) -> tuple[int, Any]:
    try:
        with urlopen(url, timeout=WAIT_S_MAX) as response:
            return response.status, orjson.loads(response.read())
    except HTTPError as error:
        return error.code, orjson.loads(error.read())


@asynccontextmanager
async def serving(*arguments: str | Path, cwd: Path) -> AsyncIterator[Served]:
    """Run `plait serve ARGUMENTS` on a free port."""
    process = await start("serve", *arguments, "--port", "0", cwd=cwd)
    try:
        assert process.stdout is not None
        found, said = None, []
        while found is None:
            line = await asyncio.wait_for(process.stdout.readline(), WAIT_S_MAX)
            assert line, (await process.communicate())[1].decode()
            said.append(line.decode())
            found = re.search(r"listening on (http://\S+:\d+)", said[-1])
        yield Served(process, found[1], said)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def test_documents_are_served_and_a_broken_one_is_reported(tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(HELLO)
    (tmp_path / "broken.yaml").write_text(BROKEN)
    async with serving(".", cwd=tmp_path) as served:
        assert "  GET    /hello/{name}  →  hello (hello.yaml)\n" in served.said
        assert await served.get("/hello/Ada") == (200, "Hello, Ada!")
        assert (await served.get("/health/ready"))[0] == 200
        assert (await served.get("/nothing"))[0] == 404
        done = await interrupt(served.process, signal.SIGTERM)
    assert done.code == 0
    assert "broken.yaml:2:23: D104 unknown step type 'sett'" in done.err


async def test_the_profile_of_the_language_page_is_served_as_it_stands(
    tmp_path: Path,
) -> None:
    profile = ROOT / "examples" / "language" / "user-profile.yaml"
    async with Upstream() as service:
        service.on("/api/users/42", reply(json={"id": 42, "vip": False}))
        service.on("/api/orders", reply(json={"orders": ["o"]}))
        hosts = [f"--resolve={name}={service.address}" for name in ("users", "orders")]
        async with serving(profile, *hosts, cwd=tmp_path) as served:
            expected = {"user": {"id": 42, "vip": False}, "orders": ["o"], "offers": None}
            assert await served.get("/profiles/42") == (200, expected)


async def test_an_edit_is_served_and_a_broken_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    async with serving("hello.yaml", "--reload", cwd=tmp_path) as served:
        assert await served.get("/hello/Ada") == (200, "Hello, Ada!")
        replace(file, HELLO.replace("Hello", "Salut"))
        await served.until_said("reloaded")
        assert await served.get("/hello/Ada") == (200, "Salut, Ada!")
        replace(file, BROKEN)
        await served.until_said("D104")
        assert await served.get("/hello/Ada") == (200, "Salut, Ada!")
        replace(file, HELLO.replace("Hello", "Hej"))
        served.said.clear()
        await served.until_said("reloaded")
        assert await served.get("/hello/Ada") == (200, "Hej, Ada!")


def replace(file: Path, text: str) -> None:
    """Save as editors do: a new file takes the old one's place."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


async def test_a_signal_lets_requests_under_way_finish(tmp_path: Path) -> None:
    text = HELLO.replace("type: set, value: ", "type: http, request: {url: ").replace(
        '"Hello, ${input.name}!"}', '"http://service/"}}'
    )
    (tmp_path / "slow.yaml").write_text(text)
    released = asyncio.Event()
    async with Upstream(after(released, reply(json="late"))) as service:
        resolve = f"--resolve=service={service.address}"
        async with serving("slow.yaml", resolve, cwd=tmp_path) as served:
            asked = asyncio.create_task(served.get("/hello/Ada"))
            await asyncio.wait_for(service.until_requests(1), WAIT_S_MAX)
            served.process.send_signal(signal.SIGTERM)
            await until_refused(served.url)
            released.set()
            assert await asked == (200, "late")
            assert (await finished(served.process)).code == 0


async def until_refused(url: str) -> None:
    """Return when nobody accepts connections at `url` any more."""
    host, port = url.removeprefix("http://").split(":")
    async with asyncio.timeout(WAIT_S_MAX):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            writer.close()


async def finished(process: Process) -> Done:
    out, err = await asyncio.wait_for(process.communicate(), WAIT_S_MAX)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def test_with_nothing_to_serve_it_says_why_and_ends(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    done = await plait("serve", ".", cwd=tmp_path)
    assert done.code == 2
    assert any(line.startswith("broken.yaml:2:23: D104 ") for line in done.lines)
    assert done.lines[-1].startswith("nothing to serve")


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(HELLO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = await plait("serve", "hello.yaml", "--port", str(port), cwd=tmp_path)
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{port}: " in done.err
    assert "already in use" in done.err


async def test_settings_reach_the_gateway(tmp_path: Path) -> None:
    post = HELLO.replace('{path: "/hello/{name}"}', "{method: POST, path: /hello}")
    (tmp_path / "hello.yaml").write_text(post)
    (tmp_path / "plait.toml").write_text("[gateway]\nbody_bytes_max = 10\ndocs = false\n")
    async with serving(".", cwd=tmp_path) as served:
        found = await asyncio.to_thread(
            _post, f"{served.url}/hello", b'{"name": "a long one"}'
        )
        assert found == 413
        assert (await served.get("/docs"))[0] == 404
        assert served.said[-1].endswith(" (Ctrl-C stops)\n")


def _post(url: str, body: bytes) -> int:
    try:
        with urlopen(url, data=body, timeout=WAIT_S_MAX) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
