"""The real command line, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
DONE_S_MAX = 30


@dataclass(frozen=True)
class Done:
    """How a command ended, and all that it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()

    @property
    def error(self) -> dict[str, Any]:
        """The error that is the last line of standard error."""
        found: dict[str, Any] = orjson.loads(self.lines[-1])["error"]
        return found


async def start(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: int = PIPE,
    stdout: int = PIPE,
    stderr: int = PIPE,
) -> Process:
    """Start `plait ARGUMENTS`, without the settings of whoever runs the tests."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("PLAIT_")}
    own |= {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "plait.cli", *map(str, arguments)]
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=own | (env or {})
    )


async def finish(process: Process, stdin: bytes = b"") -> Done:
    """Wait for the end of a command."""
    given = None if process.stdin is None else stdin
    try:
        out, err = await asyncio.wait_for(process.communicate(given), DONE_S_MAX)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    done = Done(process.returncode, (out or b"").decode(), (err or b"").decode())
    assert "Traceback" not in done.err, done.err
    return done


async def plait(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
) -> Done:
    """Run `plait ARGUMENTS` to its end; it must not show a traceback."""
    return await finish(await start(*arguments, cwd=cwd, env=env), stdin)


async def interrupt(process: Process, number: signal.Signals = signal.SIGINT) -> Done:
    """Send a signal, and wait for the end."""
    process.send_signal(number)
    return await finish(process)


async def on_terminal(
    *arguments: str | Path, cwd: Path | None = None, typed: bytes | None = None
) -> Done:
    """Run `plait ARGUMENTS` with a terminal as standard error.

    Args:
        typed: What somebody types there: it is standard input as well.
    """
    ours, theirs = pty.openpty()
    try:
        stdin = PIPE if typed is None else theirs
        process = await start(*arguments, cwd=cwd, stdin=stdin, stderr=theirs)
        os.write(ours, typed or b"")
        done = await finish(process)
    finally:
        os.close(theirs)
    try:
        said = await asyncio.to_thread(_read_all, ours)
    finally:
        os.close(ours)
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r\n", "\n")
    return Done(done.code, done.out, text)


def _read_all(terminal: int) -> bytes:
    """Read until the other end is closed, which Linux tells by an error."""
    said = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:
            return said
        if not piece:
            return said
        said += piece
