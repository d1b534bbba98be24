"""Undoing what was done, with processes that are killed for real while they do."""

from __future__ import annotations

import signal
from pathlib import Path

import orjson

from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import finish, plait, start
from tests.acceptance.test_cli_durable import (
    announced,
    calls,
    listed,
    run,
    that_kills,
    write,
)

ORDER = """\
name: order
on_failure: compensate
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a},
     compensate: {id: undo, type: http,
       request: {method: POST, url: "http://service/undo-a/${a.response.id}"}}}
  - {id: b, type: http, depends_on: [a], request: {method: POST, url: http://service/b},
     compensate: {id: undo, type: http,
       request: {method: POST, url: "http://service/undo-b/${b.response.id}"}}}
  - {id: c, type: http, depends_on: [b], request: {method: POST, url: http://service/c}}
"""


def that_fails(*targets: str, otherwise: Script | None = None) -> Script:
    """Refuse `targets`; answer the rest."""
    answer = otherwise or reply(json={"id": 7})

    async def script(peer: Peer, request: Request) -> None:
        refuse = reply(400, json={})
        await (refuse if request.target in targets else answer)(peer, request)

    return script


async def test_a_process_killed_while_it_undoes_is_followed_by_one_that_goes_on(
    tmp_path: Path,
) -> None:
    write(tmp_path, ORDER.replace("${b.response.id}", "7").replace("${a.response.id}", "7"))
    victim: list[int] = []
    killing = that_kills(victim, "/undo-b/7")
    async with Upstream(that_fails("/c", otherwise=killing)) as service:
        resolve = f"service={service.address}"
        first = ("run", "w.yaml", "--durable", "--key", "k", "--resolve", resolve)
        process = await start(*first, cwd=tmp_path)
        victim.append(process.pid)
        assert (await finish(process)).code == -signal.SIGKILL
        again = await run(tmp_path, service, "run", "w.yaml", "--durable", "--key", "k")
        assert (again.code, again.error["code"]) == (1, "connector.http.400")
        made = calls(service)
    targets = ["/a", "/b", "/c", "/undo-b/7", "/undo-b/7", "/undo-a/7"]
    assert [target for target, _ in made] == targets
    (row,) = await listed(tmp_path)
    assert (row["status"], row["error_code"]) == ("compensated", "connector.http.400")
    assert [key for _, key in made[3:]] == [
        f"{row['id']}/b.compensate/undo",
        f"{row['id']}/b.compensate/undo",
        f"{row['id']}/a.compensate/undo",
    ]
    resumed = await plait("executions", "resume", str(row["id"]), cwd=tmp_path)
    assert (resumed.code, "what it did has been undone" in resumed.err) == (2, True)
    forked = await plait(
        *("executions", "fork", str(row["id"]), "--from", "c"), cwd=tmp_path
    )
    assert (forked.code, "execution.was_undone" in forked.err) == (2, True)


async def test_what_has_completed_is_rolled_back_once(tmp_path: Path) -> None:
    write(tmp_path, ORDER)
    async with Upstream(reply(json={"id": 7})) as service:
        assert (await run(tmp_path, service, "run", "w.yaml", "--durable")).code == 0
        (row,) = await listed(tmp_path)
        rollback = ("executions", "rollback", str(row["id"]))
        done = await run(tmp_path, service, *rollback)
        assert (done.code, done.out) == (0, "")
        targets = [target for target, _ in calls(service)]
        assert targets == ["/a", "/b", "/c", "/undo-b/7", "/undo-a/7"]
        again = await run(tmp_path, service, *rollback)
        assert (again.code, "execution.nothing_to_undo" in again.err) == (2, True)
    (row,) = await listed(tmp_path, "--status", "compensated")
    shown = await plait("executions", "show", str(row["id"]), "--json", cwd=tmp_path)
    error = orjson.loads(shown.out)["error"]
    assert error["details"]["compensation"]["undone"] == ["b", "a"]


async def test_what_could_not_be_undone_is_told_and_rolled_back_later(
    tmp_path: Path,
) -> None:
    write(tmp_path, ORDER)
    async with Upstream(that_fails("/c", "/undo-b/7")) as service:
        failed = await run(tmp_path, service, "run", "w.yaml", "--durable")
        assert (failed.code, failed.error["code"]) == (1, "saga.compensation_failed")
    (row,) = await listed(tmp_path, "--error", "saga.compensation_failed")
    async with Upstream(reply(json={})) as service:
        rolled = await run(tmp_path, service, "executions", "rollback", str(row["id"]))
        assert (rolled.code, [target for target, _ in calls(service)]) == (0, ["/undo-b/7"])
    (row,) = await listed(tmp_path)
    assert row["status"] == "compensated"


async def test_a_cancel_that_compensates_undoes_first(tmp_path: Path) -> None:
    waiting = ORDER.replace(
        "type: http, depends_on: [b], request: {method: POST, url: http://service/c}",
        "type: wait, depends_on: [b], event: {name: never}",
    )
    write(tmp_path, waiting)
    async with Upstream(reply(json={"id": 7})) as service:
        resolve = f"service={service.address}"
        process = await start(
            "run", "w.yaml", "--durable", "--resolve", resolve, cwd=tmp_path
        )
        execution = await announced(process)
        watching = await start("executions", "watch", execution, cwd=tmp_path)
        assert watching.stdout is not None
        while b"signal awaited" not in await watching.stdout.readline():
            pass
        cancel = ("executions", "cancel", execution, "--compensate", "--reason", "late")
        assert (await plait(*cancel, cwd=tmp_path)).code == 0
        ended = await finish(process)
        await finish(watching)
        assert (ended.code, ended.error["code"]) == (1, "execution.cancelled")
        targets = [target for target, _ in calls(service)]
        assert targets == ["/a", "/b", "/undo-b/7", "/undo-a/7"]
    (row,) = await listed(tmp_path)
    assert row["status"] == "compensated"
