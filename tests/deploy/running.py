"""What is in the image, run as its user, with its variables and none of the test's."""

from __future__ import annotations

import asyncio
import http.client
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.conformance.journal.servers import free_port
from tests.deploy.image import Image

WAIT_S = 30
_LISTENING = re.compile(r"listening on (?:http://)?[\w.\[\]:]+:(\d+)")


def in_image(image: Image, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the image to its end."""
    return subprocess.run(
        [*image.as_user(), *command],
        cwd=image.moved(image.folder),
        env=image.environment(**env),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )


@dataclass
class Server:
    """A process that serves.

    Attributes:
        env: What its environment has beside the image's.
        port: Where it listens.
        lines: What it has said, up to when it listened.
    """

    process: subprocess.Popen[str]
    env: dict[str, str]
    port: int = 0
    lines: list[str] = field(default_factory=list)
    _rest: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def status(self, path: str, *, key: str = "") -> int:
        """Ask for a path; return the status of the reply."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            headers = {"X-API-Key": key} if key else {}
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    async def until_there(self, path: str, *, key: str) -> None:
        """Return when a path is answered: what is deployed is served within a second."""
        async with asyncio.timeout(WAIT_S):
            while self.status(path, key=key) == http.client.NOT_FOUND:
                await asyncio.sleep(0)

    async def until(self, path: str, status: int) -> None:
        """Return when a path is answered with this status."""
        async with asyncio.timeout(WAIT_S):
            while self.status(path) != status:
                await asyncio.sleep(0)

    def stopped(self) -> int:
        """Stop it as engines do; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def hear(self) -> None:
        """Listen until it says where it listens, and in the background from then on."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if found := _LISTENING.search(line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("\n".join(self.lines))
        self._rest = threading.Thread(target=self.process.stdout.read, daemon=True)
        self._rest.start()

    def end(self) -> None:
        """Kill it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        if self._rest is not None:
            self._rest.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def started(
    image: Image,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    command: list[str] | None = None,
) -> Iterator[Server]:
    """Run the image.

    Args:
        arguments: In place of CMD.
        command: In place of ENTRYPOINT and CMD.
    """
    asked = command or [*image.entrypoint, *(arguments or image.command)]
    told = {"PLAIT_GATEWAY_PORT": str(free_port()), **(env or {})}
    process = subprocess.Popen(
        [*image.as_user(), *map(image.moved, asked)],
        cwd=image.moved(image.folder),
        env=image.environment(**told),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process, told)
    try:
        server.hear()
        yield server
    finally:
        server.end()
