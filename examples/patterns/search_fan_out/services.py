"""Three sources that are searched at once; the words of a question decide who copes."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from examples.patterns.serving import Call, Refusal, Reply, Service, route

SCENES = {
    "All three find something": [{"q": "kettle"}],
    "The forum takes too long: the other two answer": [{"q": "teapot"}],
    "Nobody answers in time": [{"q": "everything"}],
}


class Source(Service):
    """Something that can be searched; `late_for` are the words it is slow for."""

    found: ClassVar[dict[str, list[tuple[str, float]]]]
    late_for: ClassVar[tuple[str, ...]] = ()

    @route("GET", "/search")
    async def search(self, call: Call) -> Reply:
        """Answer with what is found, and how well it fits."""
        word = call.query["q"]
        if word in self.late_for:
            await asyncio.sleep(5)
        if word not in self.found:
            raise Refusal(503, "overloaded", "try again later")
        hits = [{"title": title, "score": score} for title, score in self.found[word]]
        return Reply({"hits": hits})


class Catalog(Source):
    """What is sold."""

    host = "catalog"
    found: ClassVar = {
        "kettle": [("Kettle, 1.7 l", 0.97), ("Kettle descaler", 0.61)],
        "teapot": [("Teapot, cast iron", 0.92)],
    }


class Manuals(Source):
    """How it is used."""

    host = "manuals"
    found: ClassVar = {
        "kettle": [("Kettle: descaling", 0.88)],
        "teapot": [("Teapot: first use", 0.93)],
    }


class Forum(Source):
    """What people say of it."""

    host = "forum"
    late_for = ("teapot",)
    found: ClassVar = {"kettle": [("My kettle will not stop", 0.74)], "teapot": []}


def services() -> list[Service]:
    """Return all three, new."""
    seen: list[str] = []
    return [Catalog(seen), Manuals(seen), Forum(seen)]
