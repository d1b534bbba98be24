"""Foreach node: its steps for each of many items, some of them at the same time.

Rule 1. Only items under way have a frame. One that is over leaves its result, or its
        failure, and nothing else: memory grows with what is in flight.
Rule 2. Items begin in their order; results stand in that order too, whoever ends first.
Rule 3. An item's steps stand at `fan[3]/charge`, in its second attempt at
        `fan[3]~2/charge`: the idempotency key is the same, as for every round.

Rule 4. Pages of items are fetched one after the other, each when fewer items wait than may
        be under way; the address of its steps is `fan[page3]/fetch`. What fails there
        fails the step.

Not here: loops with a condition (plait.kernel.iteration).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from plait.expression import ExpressionError
from plait.kernel.backoff import is_retryable
from plait.kernel.durations import duration_failure, duration_ms
from plait.kernel.frames import pass_over
from plait.kernel.iteration import TURN_EVENTS_MAX
from plait.kernel.machine import Machine, Offers
from plait.kernel.paths import inside
from plait.kernel.retry import Tried, next_at_ms, retry_of_items
from plait.kernel.state import Execution, Frame, Run
from plait.kernel.timers import cancel_timer, start_timer
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node

_TIMEOUT: Final = "item_timeout"
_RETRY: Final = "item_retry"
# The scope that fetches a page, and the name of its frame; those of items are numbers.
_PAGES: Final = "pages"


@dataclass(slots=True)
class Item:
    """One item under way. `timer` is that of its time limit; 0: it has none."""

    item: JsonValue
    attempt: int = 1
    deadline_at_ms: int | None = None
    timer: int = 0


@dataclass(slots=True)
class Items:
    """Where a foreach is.

    Attributes:
        waiting: Those that are known and have not begun.
        results: What each that is known yielded; null for what failed, or did not run.
        failures: Each with `index`, `item` and `error`, in the order of failing.
        under_way: By number.
        next: The number of the next to begin.
        batch_end: The first number that is of a later batch; -1: there are no batches.
        is_waiting: True while a timer runs that is for all: between two batches or turns.
        is_cut_short: True once `break` was true: no further item begins.
        page: How many pages have come.
        cursor: What the last of them says of the next one.
        is_fetching: True while one is under way.
        is_whole: True when there are no more pages.
    """

    batch_end: int
    waiting: deque[JsonValue] = field(default_factory=deque)
    results: list[JsonValue] = field(default_factory=list)
    failures: list[JsonObject] = field(default_factory=list)
    under_way: dict[int, Item] = field(default_factory=dict)
    next: int = 0
    skipped_count: int = 0
    is_waiting: bool = False
    is_cut_short: bool = False
    page: int = 0
    cursor: JsonValue = None
    is_fetching: bool = False
    is_whole: bool = True

    def take(self, items: list[JsonValue]) -> None:
        """Let items wait for their turn."""
        self.waiting.extend(items)
        self.results.extend([None] * len(items))

    @property
    def has_more(self) -> bool:
        """True while there are items to begin."""
        return bool(self.waiting) and not self.is_cut_short


class ForeachMachine(Machine):
    """Keeps as many items under way as there may be."""

    name: ClassVar[str] = "foreach"
    repeats: ClassVar[str] = "each item"

    def suffix(self, name: str) -> str:
        """Pages are told apart from items."""
        return "[page*]/" if name == _PAGES else super().suffix(name)

    def repeated(self, name: str) -> str:
        """See plait.kernel.machine.Machine."""
        return "each page" if name == _PAGES else self.repeats

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Render the items, or fetch the first page of them, and begin."""
        all_of = Items(_option(run.node, "batch_size") or -1)
        all_of.is_whole = _PAGES not in run.node.scopes
        run.memory = all_of
        if all_of.is_whole:
            items = run.node.templates["items"].render(run.frame.names)
            if not isinstance(items, list):
                kernel.fail(x, run, _no_items(items))
                return
            all_of.take(items)
        self._fill(kernel, x, run)

    # -- beginning -------------------------------------------------------------------

    def _fill(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin what may begin; complete when nothing is left."""
        all_of: Items = run.memory
        most = _option(run.node, "max_concurrency")
        looked_at = 0
        while all_of.has_more and not all_of.is_waiting:
            if all_of.next == all_of.batch_end:
                if all_of.under_way:
                    break
                if self._is_pausing(kernel, x, run):
                    return
                continue
            if len(all_of.under_way) >= most:
                break
            if looked_at + len(x.events) >= TURN_EVENTS_MAX:
                self._end_turn(kernel, x, run)
                return
            looked_at += 1
            if not self._begin(kernel, x, run, all_of.next):
                return
            all_of.waiting.popleft()
            all_of.next += 1
        self._fetch_or_complete(kernel, x, run)

    def _end_turn(self, kernel: Offers, x: Execution, run: Run) -> None:
        run.memory.is_waiting = True
        kernel.start_timer(x, run, x.now_ms)

    def _fetch_or_complete(self, kernel: Offers, x: Execution, run: Run) -> None:
        all_of: Items = run.memory
        if all_of.is_waiting or all_of.is_fetching:
            return
        if all_of.is_whole or all_of.is_cut_short:
            if not all_of.under_way and not all_of.has_more:
                self._complete(kernel, x, run)
        elif len(all_of.waiting) < _option(run.node, "max_concurrency"):
            self._fetch(kernel, x, run)

    # -- pages -----------------------------------------------------------------------

    def _fetch(self, kernel: Offers, x: Execution, run: Run) -> None:
        all_of: Items = run.memory
        if len(x.events) >= TURN_EVENTS_MAX:
            self._end_turn(kernel, x, run)
            return
        most = _option(run.node, "max_pages")
        if all_of.page >= most:
            text = f"'{run.path}' would fetch more than its {most} pages"
            details: JsonObject = {"max_pages": most}
            failure = Failure("limit.pages", text, details, Advice.FIX_REQUEST)
            kernel.fail(x, run, failure)
            return
        all_of.is_fetching = True
        names: dict[str, JsonValue] = {"next": all_of.cursor, "iteration": all_of.page}
        kernel.open_frame(x, run, _PAGES, f"[page{all_of.page}]/", names, _PAGES)

    def _take_page(self, kernel: Offers, x: Execution, run: Run, frame: Frame) -> None:
        """A page has come: let its items wait, and note where the next one is."""
        all_of: Items = run.memory
        all_of.is_fetching = False
        templates = run.node.templates
        try:
            items = templates["pages.items"].render(frame.names)
            cursor = templates["pages.next"].render(frame.names)
        except ExpressionError as error:
            kernel.fail(x, run, error.failure())
            return
        if not isinstance(items, list):
            kernel.fail(x, run, _no_items(items))
            return
        # Empty text, too, is how APIs say that there is no more.
        all_of.is_whole = cursor is None or cursor is False or cursor == ""
        if cursor == all_of.cursor and not all_of.is_whole and cursor is not True:
            text = f"page {all_of.page} of '{run.path}' names itself as the next one"
            kernel.fail(x, run, Failure("foreach.same_page", text, advice=Advice.REPORT))
            return
        all_of.cursor = cursor
        all_of.page += 1
        all_of.take(items)
        self._fill(kernel, x, run)

    def _begin(self, kernel: Offers, x: Execution, run: Run, index: int) -> bool:
        """Begin an item, or pass over it. False: the step has failed."""
        all_of: Items = run.memory
        template = run.node.templates.get("continue")
        if template is not None:
            names = run.frame.names | _seen(all_of.waiting[0], index)
            try:
                is_passed_over = template.render_bool(names)
            except ExpressionError as error:
                kernel.fail(x, run, error.failure())
                return False
            if is_passed_over:
                all_of.skipped_count += 1
                return True
        item = all_of.under_way[index] = Item(all_of.waiting[0])
        limit_ms = run.node.options.get("item_timeout_ms")
        if isinstance(limit_ms, int):
            item.deadline_at_ms = x.now_ms + limit_ms
            item.timer = start_timer(x, run, f"{_TIMEOUT} {index}", item.deadline_at_ms)
        self._open(kernel, x, run, index)
        return True

    def _open(self, kernel: Offers, x: Execution, run: Run, index: int) -> None:
        all_of: Items = run.memory
        item = all_of.under_way[index]
        suffix = inside(f"[{index}]", item.attempt) + "/"
        seen = _seen(item.item, index)
        kernel.open_frame(x, run, "steps", suffix, seen, str(index))

    def _is_pausing(self, kernel: Offers, x: Execution, run: Run) -> bool:
        """A batch is over. True: the next one has to wait, or the step has failed."""
        all_of: Items = run.memory
        all_of.batch_end = all_of.next + _option(run.node, "batch_size")
        template = run.node.templates.get("batch_delay")
        if template is None:
            return False
        try:
            due_at_ms = x.now_ms + duration_ms(template.render(run.frame.names))
        except ExpressionError as error:
            kernel.fail(x, run, error.failure())
            return True
        except ValueError as error:
            kernel.fail(x, run, duration_failure(error))
            return True
        all_of.is_waiting = True
        kernel.start_timer(x, run, due_at_ms)
        return True

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The next batch is due, or the turn before was long enough."""
        run.memory.is_waiting = False
        self._fill(kernel, x, run)

    def dump_memory(self, memory: Items) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        under_way: list[JsonValue] = [
            [index, item.item, item.attempt, item.deadline_at_ms, item.timer]
            for index, item in memory.under_way.items()
        ]
        return {
            "waiting": list(memory.waiting),
            "results": memory.results,
            "batch_end": memory.batch_end,
            "failures": cast("list[JsonValue]", memory.failures),
            "under_way": under_way,
            "next": memory.next,
            "skipped_count": memory.skipped_count,
            "is_waiting": memory.is_waiting,
            "is_cut_short": memory.is_cut_short,
            "page": memory.page,
            "cursor": memory.cursor,
            "is_fetching": memory.is_fetching,
            "is_whole": memory.is_whole,
        }

    def load_memory(self, saved: Any) -> Items:
        """See plait.kernel.machine.Machine."""
        under_way = {index: Item(*facts) for index, *facts in saved["under_way"]}
        lists = {name: list(saved[name]) for name in ("results", "failures")}
        waiting = deque(saved["waiting"])
        return Items(**{**saved, **lists, "waiting": waiting, "under_way": under_way})

    # -- an item's end ---------------------------------------------------------------

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Keep what the item yielded, or the items of a page; go on with others."""
        if frame.name == _PAGES:
            self._take_page(kernel, x, run, frame)
            return
        all_of: Items = run.memory
        index = int(frame.name)
        stop = run.node.templates.get("break")
        try:
            all_of.is_cut_short |= stop is not None and stop.render_bool(frame.names)
        except ExpressionError as error:
            kernel.fail(x, run, error.failure())
            return
        cancel_timer(x, run, all_of.under_way.pop(index).timer)
        all_of.results[index] = output
        if all_of.is_cut_short and all_of.is_fetching:
            all_of.is_fetching = False
            kernel.close_frame(x, run.frames[_PAGES])
        self._fill(kernel, x, run)

    def on_frame_failed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, failure: Failure
    ) -> None:
        """Try the item again, or leave it, or fail; without a page there is no going on."""
        if frame.name == _PAGES:
            kernel.fail(x, run, failure)
            return
        index = int(frame.name)
        item = run.memory.under_way[index]
        place = run.node.place
        failure = failure.at(step=run.path, attempts=run.attempt, place=place)
        policy = retry_of_items(run.node)
        if policy is not None and is_retryable(failure, policy, "read"):
            path, limit = f"{run.path}[{index}]", item.deadline_at_ms
            tried = Tried(item.attempt, path, frame.names, limit)
            failure, due_at_ms = next_at_ms(x, policy, tried, failure)
            if due_at_ms is not None:
                start_timer(x, run, f"{_RETRY} {index}", due_at_ms)
                return
        self._lose(kernel, x, run, index, failure)

    def on_item_timer(self, kernel: Offers, x: Execution, run: Run, purpose: str) -> None:
        """An item is tried again, or its time is over."""
        kind, _, number = purpose.partition(" ")
        index = int(number)
        if kind == _RETRY:
            run.memory.under_way[index].attempt += 1
            self._open(kernel, x, run, index)
            return
        frame = run.frames.get(number)
        if frame is not None:
            kernel.close_frame(x, frame)
        for timer, other in list(run.timers.items()):
            if other == f"{_RETRY} {index}":
                cancel_timer(x, run, timer)
        text = f"item {index} of '{run.path}' did not end within its time limit"
        failure = Failure("step.timeout", text, advice=Advice.RETRY, classes=("timeout",))
        self._lose(kernel, x, run, index, failure)

    def _lose(
        self, kernel: Offers, x: Execution, run: Run, index: int, failure: Failure
    ) -> None:
        all_of: Items = run.memory
        failure = failure.at(step=run.path, attempts=run.attempt, place=run.node.place)
        if run.node.options["on_item_error"] == "fail":
            kernel.fail(x, run, failure)
            return
        pass_over(run, failure)
        item = all_of.under_way.pop(index)
        cancel_timer(x, run, item.timer)
        lost: JsonObject = {"index": index, "item": item.item}
        all_of.failures.append({**lost, "error": failure.as_json()})
        self._fill(kernel, x, run)

    def _complete(self, kernel: Offers, x: Execution, run: Run) -> None:
        all_of: Items = run.memory
        total, failed = len(all_of.results), len(all_of.failures)
        skipped = all_of.skipped_count + total - all_of.next
        success = total - failed - skipped
        failures = sorted(all_of.failures, key=lambda one: cast("int", one["index"]))
        response: JsonObject = {
            "results": all_of.results,
            "failures": cast("list[JsonValue]", failures),
            "total": total,
            "success_count": success,
            "failure_count": failed,
            "skipped_count": skipped,
            "success_rate": success / (success + failed) if success + failed else 1.0,
        }
        if _PAGES in run.node.scopes:
            response["pages"] = all_of.page
        run.memory = None
        kernel.succeed(x, run, response)


def _seen(item: JsonValue, index: int) -> dict[str, Any]:
    return {"item": item, "index": index}


def _no_items(found: JsonValue) -> Failure:
    text = f"items: a list is needed, this is {_kind_of(found)}"
    return Failure("foreach.items", text, advice=Advice.FIX_REQUEST)


def _option(node: Node, name: str) -> int:
    value = node.options[name]
    assert isinstance(value, int)
    return value


def _kind_of(value: JsonValue) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    kinds = {str: "text", int: "a number", float: "a number", dict: "a mapping"}
    return kinds[type(value)]


MACHINE = ForeachMachine()
