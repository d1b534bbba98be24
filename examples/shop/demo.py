"""The demo: three real services, one gateway, one request that braids them.

    python examples/shop/demo.py            ends by itself
    python examples/shop/demo.py --stay     serves until Ctrl-C

Nothing that it starts outlives it, however it ends (see children).
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from children import Child, Children, StartFailed
from drawing import (
    describe_overlap,
    draw_graph,
    draw_timeline,
    paint,
    pretty,
    read_server_timing,
)

HERE = Path(__file__).resolve().parent
WORKFLOWS = HERE / "workflows"
SERVICES = ("users", "orders", "payments")
HOST = "127.0.0.1"
SERVE_PORT = 8080
PROFILE = "/profiles/1001"
CHECKOUT = {"user_id": "1001", "method_id": "pm-11"}


class DemoFailed(Exception):
    """The demo cannot show what it should; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service or the gateway answered, and how long that took."""

    status: int
    headers: dict[str, str]
    body: Any
    took_ms: float


def request(base_url: str, method: str, path: str, body: Any = None) -> Reply:
    """Make one request and return the reply, its JSON decoded."""
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=10)
    content = None if body is None else json.dumps(body)
    headers = {"Content-Type": "application/json"} if content else {}
    started_at = time.perf_counter()
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    text = response.read()
    took_ms = (time.perf_counter() - started_at) * 1000
    connection.close()
    replied = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, replied, json.loads(text), took_ms)


# -- starting ------------------------------------------------------------------------


def start_shop(children: Children, data: str, port: int) -> dict[str, Child]:
    """Start the services, then the gateway that knows them; return all, by name."""
    shop = {
        name: children.start(name, [str(HERE / f"{name}.py"), "--data", data])
        for name in SERVICES
    }
    for child in shop.values():
        child.wait_until_ready()
    resolve: list[str] = []
    for name, child in shop.items():
        resolve += ["--resolve", f"{name}={urlsplit(child.url).netloc}"]
    gateway = ["-m", "plait.cli", "serve", str(WORKFLOWS), "--host", HOST]
    shop["gateway"] = children.start("gateway", [*gateway, "--port", str(port), *resolve])
    shop["gateway"].wait_until_ready()
    return shop


def check_port(port: int) -> None:
    """Raise DemoFailed, with a hint, when `port` is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoFailed(
                f"port {port} cannot be used ({error.strerror}). "
                f"Choose another: make serve PORT={port + 1}"
            ) from error


# -- showing -------------------------------------------------------------------------


def heading(text: str) -> None:
    """Print the title of a part."""
    print("\n" + paint("bold", text))


def show_shop(shop: dict[str, Child]) -> None:
    """Print who runs where."""
    heading("Three services and a gateway, each a process of its own")
    for name, child in shop.items():
        print(f"  {name:9} {paint('cyan', child.url)}   pid {child.pid}")


def show_profile(gateway_url: str) -> None:
    """Request the composite profile; print the reply and its timeline."""
    request(gateway_url, "GET", "/profiles/1002")  # connections open, caches warm
    reply = request(gateway_url, "GET", PROFILE)
    heading(f"GET {PROFILE}  →  {reply.status} in {reply.took_ms:.0f} ms")
    print(pretty(reply.body))
    if reply.status != 200:
        raise DemoFailed(f"the gateway answered {reply.status}")
    bars = read_server_timing(reply.headers.get("server-timing", ""))
    heading("Timeline of that request")
    print("\n".join(draw_timeline(bars)))
    print("  " + describe_overlap(bars))


def show_graph(file: Path) -> None:
    """Print the workflow's graph, as `plait graph` tells it."""
    command = [sys.executable, "-m", "plait.cli", "graph", str(file), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise DemoFailed(f"plait graph failed:\n{done.stderr}")
    graph = json.loads(done.stdout)
    waits_for: dict[str, list[str]] = {}
    for edge in graph["edges"]:
        waits_for.setdefault(edge["to"], []).append(edge["from"])
    heading(f"Graph of {file.relative_to(HERE.parents[1])}")
    steps = [node["id"] for node in graph["nodes"]]
    conditions = {
        node["id"]: node["condition"] for node in graph["nodes"] if node["condition"]
    }
    print("\n".join(draw_graph(f"GET {PROFILE}", steps, waits_for, conditions)))
    print(paint("dim", "  Nobody drew an edge: a step waits for the steps it reads."))


def show_checkout(gateway_url: str, payments_url: str) -> None:
    """Check out the same cart twice; print how often money was taken."""
    replies = [request(gateway_url, "POST", "/checkouts", CHECKOUT) for _ in range(2)]
    heading(f"POST /checkouts, twice  →  {', '.join(str(r.status) for r in replies)}")
    for reply in replies:
        print(pretty(reply.body, margin="  ", room=200))
    count = request(payments_url, "GET", "/api/payments/count").body
    print(
        f"  {count['requests']} payment requests, {count['payments']} payment taken: "
        "the cart is the idempotency key."
    )


def show_addresses(shop: dict[str, Child]) -> None:
    """Print what can be tried while the shop stays up."""
    url = shop["gateway"].url
    body = json.dumps(CHECKOUT)
    heading("Serving. Ctrl-C stops everything.")
    print(f"  API page   {paint('cyan', url + '/docs')}")
    print(f"  a profile  curl {url}{PROFILE}")
    print(f"  a payment  curl {url}/checkouts -H 'Content-Type: application/json' \\")
    print(f"                  -d '{body}'")
    print(f"  a failure  kill {shop['payments'].pid}; curl -i {url}{PROFILE}", flush=True)


# -- the whole -----------------------------------------------------------------------


def run(stay: bool, port: int) -> None:
    """Show everything; with `stay`, then serve until a signal ends this process."""
    with tempfile.TemporaryDirectory(prefix="plait-demo-") as data, Children() as children:
        shop = start_shop(children, data, port)
        show_shop(shop)
        show_profile(shop["gateway"].url)
        show_graph(WORKFLOWS / "profile.yaml")
        show_checkout(shop["gateway"].url, shop["payments"].url)
        if stay:
            show_addresses(shop)
            said = shop["gateway"].wait_until_ended()
            raise DemoFailed(f"the gateway ended by itself. It said:\n{said}")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Plait's demo shop.")
    parser.add_argument("--stay", action="store_true", help="serve until Ctrl-C")
    parser.add_argument(
        "--port", type=int, help=f"the gateway's; default: free, with --stay {SERVE_PORT}"
    )
    return parser.parse_args()


def leave(number: int, frame: object) -> NoReturn:
    """Turn a signal into an exit that tidies up on its way."""
    del frame
    sys.exit(128 + number)


def leave_well(number: int, frame: object) -> NoReturn:
    """The same, where a signal is the expected end."""
    del number, frame
    print("\nStopping.", flush=True)
    sys.exit(0)


def main() -> int:
    """Run the demo; return the exit code."""
    options = parse_options()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows only ASCII
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave_well if options.stay else leave)
    port = options.port if options.port is not None else SERVE_PORT * options.stay
    try:
        check_port(port)
        run(options.stay, port)
    except (StartFailed, DemoFailed, OSError, ValueError) as error:
        print(f"\n{paint('red', 'The demo failed:')} {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
