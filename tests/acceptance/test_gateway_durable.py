"""Durable workflows behind endpoints: a real gateway, killed for real."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import GatewayProcess, request_bytes, serving
from tests.unit.gateway.wires import WAIT_S, Answer

PAY = """\
name: pay
endpoint: {method: POST, path: /pay, wait: 20s}
input:
  type: object
  required: [amount]
  properties: {amount: {type: integer}}
steps:
  - {id: charge, type: http, request: {method: POST, url: http://service/charge,
     body: {amount: "${input.amount}"}}}
output: {paid: "${input.amount}", by: "${charge.response.by}"}
"""
EXPRESS = """\
name: w
mode: express
endpoint: {path: /w}
steps: [{id: one, type: set, value: 1}]
output: ${one.response}
"""
EXECUTIONS = "/api/v1/executions"


OPEN = PAY.replace("endpoint: {", "endpoint: {auth: none, ")


def gateway(
    folder: Path, service: Upstream, *arguments: str, text: str = PAY
) -> AbstractAsyncContextManager[GatewayProcess]:
    document = folder / "pay.yaml"
    document.write_text(text)
    store = f"--store={folder / 'plait.db'}"
    return serving(document, upstreams={"service": service}, arguments=[store, *arguments])


def told(answer: Answer) -> Any:
    return json.loads(answer.body)


async def pay(process: GatewayProcess, amount: int = 7, **headers: str) -> Answer:
    return await process.ask("/pay", "POST", body={"amount": amount}, **headers)


async def test_who_waits_gets_the_output(tmp_path: Path) -> None:
    async with (
        Upstream(reply(json={"by": "card"})) as service,
        gateway(tmp_path, service) as process,
    ):
        answer = await pay(process)
        assert (answer.status, told(answer)) == (200, {"paid": 7, "by": "card"})
        assert answer.headers["plait-completed"] == "true"
        link = f"{EXECUTIONS}/{answer.headers['plait-execution-id']}"
        kept = told(await process.ask(link))
        assert (kept["status"], kept["output"]) == ("completed", told(answer))


async def test_who_does_not_wait_gets_a_link_that_waits(tmp_path: Path) -> None:
    answered = asyncio.Event()
    script = after(answered, reply(json={"by": "card"}))
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        answer = await pay(process, prefer="respond-async")
        assert (answer.status, told(answer)["status"]) == (202, "running")
        link = answer.headers["location"]
        assert told(await process.ask(link))["status"] == "running"
        waiting = asyncio.create_task(process.ask(f"{link}?wait=30s"))
        answered.set()
        assert told(await waiting)["output"] == {"paid": 7, "by": "card"}


async def test_an_accepted_execution_outlives_kill_9(tmp_path: Path) -> None:
    answered = asyncio.Event()
    script = after(answered, reply(json={"by": "card"}))
    async with Upstream(script) as service:
        async with gateway(tmp_path, service) as process:
            answer = await pay(process, prefer="respond-async")
            async with asyncio.timeout(WAIT_S):
                await service.until_requests(1)
            process.process.kill()
        answered.set()
        async with gateway(tmp_path, service) as process:
            ended = told(await process.ask(f"{answer.headers['location']}?wait=30s"))
            assert ended["output"] == {"paid": 7, "by": "card"}
        keys = {one.headers["idempotency-key"] for one in service.requests}
        assert (len(service.requests), len(keys)) == (2, 1)


async def test_a_request_with_the_same_key_starts_nothing(tmp_path: Path) -> None:
    async with (
        Upstream(reply(json={"by": "card"})) as service,
        gateway(tmp_path, service) as process,
    ):
        first = await pay(process, idempotency_key="order-1")
        again = await pay(process, idempotency_key="order-1")
        other = await pay(process, 8, idempotency_key="order-1")
        assert told(again) == told(first)
        assert again.headers["plait-execution-id"] == first.headers["plait-execution-id"]
        assert (other.status, other.error_code) == (422, "request.key_reused")
        assert len(service.requests) == 1


async def test_a_gateway_that_stops_keeps_nobody_waiting(tmp_path: Path) -> None:
    answered = asyncio.Event()
    script = after(answered, reply(json={"by": "card"}))
    async with Upstream(script) as service:
        async with gateway(tmp_path, service) as process:
            asking = asyncio.create_task(pay(process))
            async with asyncio.timeout(WAIT_S):
                await service.until_requests(1)
            process.stop()
            answer = await asking
            assert (answer.status, await process.ended()) == (202, 0)
        answered.set()
        async with gateway(tmp_path, service) as process:
            ended = told(await process.ask(f"{answer.headers['location']}?wait=30s"))
            assert ended["status"] == "completed"


async def test_secrets_in_headers_are_not_written_down(tmp_path: Path) -> None:
    async with (
        Upstream(reply(json={"by": "card"})) as service,
        gateway(tmp_path, service) as process,
    ):
        await pay(process, authorization="Bearer canary-1", cookie="session=canary-2")
    files = [one for one in tmp_path.iterdir() if one.name.startswith("plait.db")]
    assert files
    assert not any(b"canary" in one.read_bytes() for one in files)


async def test_nor_where_a_workflow_reads_all_headers(tmp_path: Path) -> None:
    text = PAY.replace('by: "${charge', 'seen: "${trigger.headers}", by: "${charge')
    async with (
        Upstream(reply(json={"by": "card"})) as service,
        gateway(tmp_path, service, text=text) as process,
    ):
        answer = await pay(process, x_auth_token="canary-1", x_user="ada")
        seen = told(answer)["seen"]
        assert (seen["x-user"], "x-auth-token" in seen) == ("ada", False)
    files = [one for one in tmp_path.iterdir() if one.name.startswith("plait.db")]
    assert not any(b"canary" in one.read_bytes() for one in files)


async def test_operators_list_cancel_and_restart(tmp_path: Path) -> None:
    answered = asyncio.Event()
    script = after(answered, reply(json={"by": "card"}))
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        link = (await pay(process, prefer="respond-async")).headers["location"]
        await process.ask(f"{link}/cancel", "POST", body={"reason": "a mistake"})
        cancelled = told(await process.ask(f"{link}?wait=30s"))
        assert (cancelled["status"], cancelled["error"]["message"]) == (
            "cancelled",
            "a mistake",
        )
        answered.set()
        again = told(await process.ask(f"{link}/restart", "POST", body={}))
        ended = told(await process.ask(f"{EXECUTIONS}/{again['id']}?wait=30s"))
        assert ended["status"] == "completed"
        rows = told(await process.ask(f"{EXECUTIONS}?workflow=pay&status=cancelled"))
        assert [row["id"] for row in rows["executions"]] == [cancelled["id"]]


async def test_the_list_goes_on_where_the_page_before_ended(tmp_path: Path) -> None:
    script = reply(json={"by": "card"})
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        for _ in range(3):
            assert (await pay(process)).status == 200
        every = told(await process.ask(EXECUTIONS))
        first = told(await process.ask(f"{EXECUTIONS}?limit=2"))
        behind = f"{EXECUTIONS}?limit=2&before={first['before']}"
        rest = told(await process.ask(behind))
    assert first["executions"] + rest["executions"] == every["executions"]
    assert (len(rest["executions"]), rest["before"], every["before"]) == (1, None, None)


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/none", 404, "execution.unknown"),
        ("?status=odd", 400, "request.invalid"),
        ("?colour=red", 400, "request.invalid"),
        ("?limit=0", 400, "request.invalid"),
        ("?before=016bc658", 400, "request.invalid"),
        ("?since=soon", 400, "request.invalid"),
        ("/none?wait=ever", 400, "request.invalid"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(
    tmp_path: Path, target: str, status: int, code: str
) -> None:
    async with Upstream(reply()) as service, gateway(tmp_path, service) as process:
        answer = await process.ask(EXECUTIONS + target)
        assert (answer.status, answer.error_code) == (status, code)


@pytest.mark.parametrize(
    ("verb", "body", "code", "said"),
    [
        ("cancel", {"compensat": True}, "request.invalid", "did you mean 'compensate'?"),
        ("fork", {"from": "charge", "document": "x"}, "request.invalid", "from, input"),
        ("resume", {"reason": "x"}, "request.invalid", "takes nothing: send {}"),
        ("approve", {"by": "ada", "rolls": ["cfo"]}, "request.invalid", "'roles'?"),
        ("decide", {"as": "retry", "response": 7}, "decision.invalid", "takes no response"),
    ],
)
async def test_what_a_verb_does_not_take_is_refused_and_changes_nothing(
    tmp_path: Path, verb: str, body: dict[str, object], code: str, said: str
) -> None:
    script = after(asyncio.Event(), reply())
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        link = (await pay(process, prefer="respond-async")).headers["location"]
        refused = await process.ask(f"{link}/{verb}", "POST", body=body)
        assert (refused.status, refused.error_code) == (400, code)
        assert said in told(refused)["error"]["message"]
        assert told(await process.ask(link))["status"] == "running"


async def test_a_gateway_open_to_the_network_shows_ends_and_no_more(tmp_path: Path) -> None:
    async with (
        Upstream(reply(json={"by": "card"})) as service,
        gateway(tmp_path, service, "--host=0.0.0.0", text=OPEN) as process,
    ):
        answer = await pay(process)
        link = f"{EXECUTIONS}/{answer.headers['plait-execution-id']}"
        assert told(await process.ask(link)).keys() == {
            *("id", "workflow", "status", "created_at", "updated_at", "output", "error")
        }
        for target, method in ((EXECUTIONS, "GET"), (f"{link}/cancel", "POST")):
            refused = await process.ask(target, method, body={})
            assert (refused.status, refused.error_code) == (401, "request.unauthenticated")


async def test_a_page_of_another_site_cannot_post(tmp_path: Path) -> None:
    async with Upstream(reply()) as service, gateway(tmp_path, service) as process:
        plain = {"content_type": "text/plain"}
        target = f"{EXECUTIONS}/x/cancel"
        answer = await process.ask(target, "POST", body=b"{}", **plain)
        assert answer.status == 415


async def test_a_store_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "pay.yaml").write_text(PAY)
    (tmp_path / "plait.db").write_text("no database at all " * 100)
    serve = ("serve", "pay.yaml", "--port=0", "--store=plait.db")
    done = await plait(*serve, cwd=tmp_path)
    assert (done.code, done.err.split(":")[0]) == (2, "store.no_database")


async def test_a_store_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.write_text("no folder")
    (tmp_path / "pay.yaml").write_text(PAY)
    store = f"--store={in_the_way / 'plait.db'}"
    async with serving(tmp_path / "pay.yaml", arguments=[store]) as process:
        ready = await process.ask("/health/ready")
        said = told(ready)
        assert (ready.status, said["status"]) == (503, "unready")
        assert said["store"] == "store.unavailable"
        assert (await process.ask("/health/live")).status == 200
        assert (await pay(process)).error_code == "store.unavailable"
        in_the_way.unlink()
        async with asyncio.timeout(WAIT_S):
            while (ready := await process.ask("/health/ready")).status != 200:
                pass
        assert told(ready)["status"] == "ready"


async def test_an_address_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "pay.yaml").write_text(PAY)
    serve = ("serve", "pay.yaml", "--port=0", "--store=redis://localhost:0")
    done = await plait(*serve, cwd=tmp_path)
    assert (done.code, done.err.split(":")[0]) == (2, "store.unavailable")


async def test_a_store_that_nobody_needs_keeps_nobody_from_serving(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(EXPRESS)
    (tmp_path / "plait.db").write_text("no database at all " * 100)
    store = f"--store={tmp_path / 'plait.db'}"
    async with serving(tmp_path / "w.yaml", arguments=[store]) as process:
        assert told(await process.ask("/w")) == 1
        assert any("stay where they are" in line for line in process.lines)


async def test_express_documents_need_no_store(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(EXPRESS)
    store = "--store=/proc/no/place.db"
    async with serving(tmp_path / "w.yaml", arguments=[store]) as process:
        assert told(await process.ask("/w")) == 1
        answer = await process.ask(EXECUTIONS)
        assert (answer.status, answer.error_code) == (503, "store.unavailable")


async def test_what_happens_is_streamed_while_it_happens(tmp_path: Path) -> None:
    answered = asyncio.Event()
    script = after(answered, reply(json={"by": "card"}))
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        link = (await pay(process, prefer="respond-async")).headers["location"]
        async with process.client() as client:
            client.send(request_bytes(f"{link}/events"))
            head = await client.until(b"}\n\n")
            assert b"content-type: text/event-stream" in head
            assert b"event: turn\nid: 1\n" in head
            answered.set()
            rest = await client.closed()
            assert b"event: turn\nid: 2\n" in rest
            assert b'"output":{"paid":7,"by":"card"}' in rest.split(b"event: end")[1]
        async with process.client() as client:
            client.send(request_bytes(f"{link}/events", last_event_id="1"))
            again = await client.closed()
            assert b"id: 1\n" not in again
            assert b"event: turn\nid: 2\n" in again


async def test_a_stream_ends_when_the_gateway_does(tmp_path: Path) -> None:
    script = after(asyncio.Event(), reply())
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        link = (await pay(process, prefer="respond-async")).headers["location"]
        async with process.client() as client:
            client.send(request_bytes(f"{link}/events"))
            await client.until(b"event: turn\n")
            process.stop()
            await client.closed()
        assert await process.ended() == 0


WAITING = """\
name: waiting
endpoint: {method: POST, path: /waiting}
steps:
  - {id: paid, type: wait, event: {name: payment}}
  - {id: agreed, type: approval, depends_on: [paid], approvers: [ada]}
output: {paid: "${paid.response.sum}", by: "${agreed.response.by}"}
"""


async def test_signals_and_decisions_come_through_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(WAITING)
    store = f"--store={tmp_path / 'plait.db'}"
    async with serving(tmp_path / "w.yaml", arguments=[store]) as process:
        link = (await process.ask("/waiting", "POST", body={})).headers["location"]
        early = await process.ask(f"{link}/approve", "POST", body={"by": "ada"})
        assert (early.status, early.error_code) == (409, "approval.not_asked")
        nameless = await process.ask(f"{link}/signals", "POST", body={"payload": 1})
        assert (nameless.status, nameless.error_code) == (400, "request.invalid")
        paid = {"name": "payment", "payload": {"sum": 7}, "id": "p1"}
        for _ in range(2):
            assert (await process.ask(f"{link}/signals", "POST", body=paid)).status == 200
        refused = await process.ask(f"{link}/approve", "POST", body={"by": "eve"})
        assert (refused.status, refused.error_code) == (403, "approval.not_an_approver")
        await process.ask(f"{link}/approve", "POST", body={"by": "ada"})
        ended = told(await process.ask(f"{link}?wait=20s"))
        assert ended["output"] == {"paid": 7, "by": "ada"}
        again = await process.ask(f"{link}/resume", "POST", body={})
        assert (again.status, again.error_code) == (409, "execution.not_resumable")
        forked = told(await process.ask(f"{link}/fork", "POST", body={"from": "agreed"}))
        other = f"{EXECUTIONS}/{forked['id']}"
        await process.ask(f"{other}/reject", "POST", body={"by": "ada"})
        assert told(await process.ask(f"{other}?wait=20s"))["status"] == "completed"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"[" * 250 + b"]" * 250, "request.malformed"),
        (b'{"sum": 1, "sum": 2}', "request.malformed"),
        (b"18446744073709551616", "request.invalid"),
    ],
)
async def test_a_signal_that_cannot_be_kept_as_it_is_changes_nothing(
    tmp_path: Path, payload: bytes, code: str
) -> None:
    (tmp_path / "w.yaml").write_text(WAITING)
    store = f"--store={tmp_path / 'plait.db'}"
    async with serving(tmp_path / "w.yaml", arguments=[store]) as process:
        link = (await process.ask("/waiting", "POST", body={})).headers["location"]
        body = b'{"name": "payment", "payload": ' + payload + b"}"
        json_type = {"content_type": "application/json"}
        refused = await process.ask(f"{link}/signals", "POST", body=body, **json_type)
        assert (refused.status, refused.error_code) == (400, code)
        await process.ask(f"{link}/cancel", "POST", body={})
        assert told(await process.ask(f"{link}?wait=20s"))["status"] == "cancelled"


async def test_what_an_execution_waits_for_is_told(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(WAITING)
    store = f"--store={tmp_path / 'plait.db'}"
    async with serving(tmp_path / "w.yaml", arguments=[store]) as process:
        link = (await process.ask("/waiting", "POST", body={})).headers["location"]
        (wait,) = told(await process.ask(link))["waits"]
        assert (wait["step"], wait["for"], wait["name"]) == ("paid", "event", "payment")
        await process.ask(f"{link}/cancel", "POST", body={})
        assert told(await process.ask(f"{link}?wait=20s"))["waits"] == []


async def test_a_fork_takes_no_input_that_does_not_fit(tmp_path: Path) -> None:
    script = reply(json={"by": "card"})
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        link = f"{EXECUTIONS}/{(await pay(process)).headers['plait-execution-id']}"
        body = {"from": "charge", "input": {"amount": "much"}}
        refused = await process.ask(f"{link}/fork", "POST", body=body)
        assert (refused.status, refused.error_code) == (400, "request.invalid")
        (violation,) = told(refused)["error"]["details"]["violations"]
        assert violation["path"] == "/amount"


async def test_a_stream_after_an_event_that_never_was_ends_with_its_execution(
    tmp_path: Path,
) -> None:
    script = reply(json={"by": "card"})
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        running = (await pay(process, prefer="respond-async")).headers["location"]
        async with process.client() as client, asyncio.timeout(WAIT_S):
            client.send(request_bytes(f"{running}/events", last_event_id="9999"))
            assert b"event: end" in await client.closed()


SAGA = """\
name: trip
endpoint: {method: POST, path: /trip, wait: 20s}
on_failure: compensate
steps:
  - id: book
    type: http
    request: {method: POST, url: http://service/book}
    compensate: {type: http, request: {method: POST, url: http://service/unbook}}
  - {id: pay, type: http, depends_on: [book], request: {method: POST, url: http://service/pay}}
output: "${pay.response}"
"""


@pytest.mark.parametrize("mode", ["durable", "express"])
async def test_what_a_failed_request_did_is_undone_before_the_answer(
    tmp_path: Path, mode: str
) -> None:
    text = f"mode: {mode}\n{SAGA}"
    if mode == "express":
        text = text.replace(", wait: 20s", "")
    (tmp_path / "w.yaml").write_text(text)
    store = f"--store={tmp_path / 'plait.db'}"
    service = Upstream(reply(json="done")).on("/pay", reply(402))
    async with (
        service,
        serving(
            tmp_path / "w.yaml", upstreams={"service": service}, arguments=[store]
        ) as process,
    ):
        answer = await process.ask("/trip", "POST", body={})
        assert (answer.status, answer.error_code) == (502, "connector.http.402")
        targets = [one.target for one in service.requests]
        assert targets == ["/book", "/pay", "/unbook"]


async def test_a_trip_that_was_booked_is_rolled_back(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(SAGA)
    store = f"--store={tmp_path / 'plait.db'}"
    async with (
        Upstream(reply(json="done")) as service,
        serving(
            tmp_path / "w.yaml", upstreams={"service": service}, arguments=[store]
        ) as process,
    ):
        answer = await process.ask("/trip", "POST", body={})
        link = f"{EXECUTIONS}/{answer.headers['plait-execution-id']}"
        assert (await process.ask(f"{link}/rollback", "POST", body={})).status == 200
        ended = told(await process.ask(f"{link}?wait=20s"))
        assert ended["status"] == "compensated"
        assert [one.target for one in service.requests][2:] == ["/unbook"]
        again = await process.ask(f"{link}/rollback", "POST", body={})
        assert (again.status, again.error_code) == (409, "execution.nothing_to_undo")


async def test_what_is_kept_for_a_time_is_archived_and_goes_by_itself(
    tmp_path: Path,
) -> None:
    times = {
        "PLAIT_STORE_RETENTION": "100ms",
        "PLAIT_STORE_ARCHIVE": str(tmp_path / "archive"),
    }
    async with Upstream(reply(json={"by": "card"})) as service:
        document = tmp_path / "pay.yaml"
        document.write_text(PAY)
        upstreams = {"service": service}
        async with serving(document, upstreams=upstreams, settings=times) as process:
            answer = await pay(process, idempotency_key="order-7")
            first = answer.headers["plait-execution-id"]
            async with asyncio.timeout(WAIT_S):
                while (await process.ask(f"{EXECUTIONS}/{first}")).status != 404:
                    await asyncio.sleep(0)
            (archive,) = (tmp_path / "archive").iterdir()
            assert json.loads(archive.read_text())["execution"]["execution_id"] == first
            # The key went with it.
            answer = await pay(process, idempotency_key="order-7")
            assert answer.headers["plait-execution-id"] != first
