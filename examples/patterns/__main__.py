"""Run one example: start its services and a gateway, ask, show, stop everything.

python -m examples.patterns                     lists the examples
python -m examples.patterns order_saga          runs one
python -m examples.patterns order_saga --twin   runs its twin in Python
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from children import Children, StartFailed
from demo import heading, request
from drawing import draw_timeline, paint, pretty, read_server_timing

from examples.patterns.calling import services_at
from examples.patterns.example import Example, load, names
from examples.patterns.playing import Answer, play
from examples.patterns.serving import Input


async def run(example: Example, as_twin: bool) -> None:
    """Ask an example all that its scenes ask, and print what comes of it."""
    print(paint("dim", example.about))
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(s) for s in example.services()]
        addresses = {service.host: service.address for service in services}
        if as_twin:
            stack.enter_context(services_at(addresses))
            show = partial(show_twin, example)
        else:
            url = await start_gateway(stack, example, addresses)
            show = partial(show_document, example, url)
        seen = services[0].seen
        for title in example.scenes:
            heading(title)
            async for given in example.inputs(title):
                seen.clear()
                await show(given)
                print(paint("dim", "  called   ") + f"\n{'':11}".join(seen or ["nobody"]))


async def start_gateway(
    stack: AsyncExitStack, example: Example, addresses: Mapping[str, str]
) -> str:
    """Start `plait serve` for one document; return its URL once it is ready."""
    data = stack.enter_context(tempfile.TemporaryDirectory(prefix="plait-patterns-"))
    children = stack.enter_context(Children())
    os.environ.update(example.environment)
    command = ["-m", "plait.cli", "serve", str(example.document), "--port", "0"]
    command += ["--store", f"{data}/plait.db"]
    for host, address in addresses.items():
        command += ["--resolve", f"{host}={address}"]
    gateway = children.start("gateway", command)
    await asyncio.to_thread(gateway.wait_until_ready)
    return gateway.url


async def show_twin(example: Example, given: Input) -> None:
    """Run the twin with an input; print it and the answer."""
    print(paint("dim", "  input    ") + json.dumps(given))
    started_at = time.perf_counter()
    try:
        said = await example.ask_twin(given)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    took_ms = (time.perf_counter() - started_at) * 1000
    print(paint("dim", "  answer   ") + f"in {took_ms:.0f} ms")
    print(pretty(said, margin=" " * 11))


async def show_document(example: Example, gateway_url: str, given: Input) -> None:
    """Give the example an input; print what is asked, the answer, and its timeline."""
    started_at = time.perf_counter()

    async def ask(method: str, target: str, body: Any) -> Answer:
        reply = await asyncio.to_thread(request, gateway_url, method, target, body)
        if body is not None or not target.startswith("/api/"):
            print(paint("dim", "  request  ") + f"{method} {target}")
        if body is not None:
            print(pretty(body, margin=" " * 11))
        return Answer(reply.status, reply.headers, reply.body)

    answer = await play(example, given, ask)
    took_ms = (time.perf_counter() - started_at) * 1000
    print(paint("dim", "  answer   ") + f"{answer.status} in {took_ms:.0f} ms")
    print(pretty(answer.body, margin=" " * 11))
    bars = read_server_timing(answer.headers.get("server-timing", ""))
    if bars:
        print("\n".join(draw_timeline(bars)))


def main() -> int:
    """Run the example that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.patterns")
    parser.add_argument("name", nargs="?", choices=names(), metavar="NAME")
    parser.add_argument("--twin", action="store_true", help="run the twin in Python")
    options = parser.parse_args()
    if options.name is None:
        print("\n".join(names()))
        return 0
    try:
        asyncio.run(run(load(options.name), options.twin))
    except StartFailed as error:
        print(f"{paint('red', 'It failed:')} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
