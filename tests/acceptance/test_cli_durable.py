"""`plait run --durable` and `plait executions`, as processes that are killed for real."""

from __future__ import annotations

import os
import signal
from asyncio.subprocess import Process
from pathlib import Path

import orjson
import pytest

from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import Done, finish, plait, start

THREE = """\
name: three
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: b, type: http, request: {method: POST, url: http://service/b},
     depends_on: [a]}
  - {id: c, type: http, request: {method: POST, url: http://service/c},
     depends_on: [b]}
output: "${c.response}"
"""
INPUT = """\
name: sums
steps: [{id: sum, type: set, value: "${input.a + 1}"}]
output: "${sum.response}"
"""


def write(folder: Path, text: str = THREE) -> None:
    (folder / "w.yaml").write_text(text)


async def listed(folder: Path, *more: str) -> list[dict[str, object]]:
    done = await plait("executions", "list", "--json", *more, cwd=folder)
    assert done.code == 0, done.err
    rows: list[dict[str, object]] = orjson.loads(done.out)
    return rows


async def run(folder: Path, service: Upstream, *more: str) -> Done:
    resolve = f"service={service.address}"
    return await plait(*more, "--resolve", resolve, cwd=folder)


async def announced(process: Process) -> str:
    """Return the id of the execution that a process says it has begun."""
    assert process.stderr is not None
    return (await process.stderr.readline()).decode().split()[1]


def that_kills(victim: list[int], target: str) -> Script:
    """Answer; at the first request to `target` kill the process that asked, unanswered."""
    answer = reply(json={"done": True})

    async def script(peer: Peer, request: Request) -> None:
        if request.target == target and victim:
            os.kill(victim.pop(), signal.SIGKILL)
            return
        await answer(peer, request)

    return script


def calls(service: Upstream) -> list[tuple[str, str]]:
    return [(one.target, one.headers["idempotency-key"]) for one in service.requests]


async def test_a_killed_run_is_finished_by_the_next_and_repeats_only_what_was_cut_off(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    victim: list[int] = []
    async with Upstream(that_kills(victim, "/b")) as service:
        resolve = f"service={service.address}"
        first = ("run", "w.yaml", "--durable", "--key", "k", "--resolve", resolve)
        process = await start(*first, cwd=tmp_path)
        victim.append(process.pid)
        killed = await finish(process)
        assert killed.code == -signal.SIGKILL
        (row,) = await listed(tmp_path)
        assert (row["status"], row["workflow"]) == ("running", "three")
        again = await run(tmp_path, service, "run", "w.yaml", "--durable", "--key", "k")
        assert (again.code, orjson.loads(again.out)) == (0, {"done": True})
        (row,) = await listed(tmp_path)
        assert row["status"] == "completed"
        made = calls(service)
    assert [target for target, _ in made] == ["/a", "/b", "/b", "/c"]
    assert [key for _, key in made] == [f"{row['id']}/{step}" for step in "abbc"]


async def test_a_failed_execution_is_resumed_from_its_failed_step(tmp_path: Path) -> None:
    write(tmp_path)
    is_broken = True

    async def script(peer: Peer, request: Request) -> None:
        status = 400 if is_broken and request.target == "/b" else 200
        await reply(status, json={"done": True})(peer, request)

    async with Upstream(script) as service:
        failed = await run(tmp_path, service, "run", "w.yaml", "--durable")
        assert (failed.code, failed.error["code"]) == (1, "connector.http.400")
        (row,) = await listed(tmp_path, "--status", "failed")
        is_broken = False
        resumed = await run(tmp_path, service, "executions", "resume", str(row["id"]))
        assert (resumed.code, orjson.loads(resumed.out)) == (0, {"done": True})
        again = await run(tmp_path, service, "executions", "resume", str(row["id"]))
        assert again.code == 2
        assert "execution.not_resumable" in again.err
        assert [target for target, _ in calls(service)] == ["/a", "/b", "/b", "/c"]
    shown = await plait("executions", "show", str(row["id"])[:6], "--json", cwd=tmp_path)
    told = orjson.loads(shown.out)
    assert (told["status"], told["output"]) == ("completed", {"done": True})
    steps = {step["step"]: (step["status"], step["attempt"]) for step in told["steps"]}
    assert steps == {"a": ("completed", 1), "b": ("completed", 2), "c": ("completed", 1)}


async def test_a_fork_keeps_what_came_before_its_step(tmp_path: Path) -> None:
    write(tmp_path)
    async with Upstream(reply(json={"done": True})) as service:
        await run(tmp_path, service, "run", "w.yaml", "--durable")
        (row,) = await listed(tmp_path)
        old = str(row["id"])
        forked = await run(tmp_path, service, "executions", "fork", old, "--from", "b")
        assert (forked.code, orjson.loads(forked.out)) == (0, {"done": True})
        targets = [target for target, _ in calls(service)]
        assert targets == ["/a", "/b", "/c", "/b", "/c"]
        unknown = await run(tmp_path, service, "executions", "fork", old, "--from", "z")
        assert (unknown.code, "execution.never_ran" in unknown.err) == (2, True)
    newest, first = await listed(tmp_path)
    assert (newest["parent"], first["parent"]) == (old, None)


async def test_a_fork_takes_another_input_and_a_restart_the_same(tmp_path: Path) -> None:
    write(tmp_path, INPUT)
    ran = await plait("run", "w.yaml", "--durable", "-i", '{"a": 1}', cwd=tmp_path)
    (row,) = await listed(tmp_path)
    old = str(row["id"])
    forked = await plait(
        *("executions", "fork", old, "--from", "sum", "-i", '{"a": 5}'), cwd=tmp_path
    )
    restarted = await plait("executions", "restart", old, cwd=tmp_path)
    assert [done.out for done in (ran, forked, restarted)] == ["2\n", "6\n", "2\n"]


async def test_what_nobody_runs_is_watched_and_cancelled(tmp_path: Path) -> None:
    write(tmp_path, "name: w\nsteps: [{id: nap, type: wait, for: 3d}]\n")
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    execution = await announced(process)
    process.kill()
    await finish(process)
    watching = await start("executions", "watch", execution, cwd=tmp_path)
    assert watching.stdout is not None
    assert b"execution started" in await watching.stdout.readline()
    done = await plait("executions", "cancel", execution, "--reason", "late", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    ended = await finish(watching)
    assert ended.code == 1
    assert ended.out.splitlines()[-1].endswith("  execution cancelled  reason late")
    again = await plait("executions", "cancel", execution, cwd=tmp_path)
    assert (again.code, "has ended already: cancelled" in again.err) == (2, True)


async def test_what_another_process_runs_is_cancelled_by_it(tmp_path: Path) -> None:
    write(tmp_path, "name: w\nsteps: [{id: nap, type: wait, for: 3d}]\n")
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    execution = await announced(process)
    done = await plait("executions", "cancel", execution, cwd=tmp_path)
    ended = await finish(process)
    assert (done.code, ended.code) == (0, 1)
    assert ended.error["code"] == "execution.cancelled"


async def test_where_nothing_was_kept_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    done = await plait("executions", "list", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "store.none: there is no store .plait/plait.db yet" in done.err
    assert list(tmp_path.iterdir()) == []


async def test_an_unknown_execution_and_an_unknown_store_are_told(tmp_path: Path) -> None:
    write(tmp_path, INPUT)
    await plait("run", "w.yaml", "--durable", "-i", '{"a": 1}', cwd=tmp_path)
    unknown = await plait("executions", "show", "zzz", cwd=tmp_path)
    assert (unknown.code, "execution.unknown" in unknown.err) == (2, True)
    strange = await plait("executions", "list", "--store", "mysql://x", cwd=tmp_path)
    assert (strange.code, "store.unknown" in strange.err) == (2, True)
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * 100)
    broken = await plait("executions", "list", "--store", str(damaged), cwd=tmp_path)
    assert (broken.code, "store.no_database" in broken.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--status", "faild"), "--status faild: write one of running"),
        (("list", "--tag", "a\udcff"), "--tag: this is not UTF-8"),
        (("list", "--text", "a\udcff"), "--text: this is not UTF-8"),
        (("show", "\udcff"), "the execution's id: this is not UTF-8"),
        (("show", ""), "the execution's id is empty"),
        (("export", "--all", "--status", "faild"), "--status faild: write one of running"),
        (
            ("decide", "x", "--as", "done", "--response", "18446744073709551616"),
            "--response: an integer beyond 64 bits",
        ),
    ],
)
async def test_an_option_that_cannot_be_meant_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    write(tmp_path, INPUT)
    await plait("run", "w.yaml", "--durable", "-i", '{"a": 1}', cwd=tmp_path)
    done = await plait("executions", *arguments, cwd=tmp_path)
    assert (done.code, done.out, said in done.err) == (2, "", True)


@pytest.mark.parametrize("key", [("--key", ""), ("--key", "\udcff"), ("--tag", "\udcff")])
async def test_a_key_or_a_tag_that_cannot_be_kept_is_refused(
    tmp_path: Path, key: tuple[str, str]
) -> None:
    write(tmp_path, INPUT)
    done = await plait("run", "w.yaml", "--durable", "-i", '{"a": 1}', *key, cwd=tmp_path)
    assert (done.code, done.out, f"{key[0]}: " in done.err) == (2, "", True)


async def test_a_key_with_another_input_is_refused(tmp_path: Path) -> None:
    write(tmp_path, INPUT)

    async def sums(value: str) -> Done:
        command = ("run", "w.yaml", "--durable", "--key", "k", "-i", value)
        return await plait(*command, cwd=tmp_path)

    assert ((await sums('{"a": 1}')).out, (await sums('{"a": 1}')).out) == ("2\n", "2\n")
    refused = await sums('{"a": 5}')
    assert (refused.code, refused.out) == (2, "")
    assert "request.key_reused: execution " in refused.err
    (kept,) = await listed(tmp_path)
    assert len(str(kept["id"])) == 32, "128 random bits"


async def test_what_kills_its_workers_is_quarantined_while_others_go_on(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    (tmp_path / "good.yaml").write_text(INPUT)
    victims: list[int] = []
    deaths = {"PLAIT_EXECUTION_DEATHS_MAX": "2"}
    async with Upstream(that_kills(victims, "/b")) as service:
        resolve = ("--resolve", f"service={service.address}")
        poison = ("run", "w.yaml", "--durable", "--key", "k", *resolve)
        for _ in range(2):
            process = await start(*poison, cwd=tmp_path, env=deaths)
            victims.append(process.pid)
            assert (await finish(process)).code == -signal.SIGKILL
        stands = await plait(*poison, cwd=tmp_path, env=deaths)
        assert (stands.code, stands.out) == (1, "")
        assert "is quarantined: " in stands.err
        good = await plait(
            *("run", "good.yaml", "--durable", "-i", '{"a": 1}', *resolve), cwd=tmp_path
        )
        assert (good.code, good.out) == (0, "2\n")
        (row,) = await listed(tmp_path, "--error", "execution.quarantined")
        assert (row["status"], row["worker"]) == ("running", None)
        assert [target for target, _ in calls(service)] == ["/a", "/b", "/b"]
        shown = await plait("executions", "show", str(row["id"]), cwd=tmp_path)
        assert "stands     execution.quarantined" in shown.out
        sound = await plait("journal", "verify", cwd=tmp_path)
        assert sound.code == 0, sound.err
        which = ("executions", "resume", "--error", "execution.quarantined")
        resumed = await plait(*which, *resolve, cwd=tmp_path)
        assert (resumed.code, resumed.lines[-1]) == (0, "1 resumed: 1 completed")
        keys = [key for target, key in calls(service) if target == "/b"]
    assert keys == [f"{row['id']}/b"] * 3


async def test_one_that_has_to_wait_for_its_turn_says_behind_whom(tmp_path: Path) -> None:
    write(
        tmp_path,
        'name: paid\nconcurrency: {key: "${input.who}"}\n'
        "steps: [{id: paid, type: wait, event: {name: paid}}]\n",
    )
    ann = ("run", "w.yaml", "--durable", "-i", '{"who": "ann"}')
    first = await start(*ann, cwd=tmp_path)
    ahead = await announced(first)
    second = await start(*ann, "--priority", "7", cwd=tmp_path)
    behind = await announced(second)
    assert second.stderr is not None
    told = (await second.stderr.readline()).decode()
    assert told == (
        f'it waits for its turn in lane paid:"ann": 1 before it, the first is {ahead}\n'
    )
    rows = {row["id"]: row for row in await listed(tmp_path)}
    assert (rows[behind]["queued"], rows[behind]["priority"]) == (True, 7)
    assert (rows[ahead]["queued"], rows[ahead]["lane"]) == (False, 'paid:"ann"')
    table = await plait("executions", "list", cwd=tmp_path)
    assert "queued" in table.out
    shown = await plait("executions", "show", behind, cwd=tmp_path)
    assert f'for its turn: lane paid:"ann" is full, behind {ahead}\n' in shown.out
    for execution in (behind, ahead):
        sent = await plait("executions", "signal", execution, "paid", cwd=tmp_path)
        assert sent.code == 0, sent.err
    assert [(await finish(one)).code for one in (first, second)] == [0, 0]
