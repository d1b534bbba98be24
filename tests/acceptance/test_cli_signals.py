"""`plait executions signal`, `approve`, `reject`: told by one process, heard by another."""

from __future__ import annotations

from pathlib import Path

import orjson

from tests.acceptance.cli import finish, plait, start
from tests.acceptance.test_cli_durable import announced, listed, write

PAID = """\
name: pay
steps:
  - {id: paid, type: wait, event: {name: paid, match: "${event.payload.n == 2}"}}
output: "${paid.response}"
"""

PAYMENT = """\
name: pay
steps:
  - {id: ok, type: approval, title: pay 7?, approvers: [ann, boss]}
output: ["${ok.response.decision}", "${ok.response.by}", "${ok.response.comment}"]
"""
TWO = "name: two\nsteps: [{id: a, type: approval}, {id: b, type: approval}]\n"


async def send(folder: Path, execution: str, *more: str) -> int:
    done = await plait("executions", "signal", execution, *more, cwd=folder)
    assert done.out == ""
    return done.code


async def test_what_a_process_waits_for_is_shown_and_sent_by_another(
    tmp_path: Path,
) -> None:
    write(tmp_path, PAID)
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    execution = await announced(process)
    shown = await plait("executions", "show", execution, "--json", cwd=tmp_path)
    assert orjson.loads(shown.out)["waits"] == [
        {"step": "paid", "for": "event", "name": "paid", "until": None}
    ]
    assert await send(tmp_path, execution, "paid", "--payload", '{"n": 1}') == 0
    assert await send(tmp_path, execution, "paid", "--payload", '{"n": 2}') == 0
    ended = await finish(process)
    assert (ended.code, orjson.loads(ended.out)) == (0, {"n": 2})


async def test_what_nobody_runs_keeps_its_signals_until_somebody_does(
    tmp_path: Path,
) -> None:
    write(tmp_path, PAID)
    process = await start("run", "w.yaml", "--durable", "--key", "k", cwd=tmp_path)
    execution = await announced(process)
    process.kill()
    await finish(process)
    (tmp_path / "payload.json").write_text('{"n": 2}')
    payload = ("paid", "--payload", "@payload.json", "--id", "one")
    assert await send(tmp_path, execution, *payload) == 0
    assert await send(tmp_path, execution, *payload) == 0
    (row,) = await listed(tmp_path)
    assert (row["status"], row["worker"]) == ("completed", None)
    again = await plait("run", "w.yaml", "--durable", "--key", "k", cwd=tmp_path)
    assert (again.code, orjson.loads(again.out)) == (0, {"n": 2})
    assert await send(tmp_path, execution, *payload) == 0
    late = await plait("executions", "signal", execution, "paid", cwd=tmp_path)
    assert (late.code, "execution.has_ended" in late.err) == (2, True)


async def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    write(tmp_path, PAID)
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    execution = await announced(process)
    process.kill()
    await finish(process)
    large = tmp_path / "large.json"
    large.write_text('"' + "x" * 256_000 + '"')
    for wrong in (("so bad",), ("paid", "--id", "a b"), ("paid", "--payload", f"@{large}")):
        done = await plait("executions", "signal", execution, *wrong, cwd=tmp_path)
        assert (done.code, "signal.invalid" in done.err) == (2, True)
    done = await plait("executions", "signal", "zzz", "paid", cwd=tmp_path)
    assert (done.code, "execution.unknown" in done.err) == (2, True)
    (row,) = await listed(tmp_path)
    assert row["entries"] == 1


async def test_an_express_run_refuses_what_waits_for_somebody_outside(
    tmp_path: Path,
) -> None:
    write(tmp_path, PAID)
    done = await plait("run", "w.yaml", cwd=tmp_path)
    assert (done.code, "execution.needs_durable" in done.err) == (2, True)


async def test_who_may_decide_does_and_who_may_not_is_refused(tmp_path: Path) -> None:
    write(tmp_path, PAYMENT)
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    execution = await announced(process)
    shown = await plait("executions", "show", execution, cwd=tmp_path)
    assert "waits      ok: approval pay 7? by ann, boss\n" in shown.out
    for wrong, code in (
        (("approve", execution, "--by", "eve"), "approval.not_an_approver"),
        (("approve", execution, "--by", "eve", "--role", "x"), "approval.not_an_approver"),
        (("approve", execution, "no", "--by", "ann"), "approval.not_asked"),
    ):
        done = await plait("executions", *wrong, cwd=tmp_path)
        assert (done.code, code in done.err) == (2, True)
    by = ("--by", "eve", "--role", "boss", "--comment", "too much")
    done = await plait("executions", "reject", execution, *by, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    ended = await finish(process)
    assert (ended.code, orjson.loads(ended.out)) == (0, ["rejected", "eve", "too much"])
    late = await plait("executions", "approve", execution, "--by", "ann", cwd=tmp_path)
    assert (late.code, "execution.has_ended" in late.err) == (2, True)


async def test_of_several_questions_one_is_named(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    process = await start("run", "w.yaml", "--durable", cwd=tmp_path)
    execution = await announced(process)
    process.kill()
    await finish(process)
    done = await plait("executions", "approve", execution, "--by", "ann", cwd=tmp_path)
    assert (done.code, "name one: a, b" in done.err) == (2, True)
    for step in ("b", "a"):
        named = ("approve", execution, step, "--by", "ann")
        assert (await plait("executions", *named, cwd=tmp_path)).code == 0
    (row,) = await listed(tmp_path)
    assert (row["status"], row["entries"]) == ("completed", 4)
