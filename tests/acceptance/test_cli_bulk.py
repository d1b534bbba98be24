"""`plait executions cancel`, `resume`, `restart` of many at once, as real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import Done, finish, on_terminal, plait, start

ONE = """\
name: NAME
steps:
  - {id: before, type: set, value: 1}
  - {id: a, type: http, request: {method: POST, url: http://service/NAME}}
output: "${a.response}"
"""
NAP = "name: nap\nsteps: [{id: nap, type: wait, for: 3d}]\n"
SUM = 'name: sum\nsteps: [{id: s, type: set, value: 1}]\noutput: "${s.response}"\n'


class Service:
    """Answers 400 until it is mended, then when it may; knows how many ask at one time."""

    def __init__(self) -> None:
        self.is_broken = True
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked: Counter[str] = Counter()
        self.now, self.peak = 0, 0

    def script(self) -> Script:
        async def script(peer: Peer, request: Request) -> None:
            self.asked[request.target] += 1
            self.now += 1
            self.peak = max(self.peak, self.now)
            await self.may_answer.wait()
            self.now -= 1
            await reply(400 if self.is_broken else 200, json="ok")(peer, request)

        return script


async def listed(folder: Path, *more: str) -> list[dict[str, Any]]:
    done = await plait("executions", "list", "--json", *more, cwd=folder)
    assert done.code == 0, done.err
    rows: list[dict[str, Any]] = orjson.loads(done.out)
    return rows


async def failed(folder: Path, service: Upstream, name: str, count: int) -> None:
    """Leave `count` failed executions of one workflow, a power of two."""
    (folder / "w.yaml").write_text(ONE.replace("NAME", name))
    resolve = ("--resolve", f"service={service.address}")
    assert (await plait("run", "w.yaml", "--durable", *resolve, cwd=folder)).code == 1
    while len(await listed(folder, "--workflow", name)) < count:
        again = ("executions", "restart", "--workflow", name, *resolve)
        assert (await plait(*again, cwd=folder)).code == 1


def lines(done: Done) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in done.out.splitlines()]


async def test_those_that_the_filters_name_are_resumed_and_no_others(
    tmp_path: Path,
) -> None:
    service = Service()
    async with Upstream(service.script()) as upstream:
        await failed(tmp_path, upstream, "one", 4)
        await failed(tmp_path, upstream, "other", 1)
        service.is_broken = False
        service.asked.clear()
        which = ("--workflow", "one", "--failed", "--since", "1d")
        resolve = ("--resolve", f"service={upstream.address}")
        done = await plait("executions", "resume", *which, *resolve, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.lines == ["4 executions to resume", "4 resumed: 4 completed"]
    assert service.asked == {"/one": 4}
    rows = {row["id"]: row for row in await listed(tmp_path)}
    told = lines(done)
    assert {one["id"] for one in told} == {
        name for name, row in rows.items() if row["workflow"] == "one"
    }
    assert {(one["status"], one["now"] == one["id"]) for one in told} == {
        ("completed", True)
    }
    assert Counter(row["status"] for row in rows.values()) == {"completed": 4, "failed": 1}


async def test_the_one_that_was_started_with_a_key_is_named_by_it(tmp_path: Path) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    for key in ("a", "b"):
        started = await plait("run", "sum.yaml", "--durable", "--key", key, cwd=tmp_path)
        assert started.code == 0, started.err
    done = await plait("executions", "restart", "--key", "b", "--dry-run", cwd=tmp_path)
    assert (done.code, done.lines) == (0, ["1 executions to restart"])
    assert [row["id"] in done.out for row in await listed(tmp_path)] == [True, False]


async def test_one_that_fails_again_and_one_that_cannot_go_on_stop_no_other(
    tmp_path: Path,
) -> None:
    service = Service()
    async with Upstream(service.script()) as upstream:
        await failed(tmp_path, upstream, "one", 2)
        (tmp_path / "sum.yaml").write_text(SUM)
        await plait("run", "sum.yaml", "--durable", cwd=tmp_path)
        ids = [row["id"] for row in await listed(tmp_path)]
        resolve = ("--resolve", f"service={upstream.address}")
        done = await plait("executions", "resume", *ids, ids[0][:9], *resolve, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.lines == [
        "3 executions to resume",
        "2 resumed: 2 failed connector.http.400",
        "1 not resumed: 1 execution.not_resumable",
    ]


async def test_no_more_than_so_many_run_at_once_and_how_far_it_is_is_told(
    tmp_path: Path,
) -> None:
    service = Service()
    async with Upstream(service.script()) as upstream:
        await failed(tmp_path, upstream, "one", 4)
        service.is_broken, service.peak = False, 0
        service.may_answer.clear()
        which = ("--failed", "--at-once", "2")
        resolve = ("--resolve", f"service={upstream.address}")
        process = await start("executions", "resume", *which, *resolve, cwd=tmp_path)
        assert process.stderr is not None
        said = [await process.stderr.readline() for _ in range(2)]
        assert said == [b"4 executions to resume\n", b"resumed 0 of 4\n"]
        service.may_answer.set()
        done = await finish(process)
    assert (done.code, done.lines[-1]) == (0, "4 resumed: 4 completed")
    assert service.peak == 2


async def test_what_is_left_to_others_is_begun_and_not_run_here(tmp_path: Path) -> None:
    service = Service()
    async with Upstream(service.script()) as upstream:
        await failed(tmp_path, upstream, "one", 2)
        service.asked.clear()
        done = await plait("executions", "resume", "--failed", "--detach", cwd=tmp_path)
    assert (done.code, done.lines[-1]) == (0, "2 resumed: 2 running")
    assert service.asked == {}
    assert {row["status"] for row in await listed(tmp_path)} == {"running"}


async def test_a_dry_run_lists_those_that_are_meant_and_changes_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    await plait("run", "sum.yaml", "--durable", cwd=tmp_path)
    before = await listed(tmp_path)
    for verb in ("restart", "resume", "cancel"):
        wish = ("executions", verb, "--workflow", "sum", "--dry-run")
        done = await plait(*wish, "--status", "completed", cwd=tmp_path)
        assert (done.code, done.lines) == (0, [f"1 executions to {verb}"])
        assert before[0]["id"] in done.out
        of_its_own = await plait(*wish, "--json", cwd=tmp_path)
        meant = [one["id"] for one in lines(of_its_own)]
        assert meant == ([before[0]["id"]] if verb == "restart" else [])
    assert await listed(tmp_path) == before


async def test_those_that_wait_hold_up_nobody_and_are_cancelled_together(
    tmp_path: Path,
) -> None:
    (tmp_path / "w.yaml").write_text(NAP)
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    assert process.stderr is not None
    await process.stderr.readline()
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    (first,) = await listed(tmp_path)
    named = ("executions", "restart", first["id"], "--json")
    again = await plait(*named, cwd=tmp_path)
    assert again.lines == ["1 executions to restart", "1 restarted: 1 running"]
    (line,) = lines(again)
    assert (line["id"], line["status"]) == (first["id"], "running")
    assert line["now"] != first["id"]
    many = ("executions", "restart", "--workflow", "nap", "--status", "running")
    more = await plait(*many, "--at-once", "1", cwd=tmp_path)
    assert more.lines[-1] == "2 restarted: 2 running"
    ended = await plait("executions", "cancel", "--workflow", "nap", cwd=tmp_path)
    assert (ended.code, ended.lines[-1]) == (0, "4 cancelled: 4 cancelled")
    assert {row["status"] for row in await listed(tmp_path)} == {"cancelled"}
    nothing = await plait("executions", "cancel", "--workflow", "nap", cwd=tmp_path)
    assert (nothing.code, nothing.lines) == (0, ["0 executions to cancel"])


async def test_a_terminal_is_asked_and_gets_a_bar(tmp_path: Path) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    await plait("run", "sum.yaml", "--durable", cwd=tmp_path)
    verb = ("executions", "restart", "--workflow", "sum")
    alone = await on_terminal(*verb, cwd=tmp_path, typed=b"")
    assert (alone.code, "Go on?" in alone.err) == (0, False)
    refused = await on_terminal(*verb, cwd=tmp_path, typed=b"n\n")
    assert (refused.code, refused.out) == (1, "")
    assert "2 executions to restart\nGo on? [y/N] nothing was changed\n" in refused.err
    assert len(await listed(tmp_path)) == 2
    agreed = await on_terminal(*verb, cwd=tmp_path, typed=b"y\n")
    assert (agreed.code, "2/2" in agreed.err) == (0, True)
    unasked = await on_terminal(*verb, "--yes", cwd=tmp_path, typed=b"")
    assert (unasked.code, "Go on?" in unasked.err) == (0, False)
    assert len(await listed(tmp_path)) == 8


async def test_a_wrong_wish_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    await plait("run", "sum.yaml", "--durable", cwd=tmp_path)
    (row,) = await listed(tmp_path)
    wrong: list[tuple[tuple[str, ...], str]] = [
        (("resume",), "write the ids of executions, or say which"),
        (("cancel", "abc", "--failed"), "and not both"),
        (("restart", "--status", "broken"), "--status broken: write one of running, "),
        (("cancel", "--since", "yesterday"), "--since: "),
        (("restart", row["id"], "zzz"), "execution.unknown"),
        (("resume", row["id"], "--at-once", "0"), "--at-once"),
    ]
    for arguments, told in wrong:
        done = await plait("executions", *arguments, cwd=tmp_path)
        assert (done.code, done.out, told in done.err) == (2, "", True)
    assert await listed(tmp_path) == [row]
