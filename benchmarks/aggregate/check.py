"""Before anything is timed: does the peer do the work?"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

from benchmarks.aggregate import data
from benchmarks.harness.processes import BenchmarkFailed


def check_replies(name: str, port: int) -> None:
    """Compare the replies of the server at `port` with what every peer must answer.

    Raises:
        BenchmarkFailed: One differs; the text has both.
    """
    for user_id in (data.VIP_ID, data.PLAIN_ID):
        status, body = get(port, f"/profiles/{user_id}")
        expected = data.composite(user_id)
        if (status, body) != (200, expected):
            raise BenchmarkFailed(
                f"{name} answered {status} {json.dumps(body)}\n"
                f"instead of 200 {json.dumps(expected)}"
            )
    status, body = get(port, f"/profiles/{data.INVALID_ID}")
    if not 400 <= status < 500:
        raise BenchmarkFailed(f"{name} answered {status} for an invalid user_id: {body}")


def get(port: int, path: str) -> tuple[int, Any]:
    """GET `path`; return the status and the decoded JSON."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError as error:
        raise BenchmarkFailed(f"no JSON at {path}: {text[:200]!r}") from error
