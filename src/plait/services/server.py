"""The server of one process: its services, health and reflection, on one address.

Rule 1. It listens on the network only where whoever calls has to prove who they are: by a
        certificate of the common authority, or by the token that services share.
Rule 2. Health may be asked by everybody: an orchestrator has no token.
Rule 3. An answer that is too large for either side is told as an error of its own, with the
        execution that it is of.
Rule 4. `drain` tells health first, then takes no more calls, and lets those under way end.

Not here: what the services do (plait.services.engine and its neighbours).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from plait.model.errors import PlaitError
from plait.model.record import record
from plait.ports.observer import ids_in
from plait.ports.platform import InvalidRequest
from plait.ports.remote import AnswerTooLarge, OpenService
from plait.services.call_metrics import CallMetrics, Count
from plait.services.channel import Security, Sizes, server_options
from plait.services.errors import Unforeseen, refuse
from plait.services.methods import FULL_NAMES, METHODS, Method
from plait.services.tracing import answered, ended_with
from plait.services.v1.common_pb2 import Event
from plait.services.wire import TOKEN_KEY, Asked, asked_of, loaded_object
from plait.telemetry.spans import Draw

logger = logging.getLogger("plait.services")

Follows: TypeAlias = Callable[[int], Awaitable[None]]
Handler: TypeAlias = Callable[[Any, Any], Awaitable[Any]]

_HEALTH_PATHS: Final = f"/{health.SERVICE_NAME}/"
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class ServiceServer:
    """Answers for services on a socket. Make it inside the event loop.

    Args:
        servicers: What answers for each, by role: `engine`, `runtime`, `agent`.
        draw: Takes the spans of calls; None: nobody does.
        calls: Counts them; None: nobody does.
        follows: Awaited before each is answered, with the revision of the store that who
            calls knows: what is deployed there is known here, too, then.
    """

    def __init__(
        self,
        servicers: Mapping[str, object],
        *,
        security: Security | None = None,
        sizes: Sizes | None = None,
        draw: Draw | None = None,
        calls: CallMetrics | None = None,
        follows: Follows | None = None,
    ) -> None:
        self._security = security or Security()
        sizes = sizes or Sizes()
        token = self._security.token
        self._server = grpc.aio.server(
            interceptors=[_Gate(token)] if token is not None else [],
            options=server_options(sizes),
        )
        self._names = {role: FULL_NAMES[role] for role in servicers}
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for role, servicer in servicers.items():
            handlers = {
                method.name: _handler(
                    _Answering(role, method, sizes.message_bytes_max),
                    servicer,
                    draw,
                    calls,
                    follows,
                )
                for method in METHODS[role].values()
            }
            generic = grpc.method_handlers_generic_handler(FULL_NAMES[role], handlers)
            self._server.add_generic_rpc_handlers((generic,))
        names = (*self._names.values(), health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def listen(self, address: str) -> int:
        """Take calls from now on; return the port.

        Args:
            address: `host:port`; port 0 takes any free one.

        Raises:
            OpenService: It would be open to the network.
            OSError: The address cannot be listened on.
        """
        roles = " and ".join(self._names)
        if not self._security.is_proving and not is_loopback(address):
            raise OpenService(roles, address)
        credentials = self._security.server_credentials()
        try:
            if credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"{address}: {error}") from error
        await self._server.start()
        return port

    async def tell(self, *, is_ready: bool) -> None:
        """Say through health whether the services shall be called."""
        status = _SERVING if is_ready else _NOT_SERVING
        for name in ("", *self._names.values()):
            await self._health.set(name, status)

    async def drain(self, grace_s: float) -> None:
        """Take no more calls; cut off those that have not ended within `grace_s`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    async def ended(self) -> None:
        """Wait until it listens no more."""
        await self._server.wait_for_termination()


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches `host:port`.

    >>> is_loopback("127.0.0.1:0"), is_loopback("[::1]:80"), is_loopback("0.0.0.0:80")
    (True, True, False)
    """
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Gate(grpc.aio.ServerInterceptor):
    """Lets in who knows the token."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(details)
        if details.method.startswith(_HEALTH_PATHS) or handler is None:
            return handler
        given = dict(details.invocation_metadata).get(TOKEN_KEY, "")
        if hmac.compare_digest(given.encode(), self._expected):
            return handler
        return _refusing()


def _refusing() -> Any:
    async def refuse_all(_: Any, context: Any) -> None:
        text = "the services' token is missing or another one"
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, text)

    # On the wire all kinds are one, and of this one no request is read.
    return grpc.stream_stream_rpc_method_handler(refuse_all)


@record
class _Answering:
    """What one method answers with, in bytes.

    Attributes:
        bytes_max: What this side sends at most.
    """

    role: str
    method: Method
    bytes_max: int

    def dumped(self, asked: Asked, reply: Any, execution_id: str) -> bytes:
        """Return a reply as it is sent.

        Raises:
            AnswerTooLarge: It is larger than either side takes.
        """
        data = self.method.dump(reply)
        bytes_max = min(self.bytes_max, asked.answer_bytes_max)
        if len(data) > bytes_max:
            raise AnswerTooLarge(self.role, len(data), bytes_max, execution_id)
        return data


def _execution_in(message: Any) -> str:
    """Return the id of the execution that a message is of; empty: it names none."""
    message = getattr(message, "run", message)
    if isinstance(message, Event) and message.type == "start":
        return str(loaded_object(message.data).get("execution_id", ""))
    return str(getattr(message, "execution_id", ""))


def _handler(
    answering: _Answering,
    servicer: object,
    draw: Draw | None,
    calls: CallMetrics | None,
    follows: Follows | None,
) -> Any:
    role, method = answering.role, answering.method
    answer, count = getattr(servicer, method.attribute), None
    if calls is not None:
        count = calls.of(role, method.name, is_stream=method.is_stream)
    if method.is_stream:
        handle = _guarded(role, _streamed(answer, answering, draw, follows), count)
        make = grpc.unary_stream_rpc_method_handler
    else:
        handle = _guarded(role, _answered(answer, answering, draw, follows), count)
        make = grpc.unary_unary_rpc_method_handler
    return make(handle, partial(_read, method))


def _answered(
    answer: Callable[[Any, Any], Awaitable[Any]],
    answering: _Answering,
    draw: Draw | None,
    follows: Follows | None,
) -> Handler:
    async def handle(request: Any, context: Any) -> bytes:
        asked = await _asked(request, context, follows)
        with answered(draw, answering.method.path, asked) as own:
            reply = await answer(own, request)
            execution_id = _execution_in(reply) or _execution_in(request)
            return answering.dumped(asked, reply, execution_id)

    return handle


def _streamed(
    answer: Callable[[Any, Any], Any],
    answering: _Answering,
    draw: Draw | None,
    follows: Follows | None,
) -> Handler:
    # Not a generator: one that is left while it writes is closed by nobody.
    async def handle(request: Any, context: Any) -> None:
        asked = await _asked(request, context, follows)
        with answered(draw, answering.method.path, asked) as own:
            execution_id = _execution_in(request)
            async with aclosing(answer(own, request)) as events:
                async for event in events:
                    execution_id = execution_id or _execution_in(event)
                    await context.write(answering.dumped(asked, event, execution_id))

    return handle


async def _asked(request: Any, context: Any, follows: Follows | None) -> Asked:
    if request is None:
        raise InvalidRequest("the request is no message of this method")
    asked = asked_of(context.invocation_metadata())
    if asked is None:
        text = "the call does not say on whose behalf it is made: `plait-caller-bin`"
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, text)
        raise AssertionError("a call that was refused goes on")
    if follows is not None:
        await follows(asked.revision)
    return asked


async def _counted(handler: Handler, request: Any, context: Any, count: Count) -> Any:
    began, status = time.perf_counter(), "OK"
    try:
        return await handler(request, context)
    except BaseException as error:
        status = ended_with(error).name
        raise
    finally:
        count(status, time.perf_counter() - began)


def _read(method: Method, data: bytes) -> Any:
    """Return a request; of bytes that are none, nothing: here nobody answers an error."""
    try:
        return method.load_request(data)
    except DecodeError:
        return None


def _guarded(role: str, handler: Handler, count: Count | None) -> Handler:
    async def handle(request: Any, context: Any) -> Any:
        try:
            if count is not None:
                return await _counted(handler, request, context, count)
            return await handler(request, context)
        except PlaitError as error:
            return await refuse(context, error)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception:
            told: dict[str, str] = {"service": role}
            asked = asked_of(context.invocation_metadata())
            if asked is not None:
                told["tenant"] = asked.caller.tenant
                told |= ids_in(asked.trace)
            text = "a call of the %s could not be answered"
            logger.exception(text, role, extra=told)
            return await refuse(context, Unforeseen(role))

    return handle
