"""Patterns in a journal: killed processes, keys, several patterns beside each other."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plait.connectors.python import Functions, PythonCalls
from plait.drivers.journal import JournalDriver, Start, waits_for_worker
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import WorkerLost
from plait.patterns import Journal, RunKeyReused, Saga, SagaStep
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from plait.stores.sqlite import SqliteStore
from tests.unit.drivers.policies import plan_of
from tests.unit.patterns.programs import shop

ORDER = {"amount": 7}
DOCUMENT = """
name: loud
steps:
  - {id: up, type: python, request: {function: stock.upper, arguments: [abc]}}
output: ${up.response}
"""


async def killed_at(step: str, journal: Path, log: Path, outcome: str) -> None:
    """Run the saga in a process of its own, and kill that with SIGKILL at `step`."""
    module = "tests.unit.patterns.programs"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, str(journal), str(log), step, outcome),
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"there\n"
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL


def calls_in(log: Path) -> list[tuple[str, str]]:
    return [(word, key) for word, key in map(str.split, log.read_text().splitlines())]


async def test_a_saga_killed_half_way_goes_on_where_it_was(tmp_path: Path) -> None:
    journal, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("charge", journal, log, "ships")
    outcome = await shop(log).run(ORDER, journal=journal, key="order-17")
    assert outcome.output == {"reserve": "place-3", "charge": 7, "ship": "on its way"}
    calls = calls_in(log)
    assert [word for word, _ in calls] == ["reserve", "charge", "charge", "ship"]
    assert calls[1] == calls[2], "the call that was under way is made again with its key"


async def test_a_saga_killed_before_it_fails_is_undone_by_who_takes_it_up(
    tmp_path: Path,
) -> None:
    journal, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("ship", journal, log, "refuses")
    saga = shop(log, refuses=True)
    outcome = await saga.run(ORDER, journal=journal, key="order-17")
    assert outcome.status == "compensated"
    assert outcome.undone == ["charge", "reserve"]
    words = [word for word, _ in calls_in(log)]
    assert words == ["reserve", "charge", "ship", "ship", "refund", "release"]


async def test_a_saga_killed_while_it_undoes_goes_on_undoing(tmp_path: Path) -> None:
    journal, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("refund", journal, log, "refuses")
    saga = shop(log, refuses=True)
    outcome = await saga.run(ORDER, journal=journal, key="order-17")
    assert outcome.status == "compensated"
    calls = calls_in(log)
    words = [word for word, _ in calls]
    assert words == ["reserve", "charge", "ship", "refund", "refund", "release"]
    assert len(set(calls)) == 5, "both refunds have the same key, all others one each"


async def test_a_journal_goes_on_with_what_was_left_without_being_asked(
    tmp_path: Path,
) -> None:
    path, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("charge", path, log, "ships")
    saga = shop(log)
    async with Journal(path, saga) as journal:
        again = await saga.run(ORDER, journal=journal, key="order-17")
        other = await saga.run({"amount": 8}, journal=journal)
    assert again.output["charge"] == 7
    assert other.output["charge"] == 8


async def test_a_key_that_came_before_is_the_same_run(tmp_path: Path) -> None:
    saga, journal = shop(tmp_path / "log"), tmp_path / "orders.db"
    first = await saga.run(ORDER, journal=journal, key="order-17")
    second = await saga.run(ORDER, journal=str(journal), key="order-17")
    assert (second.execution_id, second.output) == (first.execution_id, first.output)
    assert second.steps["ship"].status == "completed"
    assert len(calls_in(tmp_path / "log")) == 3
    with pytest.raises(RunKeyReused, match="named a run with another value"):
        await saga.run({"amount": 8}, journal=journal, key="order-17")
    with pytest.raises(ValueError, match="key: it names a run in a journal; give one"):
        await saga.run(ORDER, key="order-17")


async def test_many_runs_beside_each_other_share_a_journal(tmp_path: Path) -> None:
    saga = shop(tmp_path / "log")
    async with Journal(tmp_path / "orders.db") as journal:
        runs = [saga.run({"amount": n}, journal=journal) for n in range(50)]
        outcomes = await asyncio.gather(*runs)
    assert [one.output["charge"] for one in outcomes] == list(range(50))
    words = Counter(word for word, _ in calls_in(tmp_path / "log"))
    assert words == {"reserve": 50, "charge": 50, "ship": 50}


async def test_what_another_program_left_is_not_touched(tmp_path: Path) -> None:
    """A worker that does not know a function leaves the step to whoever does."""
    path, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("charge", path, log, "ships")
    pay = Saga[int]("pay", [SagaStep("pay", lambda amount: amount + 1)])
    assert (await pay.run(1, journal=path)).output == {"pay": 2}
    assert [word for word, _ in calls_in(log)] == ["reserve", "charge"]
    outcome = await shop(log).run(ORDER, journal=path, key="order-17")
    assert outcome.status == "completed"


class Stranger:
    """A worker that stays on a journal and knows no functions, as `plait serve` may."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Stranger:
        self.store = await SqliteStore.open(self._path)
        calls = PythonCalls(Functions())
        self.driver = JournalDriver(self.store, calls, Kernel, worker_id="stranger")
        await self.driver.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.driver.close()
        await self.store.close()

    async def has_let_go(self) -> str:
        """Wait until it has held the run, and does no more; return the run's id."""
        (found,) = await self.store.find(Search())
        execution_id = found.new.execution_id
        await self.driver.ended(execution_id, waits_for_worker)
        return execution_id


@pytest.mark.parametrize("is_run_again", [True, False], ids=["run again", "taken up"])
async def test_a_worker_that_lacks_the_functions_keeps_a_run_from_nobody(
    tmp_path: Path, is_run_again: bool
) -> None:
    path, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("charge", path, log, "ships")
    saga = shop(log)
    async with Stranger(path) as stranger, asyncio.timeout(15):
        execution_id = await stranger.has_let_go()
        async with Journal(path, saga) as journal:
            if is_run_again:
                outcome = await saga.run(ORDER, journal=journal, key="order-17")
                assert outcome.execution_id == execution_id
            assert (await journal.ended(execution_id)).status == "completed"
            entries = await journal.entries(execution_id)
    calls = calls_in(log)
    assert [word for word, _ in calls] == ["reserve", "charge", "charge", "ship"]
    assert calls[1] == calls[2]
    events = [event for entry in entries for event in load_turn(entry)]
    lost = [event.deaths for event in events if isinstance(event, WorkerLost)]
    assert lost == [1], "that of the process that was killed"


async def test_a_journal_of_patterns_keeps_no_document_from_who_serves_it(
    tmp_path: Path,
) -> None:
    """A document's function, which waits for no worker, must not fail here either."""
    path, begun = tmp_path / "orders.db", asyncio.Event()

    async def hang(text: str) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def serving(function: Any) -> AsyncIterator[JournalDriver]:
        calls = PythonCalls(Functions({"stock.upper": function}))
        driver = JournalDriver(store, calls, Kernel, worker_id="server")
        await driver.open()
        yield driver
        await driver.close()

    store = await SqliteStore.open(path)
    async with asyncio.timeout(15):
        async with serving(hang) as driver:
            await driver.start(plan_of(DOCUMENT), Start("x", None))
            await begun.wait()
        async with Journal(path, Saga[int]("pay", [SagaStep("pay", abs)])):
            while not waits_for_worker((await store.find(Search()))[0].standing):
                await store.changed()
            async with serving(str.upper) as driver:
                await driver.ended("x")
                assert (await driver.result("x")).output == "ABC"
    await store.close()


async def test_any_store_can_be_a_journal() -> None:
    store = MemoryStore()
    saga = Saga[int]("pay", [SagaStep("pay", lambda amount: amount + 1)])
    first = await saga.run(1, journal=store, key="a")
    assert (await saga.run(1, journal=store, key="a")).execution_id == first.execution_id
    await store.close()


async def test_a_run_that_is_given_up_stays_in_the_journal_and_goes_on(
    tmp_path: Path,
) -> None:
    path, begun = tmp_path / "orders.db", asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    def made(last: Any) -> Saga[None]:
        return Saga("order", [SagaStep("first", lambda: 1), SagaStep("last", last)])

    run = asyncio.create_task(made(hang).run(None, journal=path, key="a"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    outcome = await made(lambda: 2).run(None, journal=path, key="a")
    assert outcome.output == {"first": 1, "last": 2}


@pytest.mark.parametrize(
    ("key", "said"),
    [(17, "key: a text is needed, this is a int"), ("\udc80", "key: it has half a")],
)
async def test_a_key_that_is_no_text_is_refused_and_harms_no_journal(
    key: Any, said: str, tmp_path: Path
) -> None:
    pay = Saga[int]("pay", [SagaStep("pay", lambda amount: amount + 1)])
    journal = tmp_path / "orders.db"
    with pytest.raises(ValueError, match=said):
        await pay.run(1, journal=journal, key=key)
    assert (await pay.run(1, journal=journal, key="17")).output == {"pay": 2}


@pytest.mark.parametrize("place", [5, b"orders.db", ":memory:", "", "sqlite::memory:"])
async def test_what_can_be_no_journal_is_refused(place: Any) -> None:
    pay = Saga[int]("pay", [SagaStep("pay", lambda amount: amount + 1)])
    with pytest.raises(ValueError, match="journal: "):
        await pay.run(1, journal=place)


def test_two_patterns_of_one_name_do_not_share_a_journal(tmp_path: Path) -> None:
    one = Saga[None]("order", [SagaStep("a", lambda: 1)])
    same = Saga[None]("order", [SagaStep("a", lambda: 1)])
    other = Saga[None]("order", [SagaStep("b", lambda: 1)])
    Journal(tmp_path / "a.db", one, same)
    with pytest.raises(ValueError, match="another pattern of the name 'order'"):
        Journal(tmp_path / "a.db", one, other)
    with pytest.raises(ValueError, match="'postgresql' is opened by its own class"):
        Journal("postgresql://localhost/plait")
