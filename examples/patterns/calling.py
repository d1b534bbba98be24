"""How the Python twins call the services: by the same URLs as the documents.

    order = await call("POST", "http://orders/orders", {"sku": "kettle"})

Inside a step of a pattern a call carries the step's idempotency key, and a refusal has the
code that it has in a document.

Not here: retries and the rest of them; that is what a twin shows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from plait.patterns import StepError, current_call

TIMEOUT_S = 5
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_addresses: dict[str, str] = {}


class CallFailed(StepError):
    """A service refused, or gave no answer.

    Attributes:
        status, body: What it answered; status 0: nothing.
    """

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(
            f"connector.http.{status}" if status else "connector.closed",
            f"the service answered {status}: {body}" if status else str(body),
            is_final=status != 0 and status not in TRY_AGAIN,
        )
        self.status = status
        self.body = body


@contextmanager
def services_at(addresses: Mapping[str, str]) -> Iterator[None]:
    """Say where the hosts of URLs really are, as `--resolve` does for documents."""
    _addresses.update(addresses)
    try:
        yield
    finally:
        _addresses.clear()


async def call(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Any:
    """Make one call and return what was answered, decoded.

    Raises:
        CallFailed: The status is not 2xx, or there is none.
    """
    return (await call_and_status(method, url, body, headers))[1]


async def call_and_status(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """As `call`, and return the status before what was answered."""
    sent = {**_key_of_step(), **(headers or {})}
    status, answered = await asyncio.to_thread(_call, method, url, body, sent)
    if not 200 <= status < 300:
        raise CallFailed(status, answered)
    return status, answered


def _key_of_step() -> dict[str, str]:
    try:
        key = current_call().idempotency_key
    except LookupError:  # no step calls
        return {}
    return {} if key is None else {"Idempotency-Key": key}


def _call(method: str, url: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = HTTPConnection(_addresses[parts.netloc], timeout=TIMEOUT_S)
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, target, content, dict(headers))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
