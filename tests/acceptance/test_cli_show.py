"""`plait executions show`: what every step was asked and answered, with no secret in it."""

from __future__ import annotations

from pathlib import Path

import orjson

from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import Done, plait

PAY = """\
name: pay
steps:
  - id: card
    type: http
    request: {method: POST, url: http://service/cards, body: {owner: "${input.owner}"},
              headers: {Authorization: "Bearer ${secrets.token}"}}
  - id: charge
    type: http
    retry: {max_attempts: 2, delay: 1ms, on: [503]}
    request: {method: POST, url: http://service/charges,
              body: {card: "${card.response.id}"}}
"""
SECRET = {"PLAIT_SECRET_TOKEN": "xyz"}


async def pay(folder: Path, statuses: list[int]) -> str:
    """Run PAY, its charges answered with `statuses` in turn; return the execution's id."""
    (folder / "pay.yaml").write_text(PAY)

    async def script(peer: Peer, request: Request) -> None:
        status = statuses.pop(0) if request.target == "/charges" else 200
        await reply(status, json={"id": "c1", "note": "n" * 300})(peer, request)

    async with Upstream(script) as service:
        ran = await plait(
            *("run", "pay.yaml", "-i", '{"owner": "ada"}', "--durable"),
            *("--resolve", f"service={service.address}"),
            cwd=folder,
            env=SECRET,
        )
    return ran.lines[0].split()[1]


async def show(folder: Path, *more: str, env: dict[str, str] | None = None) -> Done:
    done = await plait("executions", "show", *more, cwd=folder, env=env)
    assert done.code == 0, done.err
    return done


async def test_each_request_and_response_is_shown_and_no_secret(tmp_path: Path) -> None:
    execution = await pay(tmp_path, [200])
    told = (await show(tmp_path, execution, env=SECRET)).out
    assert '"body":{"owner":"ada"}' in told
    assert '"Bearer ***"' in told
    assert '"body":{"card":"c1"}' in told
    assert f'"idempotency_key":"{execution}/charge"' in told
    assert "xyz" not in told
    shortened = [line.split()[0] for line in told.splitlines() if line.endswith("…")]
    assert shortened.count("response") == 2
    whole = (await show(tmp_path, execution, "--full", env=SECRET)).out
    assert whole.count("n" * 300) == told.count("n" * 300) + 2
    steps = orjson.loads((await show(tmp_path, execution, "--json", env=SECRET)).out)[
        "steps"
    ]
    assert [step["request"]["body"] for step in steps] == [{"owner": "ada"}, {"card": "c1"}]


async def test_each_attempt_tells_why_it_failed(tmp_path: Path) -> None:
    execution = await pay(tmp_path, [503, 400])
    told = (await show(tmp_path, execution, env=SECRET)).out
    assert "  attempt 1  connector.http.503: POST http://service/charges" in told
    assert "  attempt 2  connector.http.400: POST http://service/charges" in told
    assert "answered 400 Bad Request (line 7, column 5)" in told


async def test_watch_writes_events_as_json_lines(tmp_path: Path) -> None:
    execution = await pay(tmp_path, [503, 400])
    done = await plait("executions", "watch", execution, "--json", cwd=tmp_path)
    events = [orjson.loads(line) for line in done.out.splitlines()]
    assert done.code == 1
    assert [event["type"] for event in events if event.get("step") == "charge"] == [
        "StepStarted",
        "CallFailed",
        "RetryScheduled",
        "RetryStarted",
        "CallFailed",
        "StepFailed",
    ]
    assert events[0]["input"] == {"owner": "ada"}
    assert events[-1]["type"] == "ExecutionFailed"


async def test_who_lacks_the_secret_sees_the_rest(tmp_path: Path) -> None:
    execution = await pay(tmp_path, [200])
    told = (await show(tmp_path, execution)).out
    assert '  response   {"id":"c1"' in told


async def test_since_and_until_take_a_moment_or_a_duration(tmp_path: Path) -> None:
    await pay(tmp_path, [200])

    async def count(*filters: str) -> int:
        done = await plait("executions", "list", "--json", *filters, cwd=tmp_path)
        return len(orjson.loads(done.out))

    past, future = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    assert [await count("--since", one) for one in (past, future, "1h")] == [1, 0, 1]
    assert [await count("--until", one) for one in (past, future, "1h")] == [0, 1, 0]
