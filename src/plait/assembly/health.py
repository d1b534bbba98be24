"""Health of services, asked from outside: over gRPC, where the settings say they are."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from plait.assembly.settings import ServicesSection
from plait.services.channel import Security, Sizes, channel_of, security_of

SERVICES: Final = ("engine", "runtime", "agent")


def trouble_of(own: ServicesSection, role: str, timeout_s: float) -> str | None:
    """Return why a service cannot do its work; None: it can.

    Args:
        role: Which: one of `SERVICES`. It is asked where it listens, by these settings.
    """
    try:
        security = security_of(
            certificate=own.tls_certificate,
            key=own.tls_key,
            authority=own.tls_authority,
            token=own.token_file,
        )
    except (OSError, ValueError) as error:
        return f"services: {error}"
    address: str = own.listen or getattr(own, role)
    return asyncio.run(_asked(reachable(address), security, timeout_s))


def reachable(address: str) -> str:
    """Return where to ask what listens on `address`.

    >>> reachable("0.0.0.0:8091"), reachable("[::]:8091"), reachable("engine:8091")
    ('127.0.0.1:8091', '[::1]:8091', 'engine:8091')
    """
    host, _, port = address.rpartition(":")
    every = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
    return f"{every.get(host, host)}:{port}"


async def _asked(address: str, security: Security, timeout_s: float) -> str | None:
    async with channel_of(address, security, Sizes()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return f"{address}: {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    status: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return status
