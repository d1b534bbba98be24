"""Errors across processes: whole on the way out, and the same on the way in.

| what came | what is raised |
|---|---|
| an error of its own (`plait-error-bin`) | the same code, message, details, advice |
| UNAVAILABLE, CANCELLED of the other side | ServiceUnavailable: 502, with its name |
| DEADLINE_EXCEEDED | ServiceTimeout: 504 |
| RESOURCE_EXHAUSTED: the request was too large | MessageTooLarge |
| UNAUTHENTICATED: it does not know this process | ServiceRefused |
| anything else | ServiceError |
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import ClassVar, Final

import grpc
import orjson

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.ports.remote import (
    MessageTooLarge,
    ServiceError,
    ServiceRefused,
    ServiceTimeout,
    ServiceUnavailable,
)
from plait.ports.status import details_of, status_of
from plait.services.wire import ERROR_KEY

logger = logging.getLogger("plait.services")

# What gRPC takes of metadata in all. A caller is in it with all grants: keys of older
# versions have up to a thousand of 200 characters each, which base64 makes a third longer.
METADATA_BYTES_MAX: Final = 512 * 1024
_ERROR_BYTES_MAX: Final = 32 * 1024
# gRPC's own text of a status; proxies cut what is longer.
_MESSAGE_LENGTH_MAX: Final = 1_000


class Unforeseen(PlaitError):
    """The service itself failed; its log says how."""

    code: ClassVar[str] = "internal"

    def __init__(self, service: str) -> None:
        super().__init__(f"something went wrong inside; the log of the {service} says what")


class RemoteError(ServiceError):
    """What a service refused, as it said it. Each code has a class of its own."""

    def __init__(self, message: str, details: JsonObject) -> None:
        PlaitError.__init__(self, message)
        self.details = details


async def refuse(
    context: grpc.aio.ServicerContext[object, object], error: PlaitError
) -> None:
    """End a call with `error`. It raises: nothing follows."""
    status = grpc.StatusCode[status_of(error).grpc]
    message = str(error)[:_MESSAGE_LENGTH_MAX]
    await context.abort(status, message, ((ERROR_KEY, _dumped(error)),))


def _dumped(error: PlaitError) -> bytes:
    told = {
        "code": error.code,
        "message": str(error),
        "details": details_of(error),
        "advice": error.advice.value,
    }
    data = orjson.dumps(told)
    if len(data) > _ERROR_BYTES_MAX:
        told["details"] = {"cut": True}
        told["message"] = str(error)[:_MESSAGE_LENGTH_MAX]
        data = orjson.dumps(told)
    return data


def error_of(service: str, error: grpc.aio.AioRpcError) -> PlaitError:
    """Return what went wrong with a call to `service`."""
    for name, value in error.trailing_metadata() or ():
        if name == ERROR_KEY:
            own = _own_error(value)
            if own is not None:
                return own
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return ServiceUnavailable(service, "cannot be reached, or has just ended")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServiceTimeout(service, "has not answered in time")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return MessageTooLarge(service)
        case grpc.StatusCode.UNAUTHENTICATED:
            return ServiceRefused(service, "does not know this process: see `services`")
        case code:
            text, told = "the %s answered %s: %s", {"service": service}
            logger.error(text, service, code.name, error.details(), extra=told)
            return ServiceError(service, f"failed: {code.name}")


def _own_error(data: str | bytes) -> PlaitError | None:
    try:
        told = orjson.loads(data)
        kind = _kind_of(told["code"], Advice(told["advice"]))
        return kind(told["message"], told["details"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


@lru_cache(1_000)
def _kind_of(code: str, advice: Advice) -> type[RemoteError]:
    return type("RemoteError", (RemoteError,), {"code": code, "advice": advice})
