"""`foreach`: steps for each of many items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from plait.document.durations import WaitFor, check_duration
from plait.document.fields import (
    Condition,
    Span,
    Steps,
    Strict,
    Templated,
    is_one_expression,
)
from plait.document.retry import Retry, retry_options
from plait.document.step import Parts, ScopePart, Step, TemplatePart, condition_part
from plait.model.json import JsonObject, JsonValue

NAMES: Final = ("item", "index")
PAGE_NAMES: Final = ("next", "iteration")
PAGES_MAX: Final = 1_000_000
CONCURRENCY_MAX: Final = 1_000


def _items(value: Any) -> Any:
    if not isinstance(value, list) and not _is_expression(value):
        raise ValueError("items are a list, or one expression that yields one: ${ … }")
    return value


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and is_one_expression(value)


def _check_items(value: JsonValue) -> None:
    if not isinstance(value, list):
        raise ValueError("items are a list")


ItemList = Annotated[
    list[Any] | str,
    BeforeValidator(_items),
    WithJsonSchema(
        {"anyOf": [{"type": "array"}, {"type": "string", "pattern": r"^\$\{[\s\S]*\}\n?$"}]}
    ),
]


class Pages(Strict):
    """Items that come in pages: how one is fetched, and where the next one is."""

    order: Literal["graph", "sequence"] = "graph"
    """Of the steps: as soon as what they read has settled, or one after the other."""
    steps: Steps
    """What fetches one page. They see what the page before said of this one as `next` (null
    for the first), and its number, from 0, as `iteration`."""
    items: ItemList
    """The items of the page; sees its steps."""
    next: Templated
    """Where the next page is, whatever says it: a cursor, a number, an address; sees the
    page's steps. Null, false or an empty text: there is none."""
    max_pages: Annotated[int, Field(ge=1, le=PAGES_MAX)] = 100
    """One more and the step fails with `limit.pages`."""


class ForeachStep(Step):
    """Run steps for each item, some items at the same time.

    The response has `results` (one per item, in their order; null for what failed or did
    not run), `failures` (`index`, `item` and `error` each), `total`, `success_count`,
    `failure_count`, `skipped_count` and `success_rate` (of those that ran).
    """

    machine: ClassVar[str] = "foreach"
    inner_names: ClassVar[tuple[str, ...]] = NAMES
    holder_names: ClassVar[tuple[str, ...]] = PAGE_NAMES
    keys_after: ClassVar[tuple[str, ...]] = ("break", "result")

    type: Literal["foreach"]
    items: ItemList | None = None
    """A list, or a template that yields one. A step has `items` or `pages`."""
    pages: Pages | None = None
    """Items that are fetched page by page, as those before are used up."""
    order: Literal["graph", "sequence"] = "graph"
    """Of the steps: as soon as what they read has settled, or one after the other."""
    steps: Steps
    """What is done for one item. They see it as `item`, and its number, from 0, as
    `index`."""
    result: Templated = None
    """What one item yields; sees its steps. Default: a mapping from step id to response."""
    max_concurrency: Annotated[int, Field(ge=1, le=CONCURRENCY_MAX)] = 10
    """How many items are under way at the same time."""
    batch_size: Annotated[int | None, Field(ge=1)] = None
    """So many items make a batch; the next begins when all of one are over. Default: all
    are one batch."""
    batch_delay: WaitFor | None = None
    """Wait between two batches: a duration, or a template that yields one."""
    on_item_error: Literal["fail", "continue"] = "fail"
    """`fail`: the first item that fails for good fails the step, and the others are
    cancelled. `continue`: it is among the `failures`."""
    item_timeout: Span | None = None
    """Each item, all its attempts together."""
    item_retry: Retry | None = None
    """When and how often an item that failed is tried again, with all its steps."""
    break_: Annotated[Condition | None, Field(alias="break")] = None
    """Tested after each item, whose steps it sees: true lets no further item begin."""
    continue_: Annotated[Condition | None, Field(alias="continue")] = None
    """Tested before each item: true passes over it."""

    @model_validator(mode="after")
    def _delay_has_batches(self) -> Self:
        if self.batch_delay is not None and self.batch_size is None:
            raise ValueError("a `batch_delay` needs a `batch_size`")
        return self

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where the items come from is said once."""
        if self.items is None and self.pages is None:
            yield (), "a `foreach` needs `items`, or `pages` that have them"
        if self.items is not None and self.pages is not None:
            yield ("pages",), "a `foreach` has either `items` or `pages`"

    def parts(self, raw: JsonObject) -> Parts:
        """One scope, for each item; and perhaps another, for each page of them."""
        del raw
        templates = []
        if self.items is not None:
            templates.append(TemplatePart("items", ("items",), check=_check_items))
        if self.continue_ is not None:
            templates.append(condition_part("continue", names=NAMES))
        if self.batch_delay is not None:
            part = TemplatePart("batch_delay", ("batch_delay",), check=check_duration)
            templates.append(part)
        if self.item_retry is not None and isinstance(self.item_retry.on, str):
            templates.append(_retry_part())
        after = () if self.break_ is None else (condition_part("break", names=NAMES),)
        scopes = [ScopePart("steps", (), self.order, NAMES, "result", after)]
        if self.pages is not None:
            scopes.append(_pages_part(self.pages))
        return Parts(tuple(templates), tuple(scopes), options=self._options())

    def _options(self) -> JsonObject:
        options: JsonObject = {
            "max_concurrency": self.max_concurrency,
            "batch_size": self.batch_size or 0,
            "on_item_error": self.on_item_error,
        }
        if self.pages is not None:
            options["max_pages"] = self.pages.max_pages
        if self.item_timeout is not None:
            options["item_timeout_ms"] = self.item_timeout
        if self.item_retry is not None:
            options["item_retry"] = retry_options(self.item_retry)
        return options


def _pages_part(pages: Pages) -> ScopePart:
    after = (
        TemplatePart(
            "pages.items", ("pages", "items"), names=PAGE_NAMES, check=_check_items
        ),
        TemplatePart("pages.next", ("pages", "next"), names=PAGE_NAMES),
    )
    return ScopePart("pages", ("pages",), pages.order, PAGE_NAMES, "", after)


def _retry_part() -> TemplatePart:
    names = (*NAMES, "error")
    return TemplatePart("item_retry_on", ("item_retry", "on"), names=names)


STEP = ForeachStep
