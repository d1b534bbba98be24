"""`line` steps: one line to a TCP server, one line back.

    - id: price
      type: line
      request: {host: prices, port: 7000, text: "PRICE ${input.sku}"}

The response is the line that comes back; with `decode: json` what it says. One that begins
with `ERR` is an error.
Options, `[connectors.line]`: `bytes_max`, the longest line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import Field

from plait.connectors.coroutines import CoroutineCalls
from plait.connectors.egress import ConnectorError, InvalidRequest
from plait.document import Step
from plait.document.fields import Strict
from plait.document.step import Effect, Parts, TemplatePart
from plait.model.errors import Advice
from plait.model.json import JsonObject
from plait.ports.calls import Call
from plait.ports.connector import Addresses, Connector, ConnectorContext

_BYTES_MAX = 64 * 1024


class LineRequest(Strict):
    """Where to send what."""

    host: str
    """The server: a name or an address."""
    port: Annotated[int, Field(ge=1, le=65_535)]
    """Its port."""
    text: str
    """The line, without its end."""
    decode: Literal["text", "json"] = "text"
    """What the response is: the line, or what it says as JSON."""


class LineStep(Step):
    """Send one line to a TCP server, and return the line that comes back."""

    machine: ClassVar[str] = "call"
    takes_defaults: ClassVar[bool] = True

    type: Literal["line"]
    request: LineRequest
    """What to send, and where."""

    def parts(self, raw: JsonObject) -> Parts:
        """One template. A host that is none was written by the operator."""
        part = TemplatePart("request", ("request",), may_read_secrets=True)
        is_literal = "${" not in self.request.host
        return Parts(templates=(part,), options={"host_is_literal": is_literal})

    def own_effect(self, raw: JsonObject) -> Effect:
        """Nobody can see from here what a line does: it is never sent twice unasked."""
        return "unsafe"


class NoAnswer(ConnectorError):
    """The server is not there, or left before its line was whole."""

    code = "connector.connect"
    advice = Advice.RETRY
    classes = ("connect",)


class Refused(ConnectorError):
    """The server answered with an error."""

    code = "connector.line.refused"


class LineCalls(CoroutineCalls):
    """Makes the calls, each on a connection of its own.

    Args:
        addresses: Which addresses may be called.
    """

    def __init__(self, addresses: Addresses, *, bytes_max: int = _BYTES_MAX) -> None:
        super().__init__("line")
        self._addresses = addresses
        self._bytes_max = bytes_max

    def check(self, call: Call) -> None:
        """A template may have made of the request what is none."""
        request: Any = call.request
        is_whole = isinstance(request, Mapping) and isinstance(request.get("host"), str)
        if not is_whole or not isinstance(request.get("port"), int):
            raise InvalidRequest("a request is {host, port, text}")
        text = request.get("text")
        if not isinstance(text, str) or "\n" in text or "\r" in text:
            raise InvalidRequest("`text` is one line")

    async def answer(self, call: Call) -> Any:
        """Return the line that comes back."""
        request: Any = call.request
        host, port = request["host"], request["port"]
        found = await self._addresses.find(host, port, is_literal=call.host_is_literal)
        try:
            address = found[0]
            reader, writer = await asyncio.open_connection(*address, limit=self._bytes_max)
            try:
                writer.write(request["text"].encode() + b"\n")
                line = await reader.readuntil(b"\n")
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError) as error:
            raise NoAnswer(f"{host}:{port} gave no line: {type(error).__name__}") from None
        except asyncio.LimitOverrunError:
            raise Refused(f"{host} sent a line of more than {self._bytes_max} B") from None
        if line.startswith(b"ERR"):
            raise Refused(f"{host} refused the line", host=host)
        if request.get("decode") != "json":
            return line.decode("utf-8", "replace").rstrip("\r\n")
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            raise Refused(f"{host} sent no JSON", host=host) from None


def _calls(context: ConnectorContext) -> LineCalls:
    unknown = set(context.options) - {"bytes_max"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: bytes_max")
    size = context.options.get("bytes_max", _BYTES_MAX)
    if not isinstance(size, int) or size < 1:
        raise ValueError("bytes_max is a whole number above 0")
    if context.addresses is None:
        raise ValueError("there are no addresses to call")
    return LineCalls(context.addresses, bytes_max=size)


def _upstream(request: Mapping[str, object]) -> str:
    """Breakers and limits are each server's own."""
    return f"line://{request.get('host', '')}:{request.get('port', '')}"


CONNECTOR = Connector(port=1, step=LineStep, calls=_calls, upstream=_upstream)
