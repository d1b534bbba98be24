"""Private servers for tests: each with a free port and a data folder of its own.

Never the machine's servers: what Debian's packages start is left alone. A server that is
not installed fails the tests in CI, and elsewhere they are skipped, and say so.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from unittest import SkipTest

PASSWORD = "s3cret-Word"


class PrivateServer:
    """A server process: start it, stop it, kill it, start it again on the same port.

    Attributes:
        folder: Where its data is.
    """

    def __init__(self, command: list[str], port: int, ready: bytes, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self._command = command
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        assert self._process is None
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        )
        output = self._process.stdout
        assert output is not None
        said = []
        for line in output:
            said.append(line)
            if self._ready in line:
                break
        else:
            output.close()
            self._end(signal.SIGKILL)
            raise RuntimeError(b"".join(said).decode())
        threading.Thread(target=_drain, args=(output,), daemon=True).start()

    def stop(self) -> None:
        """End it in good order, with all its connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it and its children as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it and its children do nothing until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for pid in (self._process.pid, *_children_of(self._process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if number == signal.SIGKILL:
            self._signal(number)
        else:
            self._process.send_signal(number)
        self._process.wait(30)
        self._process = None


def postgres_url(server: PrivateServer, role: str = "postgres") -> str:
    """Return the address of a store on a PostgreSQL; nobody checks what it would lose."""
    return f"{postgres_address(server, role)}?durability=unchecked"


def postgres_address(server: PrivateServer, role: str = "postgres") -> str:
    """Return the address of a PostgreSQL server's first database."""
    return f"postgresql://{role}@127.0.0.1:{server.port}/postgres"


def redis_url(server: PrivateServer) -> str:
    """Return the address of a Redis server."""
    return f"redis://127.0.0.1:{server.port}/0"


@contextmanager
def postgres(**options: str) -> Iterator[PrivateServer]:
    """Start PostgreSQL, durable unless the options say otherwise.

    The user `postgres` needs no password, `walled` has `PASSWORD`.
    """
    initdb = installed("initdb", *sorted(Path("/usr/lib/postgresql").glob("*/bin")))
    folder = initdb.resolve().parent
    with _data_folder("postgres") as (data, run_as):
        port = free_port()
        plain = ["--no-sync", "--auth=trust", "--username=postgres", "--locale=C"]
        command = [*run_as, str(initdb), *plain, "--encoding=UTF8", "-D", str(data)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
        rules = data / "pg_hba.conf"
        walled = "host all walled 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(walled + rules.read_text())
        settings = [
            f"--port={port}",
            "--listen_addresses=127.0.0.1",
            "--unix_socket_directories=",
            "--shared_buffers=16MB",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        command = [*run_as, str(folder / "postgres"), "-D", str(data), *settings]
        ready = b"database system is ready to accept connections"
        with _running(PrivateServer(command, port, ready, data)) as server:
            yield server


@contextmanager
def redis(**options: str) -> Iterator[PrivateServer]:
    """Start Redis, durable unless the options say otherwise."""
    binary = installed("redis-server")
    with _data_folder("redis") as (data, run_as):
        port = free_port()
        durable = {"appendonly": "yes", "appendfsync": "always", "save": ""}
        where = {"port": str(port), "bind": "127.0.0.1", "dir": str(data)}
        settings = [
            word
            for key, value in {**durable, **where, **options}.items()
            for word in (f"--{key}", *(value.split() or [""]))
        ]
        command = [*run_as, str(binary), *settings]
        ready = b"Ready to accept"
        with _running(PrivateServer(command, port, ready, data)) as server:
            yield server


@contextmanager
def prometheus(files: Mapping[str, str]) -> Iterator[PrivateServer]:
    """Start Prometheus.

    Args:
        files: Its folder, by paths: `prometheus.yml`, and what that names.
    """
    binary = installed("prometheus")
    with _data_folder("prometheus") as (data, run_as):
        for name, text in files.items():
            (data / name).parent.mkdir(exist_ok=True)
            (data / name).write_text(text)
        port = free_port()
        settings = [
            f"--config.file={data}/prometheus.yml",
            f"--storage.tsdb.path={data}/series",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        command = [*run_as, str(binary), *settings]
        ready = b"Server is ready to receive web requests"
        with _running(PrivateServer(command, port, ready, data)) as server:
            yield server


@contextmanager
def _running(server: PrivateServer) -> Iterator[PrivateServer]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def _data_folder(user: str) -> Iterator[tuple[Path, list[str]]]:
    """Make a folder; yield it, and the words before a command that is to use it.

    PostgreSQL refuses to run as root. Where the machine can, a server ends with the test
    process, however that ends.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"plait-{user}-"))
    words = []
    if sys.platform == "linux":
        words = ["setpriv", "--pdeathsig", "KILL"]
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
            words += [f"--reuid={user}", f"--regid={account.pw_gid}", "--clear-groups"]
    try:
        yield folder, words
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def installed(program: str, *folders: Path) -> Path:
    """Return the path of `program`, the newest one of `folders` first.

    Raises:
        SkipTest: It is not installed; in CI a RuntimeError.
    """
    path = os.pathsep.join([*map(str, reversed(folders)), os.environ.get("PATH", "")])
    found = shutil.which(program, path=path)
    if found is not None:
        return Path(found)
    text = f"{program} is not installed: `sudo scripts/test-packages` does that"
    if os.environ.get("CI"):
        raise RuntimeError(text)
    # The one skip there is: nobody has to install servers to work on the rest.
    raise SkipTest(text)


def _children_of(parent: int) -> list[int]:
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    pairs = [line.split() for line in table.stdout.splitlines()]
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _drain(output: IO[bytes]) -> None:
    with output:
        for _ in output:
            pass
