"""A client that knows a gateway by its OpenAPI document only.

It imports nothing of Plait: what it needs to know, the document has to tell.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

_TIMEOUT_S = 60


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    type: str
    id: str
    data: Any


class Undocumented(Exception):
    """The gateway answered as its document does not tell."""


class OpenapiClient:
    """Calls operations by their ids.

    Args:
        headers: Sent with every request: credentials, say.
    """

    def __init__(self, host: str, port: int, headers: dict[str, str] | None = None) -> None:
        self._address = (host, port)
        self._headers = headers or {}
        self._operations: dict[str, tuple[str, str, Any]] = {}
        self.document: Any = None
        self.learn()

    def learn(self) -> None:
        """Read the document, again if something was deployed."""
        status, _, data = self._send("GET", "/openapi.json", None, {})
        assert status == 200
        self.document = json.loads(data)
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def call(self, operation_id: str, body: Any = None, **given: Any) -> Any:
        """Return what a successful operation answers.

        Raises:
            Undocumented: It answered with a status or a type that the document lacks.
            AssertionError: It failed.
        """
        status, told = self.answer(operation_id, body, **given)
        assert status < 400, (operation_id, status, told)
        return told

    def answer(self, operation_id: str, body: Any = None, **given: Any) -> tuple[int, Any]:
        """Return the status and the JSON with which an operation is answered."""
        status, data = self._ask(operation_id, body, given, "application/json")
        return status, json.loads(data)

    def refused(self, operation_id: str, body: Any = None, **given: Any) -> tuple[int, str]:
        """Return the status and the code with which an operation is refused."""
        status, told = self.answer(operation_id, body, **given)
        error = told["error"]
        assert error.keys() == {"code", "message", "details"}
        return status, error["code"]

    def events(self, operation_id: str, body: Any = None, **given: Any) -> list[Event]:
        """Return all events of a stream."""
        _, data = self._ask(operation_id, body, given, "text/event-stream")
        return [*_events(data.decode())]

    def _ask(
        self, operation_id: str, body: Any, given: dict[str, Any], wanted: str
    ) -> tuple[int, bytes]:
        method, path, operation = self._operations[operation_id]
        places = {one["name"]: one["in"] for one in operation.get("parameters", ())}
        needed = {
            one["name"] for one in operation.get("parameters", ()) if one.get("required")
        }
        assert needed <= given.keys() <= places.keys(), (operation_id, needed, places)
        target = re.sub(r"{(\w+)}", lambda one: quote(str(given[one[1]]), safe=""), path)
        query = {name: one for name, one in given.items() if places[name] == "query"}
        if query:
            target += f"?{urlencode(query, doseq=True)}"
        headers = {
            name: str(one) for name, one in given.items() if places[name] == "header"
        }
        status, kind, data = self._send(method, target, body, {"Accept": wanted, **headers})
        self._check(operation, status, kind)
        return status, data

    def _check(self, operation: Any, status: int, kind: str) -> None:
        response = operation["responses"].get(str(status))
        if response is None:
            raise Undocumented(f"{operation['operationId']}: status {status}")
        while "$ref" in response:
            *_, part, name = response["$ref"].split("/")
            response = self.document["components"][part][name]
        if kind not in response.get("content", {}):
            raise Undocumented(f"{operation['operationId']}: {kind} with {status}")

    def _send(
        self, method: str, target: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        told = {**self._headers, **headers}
        data = None
        if body is not None:
            data, told["Content-Type"] = json.dumps(body), "application/json"
        connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT_S)
        try:
            connection.request(method, target, data, told)
            reply = connection.getresponse()
            kind = reply.headers.get_content_type()
            return reply.status, kind, reply.read()
        finally:
            connection.close()


def _events(text: str) -> Iterator[Event]:
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            kind = fields.get("event", "message")
            yield Event(kind, fields.get("id", ""), json.loads(fields["data"]))
