"""A long history of a loop begins anew in its place, and nothing else changes by that."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from plait.drivers.journal import replay, verify
from plait.drivers.journal.history import HistoryDamaged
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import HistoryBegun
from plait.kernel.turn import Limits
from plait.operations import BegunAnew, Fork, fork, restart, resume, show, started_by
from plait.operations.archive import Intake, line_of
from plait.operations.checking import Checker
from plait.operations.following import Following
from plait.operations.requests import requests
from plait.plan import Plan
from plait.ports.journal import Append, History, Search
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, give, plan_with
from tests.unit.drivers.workers import Answers, Lives, run

EACH = ask("x", {"at": "${iteration}", "of": "${input.name}"}, effect="keyed")
ROUNDS = 60
KEPT = 40
GIVEN: Any = {"name": "n" * 100}


def kernel_for(plan: Plan) -> Kernel:
    return Kernel(plan, limits=Limits(events_max=10 * KEPT, events_kept=KEPT))


def loop(**settings: Any) -> Plan:
    step: dict[str, Any] = {"id": "l", "type": "while", "steps": [EACH]}
    step |= {"while": f"${{iteration < {ROUNDS}}}", **settings}
    return plan_with(step, output="${l.response.iterations}")


def circle() -> Plan:
    """The same as a sequence that jumps back."""
    count = "${(n.response == null ? 0 : int(n.response)) + 1}"
    back: dict[str, Any] = {"id": "g", "type": "goto", "to": "n"}
    back["condition"] = f"${{n.response < {ROUNDS}}}"
    steps = (give("n", count), ask("x", "${input.name}", effect="keyed"), back)
    return plan_with(*steps, order="sequence", output="${n.response}")


def paged() -> Plan:
    """The same as items of pages, five to each; of the results nothing is kept."""
    got = {"id": "got", "type": "set", "value": "${[0, 1, 2, 3, 4]}"}
    pages: dict[str, Any] = {"steps": [got], "items": "${got.response}"}
    pages["next"] = f"${{iteration < {ROUNDS // 5 - 1} ? iteration + 1 : null}}"
    each = ask("x", "${input.name}", effect="keyed")
    step = {"id": "l", "type": "foreach", "pages": pages, "max_concurrency": 2}
    step |= {"steps": [each], "result": None}
    return plan_with(step, output="${l.response.success_count}")


class CountingStore(MemoryStore):
    """Counts the entries of each history that is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_counts: list[int] = []
        self.begun_count = 0

    async def append(self, append: Append) -> None:
        await super().append(append)
        self.begun_count += append.begins_history

    async def read(self, execution_id: str) -> History:
        history = await super().read(execution_id)
        self.read_counts.append(len(history.entries))
        return history


class Case(Lives):
    """A store, and workers whose histories begin anew after some 40 events."""

    store: CountingStore
    calls: Answers

    def __init__(self) -> None:
        super().__init__(CountingStore(), Answers(), kernel_for, GIVEN)
        self.calls.response = {"long": "-" * 200}


def first_of(history: History) -> HistoryBegun:
    first = load_turn(history.entries[0].body)[0]
    assert isinstance(first, HistoryBegun)
    return first


def test_a_loop_ends_as_ever_with_a_history_that_stays_short() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        history = await case.store.read("x")
        verify(history)
        shown = show(history, 0)
        assert (shown.status, shown.output) == ("completed", ROUNDS)
        assert shown.started.input == GIVEN
        assert case.store.begun_count >= 3
        assert len(history.entries) < KEPT < history.summary.length
        assert first_of(history).number == history.summary.length - len(history.entries) + 1
        assert case.calls.made == [f"l[{number}]/x" for number in range(ROUNDS)]

    run(main)


def test_a_sequence_that_jumps_back_begins_its_history_anew_and_keeps_count() -> None:
    async def main() -> None:
        case = Case()
        await case.live(circle(), for_s=0.205)
        await case.live(None, for_s=2, dies=False)
        shown = show(await case.store.read("x"), 0)
        assert (shown.status, shown.output) == ("completed", ROUNDS)
        assert case.store.begun_count >= 3
        made = list(dict.fromkeys(case.calls.made))
        assert made == ["x", *(f"x#{number}" for number in range(2, ROUNDS + 1))]

    run(main)


def test_pages_of_items_go_on_where_they_were_when_the_history_begins_anew() -> None:
    async def main() -> None:
        case = Case()
        for _ in range(2):
            await case.live(paged() if case.count == 0 else None, for_s=0.105)
        await case.live(None, for_s=2, dies=False)
        shown = show(await case.store.read("x"), 0)
        assert (shown.status, shown.output) == ("completed", ROUNDS)
        assert case.store.begun_count >= 2
        made = list(dict.fromkeys(case.calls.made))
        assert made == [f"l[{number}]/x" for number in range(ROUNDS)]

    run(main)


@pytest.mark.parametrize("for_s", [0.035, 0.075])
def test_whoever_takes_over_reads_few_entries_and_repeats_only_what_was_under_way(
    for_s: float,
) -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=for_s)
        for _ in range(2 * ROUNDS):
            if await case.status() != "running":
                break
            await case.live(None, for_s=for_s)
        assert await case.status() == "completed"
        made = case.calls.made
        assert list(dict.fromkeys(made)) == [f"l[{number}]/x" for number in range(ROUNDS)]
        assert len(made) <= ROUNDS + case.count
        assert max(case.store.read_counts) < KEPT

    run(main)


def test_what_failed_after_its_history_began_anew_is_resumed_there() -> None:
    async def main() -> None:
        case = Case()
        case.calls.broken = {"l[50]/x"}
        await case.live(loop(), for_s=2, dies=False)
        assert await case.status() == "failed"
        first_of(await case.store.read("x"))
        case.calls.broken.clear()
        await resume(case.hand(), "x")
        await case.live(None, for_s=2, dies=False)
        assert await case.status() == "completed"
        numbers = [*range(51), *range(50, ROUNDS)]
        assert case.calls.made == [f"l[{number}]/x" for number in numbers]

    run(main)


def test_a_secret_of_a_resume_is_waited_for_after_the_history_began_anew() -> None:
    async def main() -> None:
        case, secrets = Case(), {"token": "a-secret-token"}
        each = ask("x", "${secrets.token}", effect="keyed")
        plan = loop(steps=[each], delay="20ms")
        await case.live(plan, for_s=1, dies=False)
        assert await case.status() == "failed"
        await resume(case.hand(**secrets), "x")
        await case.live(for_s=0.8, secrets=secrets)  # between two iterations
        begun = first_of(await case.store.read("x"))
        assert ([*begun.started.secrets], begun.state["secrets"]) == ([], ["token"])
        await case.live(for_s=3)
        standing = (await case.store.read("x")).summary.standing
        assert (standing.status, standing.error_code) == (
            "running",
            "execution.secret_missing",
        )
        await case.live(for_s=3, dies=False, secrets=secrets)
        assert await case.status() == "completed"

    run(main)


def test_a_fork_keeps_what_came_before_also_what_is_in_the_kept_state_only() -> None:
    async def main() -> None:
        case = Case()
        each = ask("x", {"of": "${execution.id}"}, effect="keyed")
        await case.live(loop(steps=[each]), for_s=2, dies=False)
        begun = first_of(await case.store.read("x"))
        await fork(replace(case.hand(), by="user:ann"), Fork("x", "l[57]/x"), "y")
        case.calls.made.clear()
        await case.live(None, for_s=0.015)
        await case.live(None, for_s=2, dies=False)
        assert await case.status("y") == "completed"
        made = list(dict.fromkeys(case.calls.made))
        assert made == [f"y/l[{number}]/x" for number in range(57, ROUNDS)]
        copy = await case.store.read("y")
        verify(copy)
        assert show(copy, 0).output == ROUNDS
        assert first_of(copy).started.execution_id == "y"
        assert first_of(copy).started.at_ms == begun.started.at_ms
        by = {"type": "fork", "by": "user:ann", "execution_id": "x"}
        assert started_by(first_of(copy).started.trigger) == by
        told = await requests(case.hand(), copy)
        assert told["l[59]/x"]["arg"] == {"of": "y"}  # type: ignore[call-overload,index]

    run(main)


def test_a_fork_goes_on_beside_what_was_under_way_when_the_history_began() -> None:
    """Of two loops one is long: the other's item is under way all the time."""

    async def main() -> None:
        case = Case()
        case.calls.broken = {"l[59]/x"}
        slow: dict[str, Any] = {"id": "nap", "type": "wait", "for": "700ms"}
        other = ask("after", effect="keyed", depends_on=["nap", "l"])
        step: dict[str, Any] = {"id": "l", "type": "while", "steps": [EACH]}
        step["while"] = f"${{iteration < {ROUNDS}}}"
        plan = plan_with(step, slow, other)
        await case.live(plan, for_s=2, dies=False)
        assert await case.status() == "failed"
        first_of(await case.store.read("x"))
        case.calls.broken.clear()
        case.calls.made.clear()
        await fork(case.hand(), Fork("x", "l[58]/x"), "y")
        await case.live(None, for_s=2, dies=False)
        assert await case.status("y") == "completed"
        numbers = range(58, ROUNDS)
        assert case.calls.made == [*(f"y/l[{one}]/x" for one in numbers), "y/after"]

    run(main)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Fork("x", "l"), "'l' began before that"),
        (Fork("x", "l[3]/x"), "'l[3]/x' began before that"),
        (Fork("x", "l[59]/x", {"name": "new"}, has_input=True), "another input"),
        (Fork("x", "l[59]/x", plan=loop(delay="1s")), "another document"),
    ],
)
def test_a_fork_is_refused_that_what_is_kept_cannot_tell(wanted: Fork, reason: str) -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        with pytest.raises(BegunAnew, match=re.escape(reason)) as refused:
            await fork(case.hand(), wanted, "y")
        assert refused.value.code == "execution.begun_anew"
        assert len(await case.store.find(Search())) == 1

    run(main)


def test_a_fork_with_the_same_document_is_the_same_fork() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        await fork(case.hand(), Fork("x", "l[59]/x", plan=loop()), "y")
        await case.live(None, for_s=2, dies=False)
        assert await case.status("y") == "completed"

    run(main)


def test_a_restart_begins_with_the_same_input() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        await restart(case.hand(), "x", "z")
        assert show(await case.store.read("z"), 0).started.input == GIVEN

    run(main)


def test_a_workflow_without_loops_keeps_all_of_its_history() -> None:
    async def main() -> None:
        case = Case()
        steps = [ask(f"s{number}", effect="keyed") for number in range(ROUNDS)]
        await case.live(plan_with(*steps, order="sequence"), for_s=2, dies=False)
        history = await case.store.read("x")
        assert history.summary.standing.status == "completed"
        assert len(history.entries) == history.summary.length

    run(main)


def test_what_cannot_shrink_goes_on_to_the_limit() -> None:
    async def main() -> None:
        case = Case()
        case.calls.response = {"long": "-" * 4_000}
        step: dict[str, Any] = {"id": "l", "type": "foreach", "max_concurrency": 1}
        step |= {"items": list(range(4 * KEPT)), "steps": [ask("x")]}
        grows = plan_with(step)
        await case.live(grows, for_s=9, dies=False)
        history = await case.store.read("x")
        assert history.summary.standing.error_code == "limit.events"
        assert len(history.entries) == history.summary.length

    run(main)


def test_a_history_is_damaged_when_its_beginning_is_not_the_one_that_was_written() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        history = await case.store.read("x")
        for entries in (history.entries[1:], history.entries[:1], history.entries[:-1]):
            with pytest.raises(HistoryDamaged):
                verify(History(history.summary, entries))
        told = replay(history, kernel_for(loop()), {})
        assert told.started.input == GIVEN

    run(main)


def test_an_export_is_taken_in_elsewhere_and_told_of_as_it_was() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        history = await case.store.read("x")
        line = await line_of(case.store, history)
        hand = replace(case.hand(), store=MemoryStore())
        async with Intake(hand) as intake:
            await intake.take(line)
        copy = await hand.store.read("x")
        assert copy.entries == history.entries
        verify(copy)
        assert show(copy, 0).output == ROUNDS

    run(main)


def test_a_running_one_is_shown_and_checked_and_its_requests_are_told() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=0.405)
        history = await case.store.read("x")
        number = len(case.calls.made) - 1
        assert number >= 35
        await Checker(case.hand()).check(history)
        shown = show(history, case.hand().now_ms)
        lines = {line["step"]: line["status"] for line in shown.trace.as_json()}
        assert lines["l"] == lines[f"l[{number}]/x"] == "running"
        told = await requests(case.hand(), history)
        request: Any = told[f"l[{number}]/x"]
        assert request["arg"] == {"at": number, "of": GIVEN["name"]}

    run(main)


def test_whoever_follows_is_told_what_came_since_and_that_it_has_begun_anew() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=2, dies=False)
        history = await case.store.read("x")
        dropped = history.summary.length - len(history.entries)

        async def store() -> MemoryStore:
            return case.store

        async def followed(after: int) -> list[tuple[int, Any]]:
            follow = Following(store).follow("x", after)
            return [
                turn
                async for course in follow
                for turn in course.turns(after, is_whole=True)
            ]

        first, *_ = turns = await followed(5)
        assert len(turns) == len(history.entries)
        number, turn = first
        event = turn["events"][0]
        assert number == dropped + 1
        assert event == {
            "type": "HistoryBegun",
            "number": dropped + 1,
            "at_ms": event["at_ms"],
        }
        assert len(await followed(history.summary.length - 1)) == 1

    run(main)


def test_a_start_with_its_key_is_this_execution_and_no_other() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=0.405)
        await case.live(loop(), for_s=2, dies=False)
        assert await case.status() == "completed"
        assert len(await case.store.find(Search())) == 1

    run(main)
