"""What Sentry gets, over a real socket: errors with ids, and no secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import sentry_sdk

from plait.telemetry.sentry import begin
from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply

logger = logging.getLogger("plait.tests")


@pytest.fixture(autouse=True)
def untold() -> Iterator[None]:
    """Nobody is told any more when the test is over."""
    yield
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.init()


def event_in(body: bytes) -> dict[str, Any]:
    """Return the event of an envelope."""
    body = brotli.decompress(body)
    told: dict[str, Any] = json.loads(body.splitlines()[2])
    return told


async def test_an_error_is_told_with_its_ids_and_without_secrets() -> None:
    password = "s3cr3t-word"
    async with Upstream(reply(json={})) as project:
        address = f"http://key@{project.address}/7"
        begin(address, "shop", lambda text: text.replace("s3cr3t-word", "***"))
        logger.warning("this is no error")
        try:
            raise ValueError(f"refused {password}")
        except ValueError:
            ids = {"execution_id": "e1", "tenant": "t1", "hidden": password}
            logger.exception("it went wrong: %s", password, extra=ids)
        await project.until_requests(1)
        (request,) = project.requests
    assert request.target == "/api/7/envelope/"
    event = event_in(request.body)
    assert event["tags"] == {"execution_id": "e1", "tenant": "t1"}
    assert (event["level"], event["server_name"]) == ("error", "shop")
    (raised,) = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "refused ***")
    assert "s3cr3t-word" not in json.dumps(event)
    assert all("vars" not in frame for frame in raised["stacktrace"]["frames"])


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no DSN"):
        begin("nonsense", "shop", str)
