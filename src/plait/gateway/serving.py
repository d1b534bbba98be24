"""Serve: a gateway on a socket, until somebody says stop.

Contract for whoever wires it (plait.assembly, plait.cli):

    def build() -> Gateway:            # called once, inside the running event loop
        calls = HttpCalls(settings)
        driver = InlineDriver(calls, env=…, secrets=…)
        gateway = Gateway(driver, on_close=calls.close)
        report(gateway.deploy(load()))
        return gateway

    cut_off = serve_forever(build, host="127.0.0.1", port=8080)
    cut_off = serve_forever(build, …, watch=Watch(paths, load, report))   # --reload

`load` returns a Deployment or a Broken for every document there is; `deploy` returns
Findings (warnings, diagnostics, routes that cannot be served) and never raises for a bad
document. With `watch`, `load` is called again, in a thread, whenever something under
`paths` changes, and `report` hears the findings of each round.

The first SIGTERM or SIGINT makes /health/ready answer 503, closes the listening socket and
lets the requests under way finish; a second one, or `drain_ms_max`, cuts them off. A third
one kills the process: nothing that hangs inside can keep it from its end.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plait.gateway.app import Gateway
from plait.gateway.changes import Changes
from plait.gateway.deployment import Finding, Loaded
from plait.gateway.http1 import HttpLimits
from plait.gateway.listener import Listener, url_of
from plait.gateway.threads import in_thread
from plait.model.record import record

try:
    import uvloop
except ImportError:  # where it has no wheel, asyncio's own loop serves as well, slower
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_loop = uvloop.new_event_loop

logger = logging.getLogger("plait.gateway")

DRAIN_MS_MAX_DEFAULT: Final = 25_000
# Closing takes a few turns of the loop. Whoever insists grants it this moment; whatever
# hangs there gets no more than the second, for no process may fail to end.
_CLOSE_S_MIN: Final = 0.5
_CLOSE_S_MAX: Final = 5.0

# How many new objects make the collector look. What executions leave refers in circles
# nowhere, and of 64 durable ones in flight it would look through all with every commit.
_YOUNG_OBJECTS_MAX: Final = 10_000

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@record
class Watch:
    """What `--reload` needs.

    Attributes:
        paths: Files and folders whose changes matter; folders with all below them, files
            alone.
        load: What every document says now. Called in a thread, never twice at once.
        report: Hears what is to be told of each round.
        beside: Awaited after each round, for what else was loaded; None: nothing was.
    """

    paths: tuple[Path, ...]
    load: Callable[[], Sequence[Loaded]]
    report: Callable[[list[Finding]], None]
    beside: Callable[[], Awaitable[None]] | None = None


def serve_forever(
    build: Callable[[], Gateway],
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: HttpLimits | None = None,
    drain_ms_max: int = DRAIN_MS_MAX_DEFAULT,
    watch: Watch | None = None,
    announce: Callable[[str], None] = print,
) -> int:
    """Serve until SIGTERM or SIGINT; return how many requests were cut off at the end.

    Args:
        build: Makes the gateway, with its documents deployed.
        port: 0 for one that is free.
        limits: Of connections: sizes and times.
        announce: Hears `listening on http://HOST:PORT` once connections are accepted.

    Raises:
        OSError: The address cannot be listened on.
        StoreUnavailable: Executions are to be kept, and the store's address is none.
    """
    main = _serve(build, host, port, limits, drain_ms_max / 1000, watch, announce)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


async def _serve(
    build: Callable[[], Gateway],
    host: str,
    port: int,
    limits: HttpLimits | None,
    drain_s_max: float,
    watch: Watch | None,
    announce: Callable[[str], None],
) -> int:
    stop = Stop.on_signals(asyncio.get_running_loop())
    gateway = build()
    _settle_memory()
    listener = Listener(
        gateway.handle,
        limits=limits,
        screen=gateway.screen,
        refuse=gateway.refuse,
        admit=gateway.admit,
        cut=gateway.cut,
    )
    watching: asyncio.Task[None] | None = None
    try:
        if watch is not None:
            begun = asyncio.Event()
            watching = asyncio.create_task(_watch(gateway, watch, begun))
            await begun.wait()
        await gateway.prepare()
        address = await listener.listen(host, port)
        gateway.begin()
        announce(f"listening on {url_of(*address)}")
        await stop.asked.wait()
        gateway.begin_drain()
        return await listener.drain(drain_s_max, stop.insisted)
    finally:
        if watching is not None:
            watching.cancel()
        await _close(gateway, stop)


async def _close(gateway: Gateway, stop: Stop) -> None:
    """Close in good order, unless that takes too long or somebody insists."""
    closing = asyncio.create_task(gateway.close())
    insisting = asyncio.create_task(stop.insisted.wait())
    await asyncio.wait((closing,), timeout=_CLOSE_S_MIN)
    waits, left_s = (closing, insisting), _CLOSE_S_MAX - _CLOSE_S_MIN
    await asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
    insisting.cancel()
    if closing.done():
        await closing
    else:
        closing.cancel()
        logger.warning("closing took too long; what is still open is left to the system")


def _settle_memory() -> None:
    """Tell the garbage collector that what is deployed stays.

    It need not look through all plans because of what a few hundred requests left behind;
    a reply costs a tenth less. What importing left is not looked through either: that took
    100 ms, in which no execution goes on, and found 1,350 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS_MAX, *gc.get_threshold()[1:])


@dataclass(slots=True)
class Stop:
    """What the signals said: stop, then stop at once. A third one kills, as without us."""

    loop: asyncio.AbstractEventLoop
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    insisted: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def on_signals(cls, loop: asyncio.AbstractEventLoop) -> Stop:
        """Hear the signals that ask a process to stop, from now on."""
        stop = cls(loop)
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop._hear)
        return stop

    def _hear(self) -> None:
        if not self.asked.is_set():
            self.asked.set()
            return
        self.insisted.set()
        for number in _SIGNALS:
            self.loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)


async def _watch(gateway: Gateway, watch: Watch, begun: asyncio.Event) -> None:
    """Deploy what changed, whenever something did.

    Args:
        begun: Set once no change can be missed any more.
    """
    changes = Changes(watch.paths)
    try:
        await changes.begin()
        await _reload(gateway, watch, is_first=True)
        begun.set()
        while True:
            await changes.wait()
            await _reload(gateway, watch, is_first=False)
    except Exception:
        logger.exception("edits are not watched any more")
    finally:
        begun.set()
        await changes.close()


async def _reload(gateway: Gateway, watch: Watch, *, is_first: bool) -> None:
    try:
        loaded = await in_thread(watch.load)
        if not (is_first and gateway.serves(loaded)):
            watch.report(gateway.deploy(loaded))
            _settle_memory()
        if watch.beside is not None:
            await watch.beside()
    except Exception:
        logger.exception("the documents could not be loaded again; the last ones stay")
