"""Dialing: from an origin to an open connection, by the egress rules.

Rule 1. Connect only to addresses that `Egress.route` gave, never to a name.
Rule 2. Addresses are tried in order, and each gets its share of the time, so one that
swallows packets does not keep the next from being tried.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias, TypedDict

from plait.connectors.egress import Address, Egress, InvalidRequest
from plait.connectors.http.connection import Connection
from plait.connectors.http.errors import ConnectFailed, TlsFailed
from plait.connectors.http.options import ClientCertificate, TlsOptions
from plait.connectors.http.pool import Origin, Pool

MakeConnection: TypeAlias = Callable[[Pool], Connection]
_SYSTEM_TLS: Final = TlsOptions()
_CONTEXTS_MAX: Final = 1_000
_HANDSHAKE_ERRORS = (ssl.SSLError, ConnectionResetError, ConnectionAbortedError)


class _Secure(TypedDict, total=False):
    ssl: ssl.SSLContext
    server_hostname: str


class TlsContexts:
    """TLS contexts, one per set of options. Making one takes 20 ms: it reads all
    authorities that the system trusts."""

    def __init__(self) -> None:
        self._contexts: dict[TlsOptions, ssl.SSLContext] = {}

    def get(self, options: TlsOptions) -> ssl.SSLContext:
        """Return the context for `options`.

        Raises:
            InvalidRequest: the file of authorities, or the client's certificate, cannot be
                read.
        """
        key = options._replace(server_name=None)
        context = self._contexts.get(key)
        if context is None:
            if len(self._contexts) >= _CONTEXTS_MAX:
                self._contexts.clear()
            context = self._contexts[key] = _make_context(options)
        return context


def _make_context(options: TlsOptions) -> ssl.SSLContext:
    authority = None if options.client is None else options.client.authority
    try:
        context = ssl.create_default_context(cafile=options.ca_file, cadata=authority)
    except (OSError, ValueError):
        what = "file in `tls.ca_file`" if authority is None else "credential's authority"
        raise InvalidRequest(f"the {what} cannot be read") from None
    context.set_alpn_protocols(["http/1.1"])
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client is not None:
        _show_certificate(context, options.client)
    return context


def _show_certificate(context: ssl.SSLContext, client: ClientCertificate) -> None:
    """Let `context` prove who the client is.

    OpenSSL's binding reads keys from files only: what is written there is encrypted with a
    password that is used once, and removed at once.
    """
    pem = importlib.import_module("cryptography.hazmat.primitives.serialization")
    password = os.urandom(32).hex().encode()
    folder = Path(tempfile.mkdtemp(prefix="plait-"))
    try:
        key = pem.load_pem_private_key(client.key.encode(), None).private_bytes(
            pem.Encoding.PEM,
            pem.PrivateFormat.PKCS8,
            pem.BestAvailableEncryption(password),
        )
        file = folder / "client.pem"
        file.write_bytes(key + b"\n" + client.certificate.encode())
        context.load_cert_chain(file, password=password)
    except (ValueError, TypeError, OSError):
        # Not its text: that may quote what was read.
        text = "the credential's certificate and key are no pair in PEM"
        raise InvalidRequest(text) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Dialer:
    """Opens connections for pools."""

    def __init__(
        self, egress: Egress, make: MakeConnection, *, connect_timeout_ms: int
    ) -> None:
        self._egress = egress
        self._make = make
        self._connect_timeout_ms = connect_timeout_ms
        self._contexts = TlsContexts()

    async def connect(self, pool: Pool, *, limit_ms: int) -> Connection:
        """Return an open connection for `pool`.

        Raises:
            UnknownHost: its name leads nowhere.
            ForbiddenAddress: it is not trusted and leads to a private place.
            ConnectFailed: no address accepted.
            TlsFailed: the other side could not prove who it is.
            InvalidRequest: its TLS options cannot be used.
        """
        origin = pool.origin
        secure = self._secure(origin)
        route = await self._egress.route(
            origin.host, origin.port, is_trusted=origin.is_trusted
        )
        began_s = time.monotonic()
        for left, address in zip(range(len(route), 0, -1), route, strict=True):
            spent_s = time.monotonic() - began_s
            limit_s = self._share_s(limit_ms / 1000 - spent_s, spent_s, left)
            try:
                return await self._try(pool, address, secure, limit_s)
            except _HANDSHAKE_ERRORS as error:
                if secure:
                    raise _tls_failed(origin, error) from None
                reason = _reason(error)
            except OSError as error:
                reason = _reason(error)
        raise ConnectFailed(host=origin.host.name, port=origin.port, reason=reason)

    def _share_s(self, call_s: float, spent_s: float, left: int) -> float:
        """Return the time for the next of `left` addresses.

        The last one may take until the call's own deadline, which then says so.
        """
        connect_s = self._connect_timeout_ms / 1000 - spent_s
        return connect_s if left == 1 else min(connect_s, call_s) / left

    def _secure(self, origin: Origin) -> _Secure:
        if origin.scheme != "https":
            return {}
        options = origin.tls or _SYSTEM_TLS
        name = options.server_name or origin.host.name
        return {"ssl": self._contexts.get(options), "server_hostname": name}

    async def _try(
        self, pool: Pool, address: Address, secure: _Secure, limit_s: float
    ) -> Connection:
        loop = asyncio.get_running_loop()
        connection = self._make(pool)
        try:
            async with asyncio.timeout(limit_s):
                await loop.create_connection(
                    lambda: connection, address[0], address[1], **secure
                )
        except BaseException:
            # Cancelled or out of time, it may be up all the same.
            connection.drop()
            raise
        return connection


def _reason(error: OSError) -> str:
    if error.errno is not None:
        return os.strerror(error.errno).lower()
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return "it closed the connection"


def _tls_failed(origin: Origin, error: OSError) -> TlsFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is refused ({error.verify_message})"
    elif not isinstance(error, ssl.SSLError):
        reason = "it broke off the handshake"
    else:
        reason = (error.reason or "handshake failed").lower().replace("_", " ")
    return TlsFailed(host=origin.host.name, port=origin.port, reason=reason)
