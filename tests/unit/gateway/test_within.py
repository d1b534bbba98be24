"""Middleware of other packages: its order, and what happens when it fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from plait.gateway.message import Reply, Request, json_reply
from plait.gateway.within import within

ASKED = Request("GET", "/", "", {})


async def answer(request: Request) -> Reply:
    return json_reply(200, request.path)


class Written:
    """Writes its name into the reply, and into the path."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def handle(self, request: Request, then: Any) -> Reply:
        inner = Request(request.method, request.path + self._name, "", request.headers)
        reply: Reply = await then(inner)
        reply.headers.append((b"x-by", self._name.encode()))
        return reply

    async def close(self) -> None: ...


class Failing(Written):
    """Fails, or returns what is no reply."""

    def __init__(self, result: Any) -> None:
        self._result = result

    async def handle(self, request: Request, then: Any) -> Reply:
        if isinstance(self._result, BaseException):
            raise self._result
        found: Reply = self._result
        return found


def test_without_middleware_nothing_stands_around_an_answer() -> None:
    assert within((), answer) is answer


async def test_the_first_is_the_outermost() -> None:
    reply = await within((Written("a"), Written("b")), answer)(ASKED)
    assert reply.body == b'"/ab"'
    assert reply.headers[1:] == [(b"x-by", b"b"), (b"x-by", b"a")]


@pytest.mark.parametrize(
    "result", [ValueError("s3cret"), SystemExit("s3cret"), None, "reply"]
)
async def test_one_that_fails_is_answered_500_and_told_in_the_log(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        reply = await within((Written("a"), Failing(result)), answer)(ASKED)
    assert reply.status == 500
    assert b"s3cret" not in reply.body
    assert "middleware Failing" in caplog.text
