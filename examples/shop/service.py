"""What the shop's three services share: HTTP, SQLite, the command line.

A service is a schema with its seed, a list of routes, and a name; `run_service` does the
rest. Handlers get a database connection and a request, and return a reply.

Rule 1. Standard library only: the demo must start from a fresh Python.
Rule 2. The seed is fixed, so every run shows the same shop.

Not here: what the services answer (users, orders, payments), who starts them (demo).
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

BODY_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, taken apart. `body` is the decoded JSON, None when there was none."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer; `body` is sent as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The request cannot be served; becomes a reply of the given status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reply = Reply({"error": {"code": code, "message": message}}, status)


Handler = Callable[[sqlite3.Connection, Request], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """Which handler answers `method` on `path`, where `{name}` takes one segment."""

    method: str
    path: str
    handler: Handler

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path's parameters, decoded; None when the path is another.

        >>> Route("GET", "/users/{id}", print).match("/users/a%20b")
        {'id': 'a b'}
        """
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path)
        if found is None:
            return None
        return {name: unquote(text) for name, text in found.groupdict().items()}


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its name, how its database begins, what it answers."""

    name: str
    schema: str
    routes: Sequence[Route]
    latency_ms: int


def connect(path: Path) -> sqlite3.Connection:
    """Open a service's database; rows are read by column name."""
    connection = sqlite3.connect(path, timeout=5)
    connection.row_factory = sqlite3.Row
    return connection


def rows(
    connection: sqlite3.Connection, statement: str, *values: object
) -> list[dict[str, Any]]:
    """Return what `statement` selects, each row as a mapping."""
    return [dict(row) for row in connection.execute(statement, values)]


def one_row(
    connection: sqlite3.Connection, what: str, statement: str, *values: object
) -> dict[str, Any]:
    """Return the only row that `statement` selects.

    Raises:
        Refusal: There is none; `what` names it in the 404.
    """
    found = rows(connection, statement, *values)
    if not found:
        raise Refusal(404, "not_found", f"there is no {what}")
    return found[0]


class ShopServer(ThreadingHTTPServer):
    """One service on one socket; a thread per connection, none of them waited for."""

    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], service: Service, database: Path, latency_ms: int
    ) -> None:
        super().__init__(address, ShopHandler)
        self.service = service
        self.database = database
        self.latency_ms = latency_ms


class ShopHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests by the service's routes."""

    server: ShopServer
    protocol_version = "HTTP/1.1"  # keep-alive
    disable_nagle_algorithm = True  # or headers and body may lie 40 ms apart
    timeout = 60

    def answer(self) -> None:
        """Answer one request."""
        try:
            reply = self.find_reply()
        except Refusal as refusal:
            reply = refusal.reply
        self.send(reply)

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

    def find_reply(self) -> Reply:
        """Return the route's reply. Raises Refusal."""
        target = urlsplit(self.path)
        body = self.read_body()
        service = self.server.service
        if target.path == "/health":
            return Reply({"status": "ok", "service": service.name})
        route, params = find_route(service, self.command, target.path)
        headers = {name.lower(): text for name, text in self.headers.items()}
        query = dict(parse_qsl(target.query))
        request = Request(params=params, query=query, headers=headers, body=body)
        time.sleep(self.server.latency_ms / 1000)  # a real one would be working now
        with closing(connect(self.server.database)) as connection:
            return route.handler(connection, request)

    def read_body(self) -> Any:
        """Return the request's JSON, None if it has no body. Raises Refusal."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            raise Refusal(413, "too_large", f"at most {BODY_BYTES_MAX} bytes")
        content = self.rfile.read(length)
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise Refusal(400, "not_json", "the body is not JSON") from error

    def send(self, reply: Reply) -> None:
        """Write `reply`."""
        content = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in reply.headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the demo's terminal belongs to the demo."""


def find_route(service: Service, method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route for a request, with its parameters.

    Raises:
        Refusal: 404 for an unknown path, 405 for a known one with another method.
    """
    matches = [(route, route.match(path)) for route in service.routes]
    known = [(route, params) for route, params in matches if params is not None]
    for route, params in known:
        if route.method == method:
            return route, params
    if known:
        raise Refusal(405, "method_not_allowed", f"{path} does not take {method}")
    raise Refusal(404, "not_found", f"nothing is at {path}")


def run_service(service: Service, arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. Says `listening on http://…` once it is ready."""
    options = parse_options(service, arguments)
    with tempfile.TemporaryDirectory(prefix="shop-") as scratch:
        database = Path(options.data or scratch) / f"{service.name}.sqlite3"
        with closing(connect(database)) as connection:
            connection.executescript(service.schema)
        serve_until_stopped(service, database, options)


def parse_options(service: Service, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, which is the same for all services."""
    parser = argparse.ArgumentParser(description=f"The shop's {service.name} service.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--data", help="directory for the database; default: a new one")
    parser.add_argument(
        "--latency-ms",
        type=int,
        default=service.latency_ms,
        help="how long each answer takes, so that the timeline has something to show",
    )
    return parser.parse_args(arguments)


def serve_until_stopped(
    service: Service, database: Path, options: argparse.Namespace
) -> None:
    """Accept connections until a signal says stop.

    Exits with 1 and one line on stderr when the address cannot be had.
    """
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    host, port = options.host, options.port
    try:
        server = ShopServer((host, port), service, database, options.latency_ms)
    except OSError as error:
        sys.exit(f"{service.name}: cannot listen on {host}:{port}: {error.strerror}")
    with server:
        print(f"{service.name} listening on http://{host}:{server.server_port}", flush=True)
        server.serve_forever()


def stop(signal_number: int, frame: object) -> NoReturn:
    """Leave `serve_forever`; being told to stop is no failure."""
    del signal_number, frame
    sys.exit(0)
