"""The search in Python: a FanOutFanIn with an aggregator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from examples.patterns.calling import call
from plait.patterns import FanOutFanIn, StepError

SOURCES = ("catalog", "manuals", "forum")


def source(name: str) -> Callable[[str], Awaitable[Any]]:
    """Return what asks one source."""

    async def search(question: str) -> Any:
        asked = urlencode({"q": question})
        return (await call("GET", f"http://{name}/search?{asked}"))["hits"]

    return search


def merged(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return all hits, the best first."""
    if not found:
        raise StepError("search.unavailable", "No source answered in time.", is_final=True)
    hits = [hit for name in SOURCES for hit in found.get(name, [])]
    return sorted(hits, key=lambda hit: -hit["score"])


SEARCH = FanOutFanIn[str, list[dict[str, Any]]](
    "search-fan-out",
    {name: source(name) for name in SOURCES},
    aggregate=merged,
    task_timeout_s=1,
    on_error="continue",
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    outcome = await SEARCH.run(given["q"])
    return {
        "hits": outcome.output,
        "searched": len(outcome.succeeded),
        "missing": outcome.failed,
    }
