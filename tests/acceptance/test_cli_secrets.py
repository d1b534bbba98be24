"""Executions that wait for a secret, as the command line tells of them."""

from __future__ import annotations

import signal
from pathlib import Path

import orjson

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import finish, plait, start

TWICE = """\
name: secretive
steps:
  - {id: ok, type: wait, event: {name: ok}}
  - {id: pay, type: http, depends_on: [ok], request: {method: POST,
     url: http://service/pay, headers: {x-token: "${secrets.token}"}}}
output: "${pay.response}"
"""
SECRET = {"PLAIT_SECRET_TOKEN": "s3cr3t-value"}


async def test_a_shell_without_the_secret_says_what_is_missing_and_sends_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "w.yaml").write_text(TWICE)
    async with Upstream(reply(json={"done": True})) as service:
        resolve = ("--resolve", f"service={service.address}")
        run = ("run", "w.yaml", "--durable", "--key", "k", *resolve)
        process = await start(*run, cwd=tmp_path, env=SECRET)
        assert process.stderr is not None
        name = (await process.stderr.readline()).decode().split()[1]
        process.send_signal(signal.SIGINT)
        await finish(process)
        told = await plait("executions", "signal", name, "ok", cwd=tmp_path)
        assert told.code == 0, told.err
        lacks = await plait(*run, cwd=tmp_path)
        assert (lacks.code, service.requests) == (1, []), lacks.err
        assert "execution.secret_missing: " in lacks.err
        assert "waits for a worker that has secrets.token: " in lacks.err
        # Whoever looks may have what the worker lacked.
        for env in ({}, SECRET):
            shown = await plait("executions", "show", name, cwd=tmp_path, env=env)
            assert "stands     execution.secret_missing\n" in shown.out
            assert "waits      pay: a worker that has secrets.token\n" in shown.out
            whole = await plait(
                *("executions", "show", name, "--json"), cwd=tmp_path, env=env
            )
            waits = orjson.loads(whole.out)["waits"]
            assert waits == [{"step": "pay", "for": "secret", "secrets": ["token"]}]
        done = await plait(*run, cwd=tmp_path, env=SECRET)
        assert (done.code, orjson.loads(done.out)) == (0, {"done": True}), done.err
        [request] = service.requests
    assert request.headers["x-token"] == "s3cr3t-value"
