"""How services reach each other: certificates, tokens, sizes, keep-alive, reconnecting.

Rule 1. A connection that broke is tried again within a second, for ever: whoever calls
        meanwhile hears at once that the other side is not there.
Rule 2. There is a connection to every address that a service has, and calls take turns on
        them. A server ends connections that are old, so that who calls looks again which
        addresses there are; what is under way on one ends there in its own time.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc
import orjson

from plait.model.record import record
from plait.ports.remote import MESSAGE_BYTES_MAX
from plait.services.errors import METADATA_BYTES_MAX

Options: TypeAlias = "list[tuple[str, Any]]"

_RECONNECT_MS_MIN: Final = 100
_RECONNECT_MS_MAX: Final = 1_000
# Answers to a ping take longer than this only when nobody is there.
_PING_TIMEOUT_MS: Final = 5_000
# A client that asks for signs of life more often than this is cut off.
_PING_INTERVAL_MS_MIN: Final = 1_000
# What gRPC takes for a time: 24 days.
_MS_MAX: Final = 2**31 - 1
# A name is not looked up more often than this, however many connections end.
_LOOKUP_MS_MIN: Final = 1_000
_TAKE_TURNS: Final = orjson.dumps({"loadBalancingConfig": [{"round_robin": {}}]}).decode()


@record
class Sizes:
    """What a message may have, and how long connections last.

    Attributes:
        message_bytes_max: The largest message in either direction; MESSAGE_BYTES_MAX at
            most.
        keep_alive_ms: After this long without a word one is asked for a sign of life.
        connection_age_ms: After this long a server takes no more calls on one.
    """

    message_bytes_max: int = MESSAGE_BYTES_MAX
    keep_alive_ms: int = 30_000
    connection_age_ms: int = 60_000


@record
class Security:
    """How services prove who they are.

    Attributes:
        certificate, key: This process's own, PEM; None: connections are not encrypted.
        authority: Whose certificates the others have, PEM. With it a server lets in only
            who has one too.
        token: What all services share; None: nothing.
    """

    certificate: bytes | None = None
    key: bytes | None = None
    authority: bytes | None = None
    token: str | None = None

    @property
    def is_proving(self) -> bool:
        """True when whoever calls has to prove who they are."""
        has_mutual = self.certificate is not None and self.authority is not None
        return has_mutual or self.token is not None

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Return what a server shows, and asks for; None: nothing."""
        if self.certificate is None or self.key is None:
            return None
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority,
            require_client_auth=self.authority is not None,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what a client shows, and asks for; None: nothing."""
        if self.authority is None and self.certificate is None:
            return None
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def security_of(
    *,
    certificate: Path | None,
    key: Path | None,
    authority: Path | None,
    token: Path | None,
) -> Security:
    """Return the security that these files hold.

    Raises:
        OSError: One cannot be read.
        ValueError: A certificate has no key, or a key no certificate; the token is empty.
    """
    if (certificate is None) != (key is None):
        raise ValueError("tls_certificate and tls_key go together")
    told = Security(_read(certificate), _read(key), _read(authority))
    if token is None:
        return told
    text = token.read_text().strip()
    if not text.isascii() or not text.isprintable() or not text:
        raise ValueError("the token is one line of ASCII text")
    return replace(told, token=text)


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _options(sizes: Sizes) -> Options:
    return [
        ("grpc.max_receive_message_length", sizes.message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.keepalive_time_ms", sizes.keep_alive_ms),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def server_options(sizes: Sizes) -> Options:
    """Return what a server asks of gRPC."""
    return [
        *_options(sizes),
        # Before it sends an answer, plait.services.server looks how large that is: gRPC
        # would break off, and nobody would learn which answer that was.
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_connection_age_ms", min(sizes.connection_age_ms, _MS_MAX)),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_INTERVAL_MS_MIN),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_INTERVAL_MS_MIN),
        # Two servers on one port would share its calls, unnoticed.
        ("grpc.so_reuseport", 0),
    ]


def channel_of(address: str, security: Security, sizes: Sizes) -> grpc.aio.Channel:
    """Return a channel to a service. It connects when it is first used.

    Args:
        address: `host:port`, or several of IP addresses, with commas between them.
    """
    options: Options = [
        *_options(sizes),
        ("grpc.max_send_message_length", sizes.message_bytes_max),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS_MIN),
        ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS_MAX),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS_MAX),
        # A neighbour's failures to connect are none of this one's.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.dns_min_time_between_resolutions_ms", _LOOKUP_MS_MIN),
        ("grpc.service_config", _TAKE_TURNS),
        # Without a policy, gRPC sends again only what was not sent: by a connection that
        # was just ended. What else may be is decided in plait.services.remote.link.
        ("grpc.enable_retries", 1),
    ]
    first, _, more = address.partition(",")
    if more:
        # All have one name, which is what a certificate is looked at for.
        options.append(("grpc.default_authority", first))
        address = f"{_family(first)}:{address}"
    credentials = security.channel_credentials()
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)


def _family(address: str) -> str:
    """Return how gRPC calls what an IP address and port are of."""
    host = address.rpartition(":")[0].strip("[]")
    return f"ipv{ip_address(host).version}"
