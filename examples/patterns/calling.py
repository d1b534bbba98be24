"""How the Python twins call the services: by the same URLs as the documents.

    order = await call("POST", "http://orders/orders", {"sku": "kettle"})

Not here: retries and the rest of them; that is what a twin shows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 5
_ADDRESSES: ContextVar[Mapping[str, str]] = ContextVar("addresses")


class CallFailed(Exception):
    """A service refused, or gave no answer (status 0).

    Attributes:
        status, body: What it answered.
        code: The code that the same failure has in a document.
    """

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"status {status}: {body}" if status else str(body))
        self.status = status
        self.body = body
        self.code = f"connector.http.{status}" if status else "connector.closed"


@contextmanager
def services_at(addresses: Mapping[str, str]) -> Iterator[None]:
    """Say where the hosts of URLs really are, as `--resolve` does for documents."""
    token = _ADDRESSES.set(addresses)
    try:
        yield
    finally:
        _ADDRESSES.reset(token)


async def call(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Any:
    """Make one call and return what was answered, decoded.

    Raises:
        CallFailed: The status is not 2xx, or there is none.
    """
    status, answered = await asyncio.to_thread(_call, method, url, body, headers or {})
    if not 200 <= status < 300:
        raise CallFailed(status, answered)
    return answered


def _call(method: str, url: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = HTTPConnection(_ADDRESSES.get()[parts.netloc], timeout=TIMEOUT_S)
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, target, content, dict(headers))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
