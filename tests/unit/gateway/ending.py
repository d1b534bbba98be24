"""A gateway that hangs on its way to its end: `python -m tests.unit.gateway.ending HOW`.

`closing`: what it has to close never closes. `stubborn`: not even when it is cancelled.
`loading`: the documents, read again, are on a disk that gives no answer.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from plait.drivers.inline import InlineDriver
from plait.gateway import serving
from plait.gateway.app import Gateway
from plait.gateway.deployment import Loaded
from tests.unit.gateway.scenes import ScriptedCalls


async def hang() -> None:
    """Never return."""
    print("hanging", flush=True)
    await asyncio.Event().wait()


async def hang_on() -> None:
    """Never return, come what may."""
    while True:
        try:
            await hang()
        except asyncio.CancelledError:
            continue


async def close_well() -> None:
    """There is nothing to close."""


class Disk:
    """Gives its first answer and no other."""

    def __init__(self) -> None:
        self._is_read = False

    def load(self) -> Sequence[Loaded]:
        """Return what there is."""
        if self._is_read:
            print("hanging", flush=True)
            threading.Event().wait()
        self._is_read = True
        return []


def main(how: str, folder: str) -> None:
    """Serve nothing; `how` says what hangs."""
    serving._CLOSE_S_MAX = 1.0  # type: ignore[misc]
    close = {"closing": hang, "stubborn": hang_on}.get(how, close_well)
    paths = (Path(folder),) if how == "loading" else ()
    watch = serving.Watch(paths, Disk().load, lambda _: None) if paths else None

    def build() -> Gateway:
        driver = InlineDriver(ScriptedCalls(), env={}, secrets={})
        return Gateway(driver, on_close=close)

    serving.serve_forever(
        build, port=0, watch=watch, announce=lambda text: print(text, flush=True)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
