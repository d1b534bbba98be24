"""What an execution came to, for whoever has waited: as its journal tells it, unread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import orjson
import pytest

from plait.drivers.inline import Result
from plait.drivers.journal import JournalDriver, Start
from plait.gateway.final_names import final_names
from plait.ports.journal import History, Search
from plait.stores.memory import MemoryStore
from tests.unit.drivers.workers import Answers, driver_on, run
from tests.unit.gateway.scenes import plan_of

_CALL = "type: http, request: {url: 'http://shop/'}"
DOCUMENTS = {
    "at once": "steps: [{id: a, type: set, value: '${input.n + 1}'}]\noutput: '${a}'",
    "called": f"steps: [{{id: a, {_CALL}}}]\noutput: '${{a.response}}'",
    "each": f"""
steps:
  - {{id: nap, type: wait, for: 20ms}}
  - id: three
    type: foreach
    items: [1, 2, 3]
    steps: [{{id: b, {_CALL}, retry: {{max_attempts: 2, delay: 5ms}}}}]
output: done
""",
    "failed": f"steps: [{{id: bad, {_CALL}, retry: {{max_attempts: 2, delay: 5ms}}}}]",
    "undone": f"""
on_failure: compensate
steps:
  - {{id: a, {_CALL}, compensate: {{{_CALL}}}}}
  - {{id: bad, {_CALL}, depends_on: [a]}}
""",
}


class _Counting(MemoryStore):
    """A store that knows how often a history was read."""

    reads = 0

    async def read(self, execution_id: str) -> History:
        """See Journal."""
        self.reads += 1
        return await super().read(execution_id)


def answers() -> Answers:
    """Answer all calls but those of the step `bad`."""
    calls = Answers()
    calls.response = {"status": 200, "headers": {}, "body": {"n": 1.5, "of": [None, "ü"]}}
    calls.broken = {f"bad/{number}" for number in range(1, 4)} | {"bad"}
    return calls


def bench(
    course: Callable[[_Counting, JournalDriver], Coroutine[Any, Any, None]],
    **options: Any,
) -> None:
    """Run a course with one worker."""

    async def main() -> None:
        store = _Counting()
        driver = driver_on(store, "worker", answers(), **options)
        await driver.open()
        await course(store, driver)
        await driver.close()

    run(main)


def seen(result: Result) -> list[object]:
    """Return what can be seen of a result, with the names that templates read."""
    of_state = final_names(result, result.failure)
    return [replace(result, state=ANY), result.trace.as_json(), orjson.dumps(of_state)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_who_waited_gets_what_the_journal_tells_without_reading_it(name: str) -> None:
    plan = plan_of(f"name: w\nmode: durable\n{DOCUMENTS[name]}")

    async def course(store: _Counting, driver: JournalDriver) -> None:
        with driver.awaiting("x"):
            await driver.start(plan, Start("x", {"n": 1}))
            await driver.ended("x")
            told, reads = await driver.result("x"), store.reads
        assert reads == 0
        assert seen(told) == seen(await driver.result("x"))
        assert store.reads == 1

    bench(course)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_parent_gets_what_its_child_came_to_without_reading_it(name: str) -> None:
    child = plan_of(f"name: child\nmode: durable\n{DOCUMENTS[name]}")
    step = "{id: kid, type: workflow, request: {name: child, input: {n: 1}}}"
    plan = plan_of(f"name: w\nmode: durable\nsteps: [{step}]\noutput: '${{kid.response}}'")

    async def course(store: _Counting, driver: JournalDriver) -> None:
        with driver.awaiting("x"):
            await driver.start(plan, Start("x", None))
            await driver.ended("x")
            told, reads = await driver.result("x"), store.reads
        assert reads == 0
        (kid,) = await store.find(Search(workflow="child"))
        own = await driver.result(kid.new.execution_id)
        assert (told.status == "completed") == (own.status == "completed")
        if own.status == "completed":
            assert told.output == own.output

    bench(course, workflows=lambda *_: child)
