"""`--reload`: edits are served without dropping a request; broken ones are not."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, reply
from tests.acceptance.gateways import GatewayProcess, ask, request_bytes, serving

FIXED = """
name: {name}
mode: express
endpoint: {{path: /{name}}}
steps: [{{id: said, type: set, value: "{value}"}}]
output: ${{said.response}}
"""
CALL = """
name: call
mode: express
endpoint: {path: /call}
steps: [{id: upstream, type: http, request: {url: "http://upstream/x"}}]
output: VALUE ${upstream.response}
"""
RELOAD = ("--reload",)


def write(folder: Path, name: str, value: str) -> Path:
    """Write a document that answers with `value`."""
    path = folder / f"{name}.yaml"
    path.write_text(FIXED.format(name=name, value=value))
    return path


async def until_reloaded(gateway: GatewayProcess, count: int) -> None:
    await gateway.until_said("reloaded", count)


async def test_an_edit_is_served_and_a_broken_one_keeps_the_last_good_version(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "a", "one")
    async with serving(tmp_path, arguments=RELOAD) as gateway:
        assert (await gateway.ask("/a")).body == b'"one"'
        write(tmp_path, "a", "two")
        await until_reloaded(gateway, 1)
        assert (await gateway.ask("/a")).body == b'"two"'
        path.write_text("name: a\nsteps: [{id: x, type: nonsense}]\n")
        await gateway.until_said("unknown step type 'nonsense'")
        assert (await gateway.ask("/a")).body == b'"two"'
        write(tmp_path, "a", "three")
        await until_reloaded(gateway, 3)
        assert (await gateway.ask("/a")).body == b'"three"'


async def test_a_wrong_edit_among_many_documents_keeps_that_one_s_last_good_version(
    tmp_path: Path,
) -> None:
    names = [f"w{number}" for number in range(20)]
    for name in names:
        write(tmp_path, name, "one")
    async with serving(tmp_path, arguments=RELOAD) as gateway:

        async def told() -> list[bytes]:
            return [(await gateway.ask(f"/{name}")).body for name in names]

        async def health() -> tuple[int, int]:
            said = json.loads((await gateway.ask("/health")).body)
            assert (await gateway.ask("/health/ready")).status == 200
            return said["endpoints"], said["broken_documents"]

        assert await health() == (20, 0)
        wrong = tmp_path / "w7.yaml"
        wrong.write_text(FIXED.format(name="w7", value="${nobody.response}"))
        await gateway.until_said("P001")
        assert await told() == [b'"one"'] * 20
        assert await health() == (20, 1)
        write(tmp_path, "w8", "two")
        await until_reloaded(gateway, 2)
        expected = [b'"one"'] * 20
        expected[8] = b'"two"'
        assert await told() == expected
        assert await health() == (20, 1)
        write(tmp_path, "w7", "three")
        await until_reloaded(gateway, 3)
        expected[7] = b'"three"'
        assert await told() == expected
        assert await health() == (20, 0)


async def test_new_documents_are_served_and_deleted_ones_no_more(tmp_path: Path) -> None:
    old = write(tmp_path, "old", "1")
    async with serving(tmp_path, arguments=RELOAD) as gateway:
        write(tmp_path, "new", "2")
        await until_reloaded(gateway, 1)
        assert (await gateway.ask("/new")).body == b'"2"'
        old.unlink()
        await until_reloaded(gateway, 2)
        assert (await gateway.ask("/old")).status == 404
        assert (await gateway.ask("/new")).status == 200


async def test_a_folder_that_is_away_for_a_moment_takes_no_endpoint_with_it(
    tmp_path: Path,
) -> None:
    folder, aside = tmp_path / "workflows", tmp_path / "aside"
    folder.mkdir()
    write(folder, "a", "one")
    async with serving(folder, arguments=RELOAD) as gateway:
        folder.rename(aside)
        await gateway.until_said("workflows:1:1: F001 cannot be read: No such file")
        assert (await gateway.ask("/a")).body == b'"one"'
        # Deploying by exchange: another folder of the same name.
        shutil.rmtree(aside)
        new = tmp_path / "new"
        new.mkdir()
        write(new, "a", "two")
        new.rename(folder)
        await until_answer(gateway, "/a", b'"two"')
        write(folder, "a", "three")
        await until_answer(gateway, "/a", b'"three"')
        (folder / "a.yaml").unlink()
        await gateway.until_said("workflows:1:1: F002")
        assert (await gateway.ask("/a")).status == 404


async def until_answer(gateway: GatewayProcess, path: str, body: bytes) -> None:
    """Return once the gateway answers so, looked at after each reload."""
    count = 1
    while (await gateway.ask(path)).body != body:
        await until_reloaded(gateway, count)
        count += 1


async def test_a_request_under_way_finishes_with_what_it_began_with(tmp_path: Path) -> None:
    path, release = tmp_path / "call.yaml", asyncio.Event()
    path.write_text(CALL.replace("VALUE", "old"))
    async with (
        Upstream(after(release, reply(json="x"))) as upstream,
        serving(tmp_path, upstreams={"upstream": upstream}, arguments=RELOAD) as gateway,
        gateway.client() as client,
    ):
        client.send(request_bytes("/call"))
        await upstream.until_requests(1)
        path.write_text(CALL.replace("VALUE", "new"))
        await until_reloaded(gateway, 1)
        release.set()
        assert (await client.answer()).body == b'"old x"'
        assert (await ask(client, "/call")).body == b'"new x"'


async def test_a_bad_document_stops_no_other(tmp_path: Path) -> None:
    write(tmp_path, "good", "1")
    (tmp_path / "bad.yaml").write_text("name: bad\nsteps: {\n")
    write(tmp_path, "twin", "2").write_text(FIXED.format(name="good", value="2"))
    write(tmp_path, "health", "3")
    async with serving(tmp_path) as gateway:
        said = "\n".join(gateway.lines)
        assert "bad.yaml:" in said
        assert "G001" in said
        assert "G003" in said
        assert (await gateway.ask("/good")).body == b'"1"'
        assert json.loads((await gateway.ask("/health")).body)["endpoints"] == 1
