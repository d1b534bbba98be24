"""Calls that are made once under an idempotency key: real upstreams, the real client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.drivers.inline import Result
from plait.drivers.policies.once import Onces
from plait.kernel import CallPolicies
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.plan import OncePolicy, Policies
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from plait.resilience import MemoryIdempotencyStore
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.unit.drivers.policies import bench, grown_old, plan_of, said_by, turns

WAIT_S = 10
DOWN = reply(503)
ONCE = 'idempotency_key: {key: "pay-${input.order}"}'


class Counting:
    """Answers with how many requests have come."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, peer: Peer, request: Request) -> None:
        self.count += 1
        await reply(json={"n": self.count})(peer, request)


def pay(policies: str = ONCE, *, name: str = "w", body: str = "${input.order}") -> str:
    lines = "\n".join(f"    {line}" for line in policies.splitlines())
    return (
        f"name: {name}\nmode: express\nsteps:\n  - id: get\n    type: http\n"
        f'    request: {{method: POST, url: http://service/x, body: {{o: "{body}"}}}}\n'
        f"{lines}\n"
    )


def number(result: Result) -> Any:
    output: Any = result.output
    return output["get"]["n"]


def code_of(result: Result) -> str | None:
    return None if result.failure is None else result.failure.code


# -- who asks under one key --------------------------------------------------------------


async def test_a_second_execution_is_given_the_reply_to_the_first() -> None:
    async with Upstream(Counting()) as service, bench(service) as process:
        results = [await process.run(pay(), order=order) for order in (1, 1, 2)]
        assert [number(one) for one in results] == [1, 1, 2]
        assert [one.headers["idempotency-key"] for one in service.requests] == [
            "pay-1",
            "pay-2",
        ]
        assert said_by(results[0]) == []
        (note,) = said_by(results[1])
        assert (note["policy"], note["did"]) == ("idempotency_key", "replayed")
        assert 0 <= note["age_ms"] < 5_000
        told = process.told("idempotency_key", "replies")
        assert (told["called"], told["replayed"], told["conflicts"]) == (2, 1, 0)
        assert told["bytes"] > 0


async def test_a_hundred_tasks_make_one_call() -> None:
    answered = asyncio.Event()
    async with Upstream(after(answered, Counting())) as service, bench(service) as process:
        plan_of(pay())
        running = [asyncio.create_task(process.run(pay(), order=1)) for _ in range(100)]
        await service.until_requests(1)
        await turns()
        answered.set()
        results = await asyncio.gather(*running)
        assert [number(one) for one in results] == [1] * 100
        assert len(service.requests) == 1
        dids = [note["did"] for one in results for note in said_by(one)]
        assert dids == ["shared"] * 99
        assert process.told("idempotency_key", "replies")["shared"] == 99


async def test_two_items_with_one_key_make_one_call() -> None:
    text = """\
name: w
mode: express
steps:
  - id: every
    type: foreach
    items: ${input.orders}
    max_concurrency: 4
    steps:
      - id: get
        type: http
        request: {method: POST, url: http://service/x, body: {o: "${item}"}}
        idempotency_key: {key: "pay-${item}"}
    result: ${get.response.n}
"""
    async with Upstream(Counting()) as service, bench(service) as process:
        result = await process.run(text, orders=["a", "b", "a", "a"])
        assert result.status == "completed"
        assert sorted(one.headers["idempotency-key"] for one in service.requests) == [
            "pay-a",
            "pay-b",
        ]


async def test_a_reply_is_given_as_long_as_it_says() -> None:
    short = pay('idempotency_key: {key: "pay-${input.order}", once_for: 1ms}')
    async with Upstream(Counting()) as service, bench(service) as process:
        assert number(await process.run(short, order=1)) == 1
        await grown_old()
        assert number(await process.run(short, order=1)) == 2


async def test_each_tenant_and_each_workflow_has_keys_of_its_own() -> None:
    async with Upstream(Counting()) as service, bench(service) as process:
        mine = number(await process.run(pay(), order=1))
        theirs = number(await process.run(pay(), order=1, tenant="acme"))
        elsewhere = number(await process.run(pay(name="other"), order=1))
        again = number(await process.run(pay(), order=1, tenant="acme"))
        assert (mine, theirs, elsewhere, again) == (1, 2, 3, 2)


async def test_a_step_keeps_its_keys_when_others_come_before_it() -> None:
    later = pay().replace("steps:\n", "steps:\n  - {id: a, type: set, value: 1}\n")
    async with Upstream(Counting()) as service, bench(service) as process:
        first = await process.run(pay(), order=1)
        second = await process.run(later, order=1)
        assert (number(first), number(second)) == (1, 1)


# -- what is no answer -------------------------------------------------------------------


async def test_a_failed_call_is_no_answer_for_a_retry_nor_for_another() -> None:
    retried = f"{ONCE}\nretry: {{max_attempts: 3, delay: 1ms}}"
    script = in_turn(DOWN, reply(404), DOWN, Counting())
    async with Upstream(script) as service, bench(service) as process:
        refused = await process.run(pay(retried), order=1)
        assert code_of(refused) == "connector.http.404"
        assert number(await process.run(pay(retried), order=1)) == 1
        keys = [one.headers["idempotency-key"] for one in service.requests]
        assert keys == ["pay-1"] * 4
        assert number(await process.run(pay(retried), order=1)) == 1
        assert len(service.requests) == 4


async def test_who_waited_with_a_call_that_failed_has_failed_once_with_it() -> None:
    answered = asyncio.Event()
    script = in_turn(after(answered, reply(402)), Counting())
    async with Upstream(script) as service, bench(service) as process:
        plan_of(pay())
        running = [asyncio.create_task(process.run(pay(), order=1)) for _ in range(3)]
        await service.until_requests(1)
        await turns()
        answered.set()
        codes = [code_of(one) for one in await asyncio.gather(*running)]
        assert codes == ["connector.http.402"] * 3
        assert len(service.requests) == 1
        assert number(await process.run(pay(), order=1)) == 1


async def test_who_makes_the_call_for_others_may_leave() -> None:
    never = asyncio.Event()
    script = in_turn(after(never, DOWN), Counting())
    async with Upstream(script) as service, bench(service) as process:
        first = asyncio.create_task(process.run(pay(), order=1))
        await service.until_requests(1)
        second = asyncio.create_task(process.run(pay(), order=1))
        await turns()
        first.cancel()
        async with asyncio.timeout(WAIT_S):
            assert number(await second) == 1
        assert len(service.requests) == 2


async def test_a_call_that_ran_out_of_time_is_no_answer() -> None:
    never = asyncio.Event()
    script = in_turn(after(never, DOWN), Counting())
    quick = f"{ONCE}\ntimeout: 60ms"
    async with Upstream(script) as service, bench(service) as process:
        result = await process.run(pay(quick), order=1)
        assert code_of(result) == "connector.timeout"
        assert number(await process.run(pay(quick), order=1)) == 1


async def test_nobody_waits_for_another_longer_than_its_own_time() -> None:
    never = asyncio.Event()
    async with Upstream(after(never, DOWN)) as service, bench(service) as process:
        slow = asyncio.create_task(process.run(pay(f"{ONCE}\ntimeout: 1h"), order=1))
        await service.until_requests(1)
        async with asyncio.timeout(WAIT_S):
            quick = await process.run(pay(f"{ONCE}\ntimeout: 50ms"), order=1)
        assert code_of(quick) == "step.timeout"
        assert len(service.requests) == 1
        slow.cancel()


# -- what is refused ---------------------------------------------------------------------


async def test_another_request_under_the_key_is_refused_and_not_retried() -> None:
    policies = f"{ONCE}\nretry: {{max_attempts: 3, delay: 1ms, on: [any]}}"
    text = pay(policies, body="${input.amount}")
    async with Upstream(Counting()) as service, bench(service) as process:
        assert number(await process.run(text, order=1, amount=5)) == 1
        other = await process.run(text, order=1, amount=6)
        assert other.failure is not None
        assert other.failure.code == "resilience.idempotency_conflict"
        assert (other.failure.sent, other.failure.attempts) == (False, 1)
        assert len(service.requests) == 1
        assert process.told("idempotency_key", "replies")["conflicts"] == 1
        assert number(await process.run(text, order=1, amount=5)) == 1


async def test_another_header_is_no_other_request() -> None:
    text = pay().replace(
        "url: http://service/x", 'url: http://service/x, headers: {x-t: "${input.t}"}'
    )
    async with Upstream(Counting()) as service, bench(service) as process:
        numbers = [number(await process.run(text, order=1, t=t)) for t in ("a", "b")]
        assert numbers == [1, 1]


@pytest.mark.parametrize("key", [None, "", True, 1.5, ["a"], {"a": 1}])
async def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    text = pay('idempotency_key: {key: "${input.key}"}', body="x")
    async with Upstream(Counting()) as service, bench(service) as process:
        assert code_of(await process.run(text, key=key)) == "step.idempotency_key"
        assert not service.requests


# -- with other policies -----------------------------------------------------------------


async def test_a_reply_of_before_needs_nothing_that_is_further_in() -> None:
    policies = f"{ONCE}\nrate_limit: {{limit: 1, per: 1h, queue_timeout: 0s}}"
    async with Upstream(Counting()) as service, bench(service) as process:
        results = [await process.run(pay(policies), order=1) for _ in range(3)]
        assert [number(one) for one in results] == [1, 1, 1]
        refused = await process.run(pay(policies), order=2)
        assert code_of(refused) == "resilience.rate_limited"


# -- stores ------------------------------------------------------------------------------


class Scripted:
    """Calls whose outcomes a test decides, and that it can look at."""

    def __init__(self) -> None:
        self.open: list[tuple[Call, Done]] = []

    def start(self, call: Call, done: Done) -> CallHandle:
        entry = call, done
        self.open.append(entry)
        return _Handle(lambda: self.open.remove(entry) if entry in self.open else None)

    def end(self, outcome: Outcome) -> None:
        self.open.pop(0)[1](outcome)


class _Handle:
    def __init__(self, cancel: Callable[[], None]) -> None:
        self.cancel = cancel


POLICY = OncePolicy(3_600_000, "w/pay")


def call_under(key: str, *, who: str = "e1", body: str = "x") -> Call:
    request: dict[str, object] = {"method": "POST", "url": "http://h/", "body": body}
    around = CallPolicies(Policies(once=POLICY), {}, None, None)
    return Call("http", request, True, 30_000, key, (), who, "pay", 1, policies=around)


class Asked:
    """One who asks, and what it heard."""

    def __init__(self, onces: Onces, calls: Scripted, call: Call) -> None:
        self.heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.handle = onces.start(POLICY, call, self.heard.set_result, calls.start)


async def test_who_comes_back_after_a_crash_takes_its_own_claim_again() -> None:
    store, calls = MemoryIdempotencyStore(), Scripted()
    died, new = Onces(store), Onces(store)
    Asked(died, calls, call_under("k", who="e1"))
    await turns()
    other = Asked(new, calls, call_under("k", who="e2"))
    await turns()
    assert len(calls.open) == 1
    back = Asked(Onces(store), calls, call_under("k", who="e1"))
    await turns()
    assert len(calls.open) == 2
    calls.open.pop(0)
    calls.end(CallReply("paid", {}))
    async with asyncio.timeout(WAIT_S):
        assert (await back.heard) == CallReply("paid", {})
        told = await other.heard
    assert isinstance(told, CallReply)
    assert told.response == "paid"
    await new.close()
    await died.close()


async def test_a_claim_of_a_process_that_died_expires() -> None:
    store, calls = MemoryIdempotencyStore(), Scripted()
    await store.begin("nobody's", "x", "x", 1)
    died, new = Onces(store, claim_s=0.05), Onces(store, claim_s=0.05)
    Asked(died, calls, call_under("k", who="e1"))
    await turns()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if "_renew" in repr(task.get_coro()):
            task.cancel()  # as a death does
    other = Asked(new, calls, call_under("k", who="e2"))
    async with asyncio.timeout(WAIT_S):
        while len(calls.open) < 2:
            await asyncio.sleep(0)
    calls.open.pop(0)
    calls.end(CallReply("paid", {}))
    assert await other.heard == CallReply("paid", {})
    await died.close()
    await new.close()


async def test_nothing_is_called_while_the_store_does_not_answer() -> None:
    class Broken(MemoryIdempotencyStore):
        async def begin(self, *_: object) -> Any:
            raise ConnectionError

    onces, calls = Onces(Broken()), Scripted()
    told = await Asked(onces, calls, call_under("k")).heard
    assert isinstance(told, Failure)
    assert (told.code, told.sent) == ("resilience.idempotency_unavailable", False)
    assert not calls.open


async def test_a_store_that_is_full_takes_no_other_key_and_keeps_those_it_has() -> None:
    onces, calls = Onces(MemoryIdempotencyStore(bytes_max=1_000)), Scripted()
    first = Asked(onces, calls, call_under("k"))
    await turns()
    calls.end(CallReply("x" * 1_000, {}))
    await first.heard
    told = await Asked(onces, calls, call_under("other")).heard
    assert isinstance(told, Failure)
    assert told.code == "resilience.idempotency_unavailable"
    again = await Asked(onces, calls, call_under("k", who="e2")).heard
    assert isinstance(again, CallReply)


async def test_a_reply_that_cannot_be_kept_is_given_and_says_so() -> None:
    class Forgetful(MemoryIdempotencyStore):
        async def finish(self, *_: object) -> bool:
            raise ConnectionError

    onces, calls = Onces(Forgetful()), Scripted()
    asked = Asked(onces, calls, call_under("k"))
    await turns()
    calls.end(CallReply("paid", {}, notes=({"policy": "hedge"},)))
    told = await asked.heard
    assert isinstance(told, CallReply)
    note: JsonValue = {"policy": "idempotency_key", "did": "unkept"}
    assert told == CallReply("paid", {}, notes=({"policy": "hedge"}, note))


async def test_who_leaves_once_the_call_has_succeeded_does_not_undo_that() -> None:
    finishing = asyncio.Event()

    class Slow(MemoryIdempotencyStore):
        async def finish(self, *given: Any) -> bool:
            await finishing.wait()
            return await super().finish(*given)

    onces, calls = Onces(Slow()), Scripted()
    asked = Asked(onces, calls, call_under("k"))
    await turns()
    calls.end(CallReply("paid", {}))
    await turns()
    asked.handle.cancel()
    finishing.set()
    await onces.close()
    told = await Asked(onces, calls, call_under("k", who="e2")).heard
    assert isinstance(told, CallReply)
    assert told.response == "paid"


# -- against a model ---------------------------------------------------------------------

KEYS = st.sampled_from("ab")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), KEYS, st.sampled_from("xy")),
        st.tuples(st.just("succeed"), KEYS, st.none()),
        st.tuples(st.just("fail"), KEYS, st.none()),
        st.tuples(st.just("leave"), KEYS, st.none()),
    ),
    max_size=25,
)


class Model:
    """What a key stands for, and who waits for it: (body, who asks, first the caller)."""

    def __init__(self) -> None:
        self.replies: dict[str, tuple[str, str]] = {}
        self.pending: dict[str, tuple[str, list[Asked]]] = {}
        self.expected: list[tuple[Asked, str]] = []
        self.calls_made = 0

    def ask(self, key: str, body: str, asked: Asked) -> None:
        if key in self.replies:
            known, said = self.replies[key]
            self.expected.append((asked, said if known == body else "conflict"))
        elif key in self.pending:
            known, waiting = self.pending[key]
            if known == body:
                waiting.append(asked)
            else:
                self.expected.append((asked, "conflict"))
        else:
            self.calls_made += 1
            self.pending[key] = body, [asked]

    def end(self, key: str, said: str, *, is_reply: bool) -> None:
        body, waiting = self.pending.pop(key)
        if is_reply:
            self.replies[key] = body, said
        self.expected += [(one, said) for one in waiting]

    def leave(self, key: str) -> Asked:
        body, waiting = self.pending.pop(key)
        first = waiting.pop(0)
        if waiting:
            self.calls_made += 1
            self.pending[key] = body, waiting
        return first


def word_of(outcome: Outcome) -> str:
    if isinstance(outcome, CallReply):
        return str(outcome.response)
    is_conflict = outcome.code == "resilience.idempotency_conflict"
    return "conflict" if is_conflict else outcome.code


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_it_does_as_a_simple_model(
    steps: list[tuple[str, str, str | None]],
) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, str, str | None]]) -> None:
    onces, calls, model = Onces(), Scripted(), Model()
    made: list[Call] = []
    begin = calls.start

    def start(call: Call, done: Done) -> CallHandle:
        made.append(call)
        return begin(call, done)

    calls.start = start  # type: ignore[method-assign]
    for index, (what, key, body) in enumerate(steps):
        if what == "ask":
            assert body is not None
            call = call_under(key, who=f"e{index}", body=body)
            model.ask(key, body, Asked(onces, calls, call))
        elif key in model.pending:
            act(what, key, f"{what} {index}", calls, model)
        for _ in range(3):
            await turns()
        assert len(made) == model.calls_made
        assert sorted(str(c.idempotency_key) for c, _ in calls.open) == sorted(
            model.pending
        )
        for asked, said in model.expected:
            assert asked.heard.done()
            assert word_of(asked.heard.result()) == said
    await onces.close()


def act(what: str, key: str, said: str, calls: Scripted, model: Model) -> None:
    if what == "leave":
        model.leave(key).handle.cancel()
        return
    at = next(n for n, (c, _) in enumerate(calls.open) if c.idempotency_key == key)
    calls.open.insert(0, calls.open.pop(at))
    is_reply = what == "succeed"
    calls.end(CallReply(said, {}) if is_reply else Failure(said, ""))
    model.end(key, said, is_reply=is_reply)
