"""Row 16: how long it takes until everything that was under way is under way again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Final

from plait.assembly import compose
from plait.compile import compile_text
from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.stores.sqlite import SqliteStore
from tests.proof.deaths import histories
from tests.proof.mortal import Traces, traces
from tests.proof.scorecard import Outcome, Scale

EXECUTIONS: Final = 1_000
SECONDS_MAX: Final = 10.0
# Six calls are answered, the seventh is under way: some 20 events each.
CALLS: Final = 7
EVENTS_MIN: Final = 20
STARTS_AT_ONCE: Final = 100
STUCK_S_MAX: Final = 120


@cache
def plan() -> Plan:
    """Return a chain of calls, each of which reads the one before."""
    steps = ["{id: s0, type: http, request: {method: POST, url: http://service/0}}"]
    steps += [
        f'{{id: s{n}, type: http, request: {{method: POST, url: "http://service/{n}/'
        f'${{s{n - 1}.response.n}}"}}}}'
        for n in range(1, CALLS)
    ]
    text = "name: long\nsteps:\n" + "".join(f"  - {step}\n" for step in steps)
    return compile_text(text.encode(), name="long.yaml", catalog=compose.catalog()).plan


def run(scale: Scale) -> Outcome:
    """Let a process die over many executions, and time the next one."""
    count = scale.of(EXECUTIONS, 100)
    outcome = Outcome({"executions": count})
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        for verb, wanted in (("die", -signal.SIGKILL), ("recover", 0)):
            code = _process(verb, folder, count)
            if code != wanted:
                outcome.broken.append(f"the process that should {verb} ended with {code}")
        events = [
            sum(len(load_turn(entry.body)) for entry in history.entries)
            for history in histories(str(folder / "plait.db")).values()
        ]
        seconds = max(traces(folder, "seconds"), default=SECONDS_MAX + 1)
    outcome.figures |= {"events each": min(events), "seconds to recover": round(seconds, 2)}
    if len(events) != count or min(events) < EVENTS_MIN:
        outcome.broken.append(f"{len(events)} executions of {min(events)} events and more")
    if seconds > SECONDS_MAX:
        outcome.broken.append(f"it took {seconds:.1f} s; {SECONDS_MAX:g} s are promised")
    return outcome


def _process(verb: str, folder: Path, count: int) -> int:
    command = [sys.executable, "-m", "tests.proof.recovery", verb, str(folder), str(count)]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, env=own, check=False).returncode


class Calls:
    """Answers every call at once but the last of each execution; tells when all hang."""

    def __init__(self, count: int) -> None:
        self.all_hang = asyncio.Event()
        self._left = count

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        loop = asyncio.get_running_loop()
        if call.step != f"s{CALLS - 1}":
            return loop.call_soon(done, CallReply({"n": 1}, {"status_code": 200}))
        self._left -= 1
        if not self._left:
            self.all_hang.set()
        return loop.call_later(86_400, done, CallReply(None, {}))

    async def close(self) -> None:
        """Nothing to close."""


async def live(folder: Path, count: int, *, is_first: bool) -> None:
    """Bring all executions to their last call."""
    begun_at = time.monotonic()
    calls = Calls(count)
    store = await SqliteStore.open(folder / "plait.db")
    driver = JournalDriver(store, calls, Kernel, worker_id=f"worker-{os.getpid()}")
    await driver.open()
    gate = asyncio.Semaphore(STARTS_AT_ONCE)

    async def start(number: int) -> None:
        async with gate:
            await driver.start(plan(), Start(f"x{number}", None))

    if is_first:
        await asyncio.gather(*map(start, range(count)))
    async with asyncio.timeout(STUCK_S_MAX):
        await calls.all_hang.wait()
    if is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    Traces(folder, "seconds").leave(time.monotonic() - begun_at)
    await driver.close()
    await store.close()


def main() -> None:
    """Be one of the two processes."""
    verb, folder, count = sys.argv[1:]
    asyncio.run(live(Path(folder), int(count), is_first=verb == "die"))


if __name__ == "__main__":
    main()
