"""`plait health`: ask a process whether it can do its work, as container engines do.

Rule. Asked every few seconds: the settings, which take a second to import, are read only
      where they are needed.
"""

from __future__ import annotations

import http.client
import importlib
import os
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from plait.cli.output import EXIT_FAILED, say, stop

_PATH: Final = "/health/ready"
_PORT: Final = 8080
_SHOWN_LENGTH_MAX: Final = 200


def command(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="Where the gateway is, without a path. Default: port PLAIT_GATEWAY_PORT, "
            "or 8080, of this machine.",
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="Ask a service instead: engine, runtime or agent, where the settings "
            "say that it is.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.01, help="How long it may take.")
    ] = 4.0,
) -> None:
    """Ask a gateway, or a service, whether it is ready.

    Exit code 0: it can. 1: it cannot now, or nobody answers. 2: the question is wrong.

    Examples:

    - `plait health http://127.0.0.1:9000`

    - `plait health --role engine`
    """
    if role is not None:
        _ask_service(role, timeout)
        return
    port = os.environ.get("PLAIT_GATEWAY_PORT", "") or _PORT
    _ask_gateway(url or f"http://127.0.0.1:{port}", timeout)


def _ask_gateway(url: str, timeout_s: float) -> None:
    parts = urlsplit(url)
    kinds: dict[str, type[http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        stop(f"URL: {error}")
    if parts.scheme not in kinds or not host or parts.path not in ("", "/"):
        stop("URL: write http://HOST:PORT")
    connection = kinds[parts.scheme](host, port, timeout=timeout_s)
    try:
        connection.request("GET", _PATH)
        reply = connection.getresponse()
        told = reply.read(_SHOWN_LENGTH_MAX).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        stop(f"{url} does not answer: {error}", code=EXIT_FAILED)
    finally:
        connection.close()
    if reply.status != http.client.OK:
        stop(f"{url} is not ready: {reply.status} {told}", code=EXIT_FAILED)
    say("ready")


def _ask_service(role: str, timeout_s: float) -> None:
    room: Any = importlib.import_module("plait.assembly.health")
    if role not in room.SERVICES:
        stop(f"--role: unknown role '{role}'; known: {', '.join(room.SERVICES)}")
    options: Any = importlib.import_module("plait.cli.options")
    settings = options.configured(None, None, None).settings
    trouble = room.trouble_of(settings.services, role, timeout_s)
    if trouble is not None:
        stop(f"{role} is not ready: {trouble}", code=EXIT_FAILED)
    say("ready")
