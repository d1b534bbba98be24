"""The services' methods, from their descriptors: what protoc would generate stubs for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from plait.model.record import record
from plait.services.v1 import agent_pb2, engine_pb2, runtime_pb2


@record
class Method:
    """One method of a service.

    Attributes:
        path: As HTTP/2 has it: `/plait.v1.EngineService/Execute`.
        name: `Execute`.
        attribute: The servicer's method: `execute`.
        is_stream: Whether it answers with many messages.
    """

    path: str
    name: str
    attribute: str
    is_stream: bool
    dump: Callable[[Message], bytes]
    load_request: Callable[[bytes], Any]
    load_reply: Callable[[bytes], Any]


def _dump(message: Message) -> bytes:
    return message.SerializeToString()


def _method(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    return Method(
        f"/{service.full_name}/{method.name}",
        method.name,
        re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower(),
        method.server_streaming,
        _dump,
        GetMessageClass(method.input_type).FromString,
        GetMessageClass(method.output_type).FromString,
    )


def _methods(service: ServiceDescriptor) -> dict[str, Method]:
    found = [_method(service, one) for one in service.methods]
    return {one.attribute: one for one in found}


_BY_NAME: Final[dict[str, ServiceDescriptor]] = {
    "engine": engine_pb2.DESCRIPTOR.services_by_name["EngineService"],
    "runtime": runtime_pb2.DESCRIPTOR.services_by_name["RuntimeService"],
    "agent": agent_pb2.DESCRIPTOR.services_by_name["AgentService"],
}
# Role → attribute → method.
METHODS: Final = {role: _methods(service) for role, service in _BY_NAME.items()}
FULL_NAMES: Final = {role: service.full_name for role, service in _BY_NAME.items()}
