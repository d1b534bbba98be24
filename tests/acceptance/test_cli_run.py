"""`plait run` as a user meets it: real processes, real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import in_turn, raw_then_hang, reply
from tests.acceptance.cli import ROOT, Done, finish, interrupt, on_terminal, plait, start

REGISTRATION = ROOT / "examples" / "language" / "registration.json"
PROFILE = ROOT / "examples" / "language" / "user-profile.yaml"
HANG = raw_then_hang()
DOUBTFUL = """\
name: doubtful
mode: express
endpoint: {method: GET, path: /a}
steps:
  - {id: a, type: http, request: {url: "http://service/a"}}
  - {id: b, type: set, value: "${a.response}", on_error: continue}
"""
ONE_CALL = """\
name: one
steps:
  - id: a
    type: http
    request: {url: "http://service/a"}
"""


def write(folder: Path, text: str, name: str = "w.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


async def run_one(
    upstream: Upstream, folder: Path, *more: str, text: str = ONE_CALL, **settings: Any
) -> Done:
    file = write(folder, text)
    resolve = f"service={upstream.address}"
    return await plait("run", file, "--resolve", resolve, *more, cwd=folder, **settings)


def steps_of(done: Done) -> dict[str, Any]:
    lines = map(orjson.loads, done.lines)
    return {line["step"]: line for line in lines if line["type"] == "step"}


def once_there_are(upstream: Upstream, count: int, script: Script) -> Script:
    """Answer only when `count` requests have come: no answer before they overlap."""

    async def waiting(peer: Peer, request: Request) -> None:
        await upstream.until_requests(count)
        await script(peer, request)

    return waiting


# -- the documents of the language's own page ------------------------------------------


async def test_the_registration_flow_creates_a_user_that_does_not_exist() -> None:
    async with Upstream() as service:
        service.on("/check", reply(json={"exists": False}))
        service.on("/create", reply(201, json={"id": 7}))
        resolve = ("--resolve", f"user-service={service.address}")
        done = await plait("run", REGISTRATION, "--input", '{"user_id": "u 1"}', *resolve)
        assert (done.code, done.err) == (0, "")
        assert orjson.loads(done.out) == {
            "check_user": {"exists": False},
            "create_user": {"id": 7},
        }
        check, create = service.requests
        assert (check.method, check.target) == ("GET", "/check?user_id=u%201")
        assert (create.method, orjson.loads(create.body)) == ("POST", {"user_id": "u 1"})
        assert create.headers["idempotency-key"]


async def test_the_registration_flow_leaves_a_user_that_exists_alone() -> None:
    async with Upstream(reply(json={"exists": True})) as service:
        resolve = ("--resolve", f"user-service={service.address}")
        done = await plait("run", REGISTRATION, "--input", '{"user_id": "1"}', *resolve)
        assert orjson.loads(done.out) == {"check_user": {"exists": True}}
        assert len(service.requests) == 1


async def run_profile(service: Upstream, *more: str) -> Done:
    hosts = [
        f"--resolve={name}={service.address}" for name in ("users", "orders", "offers")
    ]
    return await plait("run", PROFILE, *hosts, "-i", '{"user_id": "42"}', *more)


async def test_the_profile_calls_what_is_independent_at_the_same_time() -> None:
    async with Upstream() as service:
        user = reply(json={"id": 42, "vip": True})
        service.on("/api/users/42", once_there_are(service, 2, user))
        orders = reply(json={"orders": [1, 2]})
        service.on("/api/orders", once_there_are(service, 2, orders))
        service.on("/api/42", reply(json=["10 % off"]))
        done = await run_profile(service, "--json-timeline")
        assert done.code == 0, done.err
        assert orjson.loads(done.out) == {
            "user": {"id": 42, "vip": True},
            "orders": [1, 2],
            "offers": ["10 % off"],
        }
        lines = steps_of(done)
        assert lines["user"]["started_ms"] < lines["orders"]["ended_ms"]
        assert lines["orders"]["started_ms"] < lines["user"]["ended_ms"]
        assert lines["offers"]["started_ms"] >= lines["user"]["ended_ms"]
        assert all(line["status"] == "completed" for line in lines.values())


async def test_the_profile_goes_on_without_offers_and_tries_again_what_may_pass() -> None:
    async with Upstream() as service:
        busy, user = reply(503), reply(json={"id": 42, "vip": True})
        service.on("/api/users/42", in_turn(busy, user))
        service.on("/api/orders", reply(json={"orders": []}))
        service.on("/api/42", reply(404))
        done = await run_profile(service, "--json-timeline")
        assert done.code == 0
        assert orjson.loads(done.out)["offers"] is None
        lines = steps_of(done)
        assert (lines["user"]["attempt"], lines["user"]["status"]) == (2, "completed")
        assert lines["offers"]["status"] == "failed"
        assert lines["offers"]["error"]["code"] == "connector.http.404"


# -- exit code 1: the execution failed -------------------------------------------------


async def test_a_failed_execution_is_told_as_json_with_step_attempts_and_place(
    tmp_path: Path,
) -> None:
    async with Upstream(reply(500, b"oops")) as service:
        done = await run_one(service, tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.error["code"] == "connector.http.500"
    details = done.error["details"]
    assert (details["step"], details["attempts"]) == ("a", 1)
    assert (details["place"]["line"], details["place"]["pointer"]) == (3, "/steps/0")


async def test_a_refused_connection_has_its_own_code(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets the port
        resolve = f"service=127.0.0.1:{taken.getsockname()[1]}"
        done = await plait("run", write(tmp_path, ONE_CALL), "--resolve", resolve)
    assert (done.code, done.error["code"]) == (1, "connector.connect")


async def test_every_line_of_a_json_timeline_is_an_object_of_a_known_type(
    tmp_path: Path,
) -> None:
    async with Upstream(reply(500)) as service:
        done = await run_one(service, tmp_path, "--json-timeline", text=DOUBTFUL)
    warning, step, execution, error = map(orjson.loads, done.lines)
    assert (warning["type"], warning["code"]) == ("warning", "P015")
    assert (step["type"], step["step"]) == ("step", "a")
    assert step["error"]["code"] == "connector.http.500"
    assert (execution["type"], execution["status"]) == ("execution", "failed")
    assert execution["ended_ms"] >= step["ended_ms"]
    assert (error["type"], error["error"]["code"]) == ("error", "connector.http.500")


async def test_quiet_spares_people_and_not_the_script_that_asked(tmp_path: Path) -> None:
    async with Upstream(reply(500)) as service:
        more = ("--json-timeline", "--quiet")
        done = await run_one(service, tmp_path, *more, text=DOUBTFUL)
    types = [orjson.loads(line)["type"] for line in done.lines]
    assert types == ["step", "execution", "error"]


async def test_the_timeout_option_ends_an_execution_that_takes_too_long(
    tmp_path: Path,
) -> None:
    async with Upstream(HANG) as service:
        done = await run_one(service, tmp_path, "--timeout", "300ms")
        assert (done.code, done.error["code"]) == (1, "execution.timeout")
        await service.until_open(0)


async def test_an_address_out_of_a_template_is_refused_unless_allowed(
    tmp_path: Path,
) -> None:
    text = ONE_CALL.replace("http://service/a", "http://${input.host}/a")
    async with Upstream(reply(json=1)) as service:
        given = ("-i", orjson.dumps({"host": service.address}).decode())
        file = write(tmp_path, text)
        done = await plait("run", file, *given, cwd=tmp_path)
        assert (done.code, done.error["code"]) == (1, "connector.forbidden_address")
        allowed = {"PLAIT_EGRESS_ALLOW_PRIVATE": "true"}
        assert (await plait("run", file, *given, cwd=tmp_path, env=allowed)).code == 0


# -- exit code 2: something is invalid -------------------------------------------------

BROKEN = """\
name: broken
steps:
  - {id: a, type: htpp, request: {url: "http://h"}}
  - {id: b, type: set, value: "${usr.response}", conditoin: true}
  - {id: c, type: wait, for: soon}
"""
CLOSED = """\
name: closed
input:
  type: object
  required: [user_id]
  additionalProperties: false
  properties: {user_id: {type: string}, limit: {type: integer, maximum: 10}}
steps: [{id: a, type: set, value: "${input.user_id}"}]
"""


async def test_every_finding_of_a_document_is_told_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, BROKEN)
    done = await plait("run", "w.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.lines == [
        "w.yaml:3:19: D104 unknown step type 'htpp' (did you mean 'http'?)",
        "w.yaml:4:34: P001 'usr' is neither a step that can be read here nor a known name",
        "w.yaml:4:50: D101 unknown key 'conditoin' (did you mean 'condition'?)",
        "w.yaml:5:30: D103 'for': 'soon' is not a duration; "
        "write 800ms, 2s, 5m, 1h, 3d or ISO 8601",
    ]


async def test_every_violation_of_the_input_schema_is_told_with_its_path(
    tmp_path: Path,
) -> None:
    write(tmp_path, CLOSED)
    given = '{"limit": 11, "usr_id": "x"}'
    done = await plait("run", "w.yaml", "--input", given, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    paths = sorted(line.split(": ")[0] for line in done.lines)
    assert paths == ["input:/limit", "input:/user_id", "input:/usr_id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.yaml"], "missing.yaml:1:1: F001 cannot be read: No such file"),
        (["."], ".: is a directory of 4 documents; name one of them"),
        (["none"], "none:1:1: F002 the directory holds no .yaml"),
        (["binary.yaml"], "binary.yaml:1:1: D001 byte 0xFE is not UTF-8"),
        (["empty.yaml"], "empty.yaml:1:1: D0"),
        (["list.json"], "list.json:1:1: D004 a document is a mapping"),
        (["good.yaml", "-i", "{"], "input:1:2: the input is not JSON"),
        (["good.yaml", "-i", "@no.json"], "no.json: cannot be read: No such file"),
        (["good.yaml", "-i", "@."], ".: cannot be read: Is a directory"),
        (["good.yaml", "-i", "@"], "--input @: name a file after the @"),
        (["good.yaml", "-i", "list.json"], "(to read the file, write --input @list.json)"),
        (["good.yaml", "-i", "@binary.yaml"], "binary.yaml:1:1: byte 0xFE is not UTF-8"),
        (["good.yaml", "--resolve", "users"], "--resolve users: write HOST=ADDRESS[:PORT]"),
        (["good.yaml", "--resolve", "a=b:c:d"], "--resolve a=b:c:d: '[b:c:d]' in the"),
        (
            ["good.yaml", "--resolve", "http://a=b"],
            "'http://a' in the resolve map is a URL",
        ),
        (["good.yaml", "--env", "=1"], "--env =1: write NAME=VALUE"),
        (["good.yaml", "--config", "no.toml"], "no.toml: cannot be read: No such file"),
        (["good.yaml", "--config", "bad.toml"], "bad.toml: unknown key 'gatway' (did you"),
        (["good.yaml", "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
        (["good.yaml", "--timeout", "0s"], "--timeout: '0s' should be a millisecond or m"),
        (["good.yaml", "--inptu", "{}"], "No such option: --inptu"),
        (["good.yaml", "extra"], "unexpected extra argument"),
        ([], "Missing argument 'FILE'"),
    ],
)
async def test_a_mistake_is_told_in_words_and_ends_with_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    write(tmp_path, "name: n\nsteps: [{id: a, type: set, value: 1}]\n", "good.yaml")
    write(tmp_path, "", "empty.yaml")
    write(tmp_path, "[1]", "list.json")
    write(tmp_path, "[gatway]\n", "bad.toml")
    (tmp_path / "binary.yaml").write_bytes(b"\xfe\x00")
    (tmp_path / "none").mkdir()
    done = await plait("run", *arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


async def test_a_wrong_variable_is_told_before_anything_runs(tmp_path: Path) -> None:
    async with Upstream() as service:
        wrong = {"PLAIT_GATEWAY_PROT": "1"}
        done = await run_one(service, tmp_path, env=wrong)
        assert (done.code, service.requests) == (2, [])
    assert done.err == (
        "environment: PLAIT_GATEWAY_PROT: unknown key 'gateway.prot' "
        "(did you mean 'port'?)\n"
    )


# -- input, settings, output -----------------------------------------------------------

ECHO = """\
name: echo
steps: [{id: a, type: set, value: {given: "${input}", region: "${env.region}"}}]
output: ${a.response}
"""


async def test_input_comes_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    file = write(tmp_path, ECHO)
    write(tmp_path, '{"from": "file"}', "in.json")
    common = ("run", file, "--env", "region=eu", "-i")
    done = await plait(*common, "@in.json", cwd=tmp_path)
    assert done.out == '{"given":{"from":"file"},"region":"eu"}\n'
    done = await plait(*common, "-", cwd=tmp_path, stdin='{"from": "ünïcode"}'.encode())
    assert done.out == '{"given":{"from":"ünïcode"},"region":"eu"}\n'


async def test_output_is_on_one_line_unless_asked_for_more(tmp_path: Path) -> None:
    file = write(tmp_path, ECHO)
    common = ("run", file, "--env", "region=eu")
    assert (await plait(*common)).out == '{"given":{},"region":"eu"}\n'
    pretty = await plait(*common, "--pretty")
    assert pretty.out == '{\n  "given": {},\n  "region": "eu"\n}\n'


async def test_settings_come_from_file_environment_and_command_line(tmp_path: Path) -> None:
    file = write(tmp_path, ECHO)
    write(tmp_path, '[env]\nregion = "file"\n', "plait.toml")
    environ = {"PLAIT_ENV_REGION": "environment"}
    regions = [
        orjson.loads(done.out)["region"]
        for done in (
            await plait("run", file, cwd=tmp_path),
            await plait("run", file, cwd=tmp_path, env=environ),
            await plait("run", file, "--env", "region=option", cwd=tmp_path, env=environ),
        )
    ]
    assert regions == ["file", "environment", "option"]


async def test_broken_settings_are_told_all_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, ECHO)
    environ = {"PLAIT_RESOLVE": '{"users":"x"', "PLAIT_ENV": "[1]", "PLAIT_GATEWAY": "zzz"}
    done = await plait("run", file, cwd=tmp_path, env=environ)
    assert (done.code, done.out) == (2, "")
    assert sorted(line.partition("is no JSON object")[0] for line in done.lines) == [
        f"environment: {name}: " for name in sorted(environ)
    ]


async def test_settings_of_a_connector_that_nobody_brings_are_refused(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, ECHO)
    write(tmp_path, "[connectors.nope]\nspeed = 1\n", "plait.toml")
    done = await plait("run", file, "--env", "region=eu", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "plait.toml: connectors: no installed package brings a connector called 'nope'\n"
    )


async def test_what_templates_read_as_env_has_to_be_utf_8(tmp_path: Path) -> None:
    file, garbled = write(tmp_path, ECHO), b"\xff".decode("utf-8", "surrogateescape")
    for done in (
        await plait("run", file, "--env", f"region={garbled}", cwd=tmp_path),
        await plait("run", file, cwd=tmp_path, env={"PLAIT_ENV_REGION": garbled}),
    ):
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith(": is not UTF-8\n")


async def test_a_secret_reaches_the_service_and_nothing_else(tmp_path: Path) -> None:
    text = ONE_CALL.replace(
        '"http://service/a"}',
        '"http://service/a", headers: {Authorization: "Bearer ${secrets.token}"}}',
    )
    secret = {"PLAIT_SECRET_TOKEN": "hunter2"}
    async with Upstream(reply(500, b"no")) as service:
        done = await run_one(service, tmp_path, "--json-timeline", text=text, env=secret)
        assert service.requests[0].headers["authorization"] == "Bearer hunter2"
    assert done.code == 1
    assert "hunter2" not in done.err + done.out


async def test_warnings_are_told_and_do_not_stop_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        "name: n\nsteps: [{id: r, type: return, value: 1},\n"
        "  {id: a, type: set, value: 1, depends_on: [r]}]\n",
    )
    done = await plait("run", "w.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (0, "1\n")
    assert done.err.startswith("w.yaml:3:3: warning P009 ")
    assert (await plait("run", "w.yaml", "--quiet", cwd=tmp_path)).err == ""


async def test_a_terminal_gets_a_timeline_unless_it_is_not_wanted(tmp_path: Path) -> None:
    file = write(tmp_path, "name: n\nsteps: [{id: pause, type: wait, for: 20ms}]\n")
    done = await on_terminal("run", file)
    assert done.code == 0
    assert orjson.loads(done.out) == {"pause": None}
    title, bar = done.err.splitlines()
    assert title.startswith("completed in ")
    assert bar.startswith("  pause  █")
    assert bar.rstrip().endswith("completed")
    assert (await on_terminal("run", file, "--quiet")).err == ""


async def test_a_terminal_gets_the_error_after_the_timeline(tmp_path: Path) -> None:
    file = write(tmp_path, "name: n\nsteps: [{id: f, type: fail, code: a.b, message: m}]\n")
    done = await on_terminal("run", file)
    assert done.code == 1
    assert "failed: a.b" in done.err
    assert orjson.loads(done.err[done.err.index("{") :])["error"]["code"] == "a.b"


# -- stopping --------------------------------------------------------------------------


async def test_ctrl_c_cancels_the_calls_and_ends_with_130(tmp_path: Path) -> None:
    async with Upstream(HANG) as service:
        resolve = f"service={service.address}"
        process = await start("run", write(tmp_path, ONE_CALL), "--resolve", resolve)
        await asyncio.wait_for(service.until_requests(1), 20)
        done = await interrupt(process)
        assert (done.code, done.out) == (130, "")
        await asyncio.wait_for(service.until_open(0), 20)


async def test_a_reader_that_leaves_early_is_told_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = await finish(await start("schema", stdout=writer))
    finally:
        os.close(writer)
    assert (done.code, done.err) == (1, "")


@contextmanager
def unwritable() -> Iterator[int]:
    """Yield a descriptor that is open, and refuses what is written to it."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["run", "w.yaml"], ["schema"], ["run", "--help"]])
async def test_output_that_cannot_be_written_is_told_and_is_no_success(
    tmp_path: Path, arguments: list[str], unbuffered: str
) -> None:
    write(tmp_path, "name: n\nsteps: [{id: a, type: set, value: 1}]\n")
    env = {"PYTHONUNBUFFERED": unbuffered}
    with unwritable() as nowhere:
        process = await start(*arguments, cwd=tmp_path, stdout=nowhere, env=env)
        done = await finish(process)
    assert done.code == 1
    assert done.err == "standard output cannot be written: Bad file descriptor\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_a_log_that_cannot_be_written_changes_neither_output_nor_exit_code(
    tmp_path: Path, unbuffered: str
) -> None:
    file = write(tmp_path, "name: n\nsteps: [{id: a, type: set, value: 1}]\n")
    env = {"PYTHONUNBUFFERED": unbuffered}
    with unwritable() as nowhere:
        process = await start("run", file, "--json-timeline", stderr=nowhere, env=env)
        done = await finish(process)
    assert (done.code, done.out) == (0, '{"a":1}\n')


@pytest.mark.parametrize(
    ("redirection", "code", "out", "err"),
    [
        ("<&-", 2, "", "standard input cannot be read: it is closed\n"),
        (">&-", 1, "", "standard output cannot be written: it is closed\n"),
        ("2>&-", 0, '{"given":7,"region":"eu"}\n', ""),
    ],
)
async def test_a_closed_standard_stream_is_told_in_words(
    tmp_path: Path, redirection: str, code: int, out: str, err: str
) -> None:
    own = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    write(tmp_path, ECHO)
    line = f"-m plait.cli run w.yaml --env region=eu -i - {redirection}"
    process = await asyncio.create_subprocess_shell(
        f"'{sys.executable}' {line}",
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=tmp_path,
        env=own,
    )
    done = await finish(process, b"7")
    assert (done.code, done.out, done.err) == (code, out, err)
