"""Errors of the `http` connector. Their codes are stable; their texts are for people.

Rule. A text names the host, the phase and the sizes; never a header, query or body that
was sent, because those may hold secrets.

Not here: errors before anything is sent (plait.connectors.egress.errors), replies with
an unwanted status (status).
"""

from __future__ import annotations

from plait.connectors.egress.errors import ConnectorError
from plait.model.duration import format_ms
from plait.model.errors import Advice


class ConnectFailed(ConnectorError):
    """No address of the host accepted a connection."""

    code = "connector.connect"
    advice = Advice.RETRY
    classes = ("connect",)

    def __init__(self, *, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"no connection to {host}:{port}: {reason}", host=host, port=port, reason=reason
        )


class TlsFailed(ConnectorError):
    """The other side could not prove who it is, or does not speak TLS."""

    code = "connector.tls"
    advice = Advice.RETRY
    classes = ("connect",)

    def __init__(self, *, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"no secure connection to {host}:{port}: {reason}",
            host=host,
            port=port,
            reason=reason,
        )


class TimedOut(ConnectorError):
    """The call's time was up. `phase`: `connect`, `wait` (no reply yet) or `receive`."""

    code = "connector.timeout"
    advice = Advice.RETRY
    classes = ("timeout",)

    def __init__(self, *, host: str, waited_ms: int, phase: str) -> None:
        said = {
            "connect": "was not connected",
            "wait": "gave no answer",
            "receive": "did not finish its answer",
        }[phase]
        super().__init__(
            f"{host} {said} within {format_ms(waited_ms)}", host=host, phase=phase
        )


class Closed(ConnectorError):
    """The other side closed the connection before its reply was whole."""

    code = "connector.closed"
    advice = Advice.RETRY

    def __init__(self, *, host: str, received: str) -> None:
        super().__init__(f"{host} closed the connection {received}", host=host)


class Unforeseen(ConnectorError):
    """A fault of the connector itself, or of a library; the text names its type only."""

    code = "connector.failed"

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the http connector failed inside ({type(error).__name__})")


class ShutDown(ConnectorError):
    """This client was closed; it makes no more calls."""

    code = "connector.closed"
    advice = Advice.RETRY

    def __init__(self) -> None:
        super().__init__("the http connector is shut down")


class ProtocolBroken(ConnectorError):
    """What the other side sent is not HTTP/1.1."""

    code = "connector.protocol"

    def __init__(self, *, host: str, reason: str) -> None:
        super().__init__(f"{host} does not speak HTTP/1.1: {reason}", host=host)


class TooLarge(ConnectorError):
    """The reply is larger than allowed, as sent or once unpacked."""

    code = "connector.too_large"

    def __init__(self, *, host: str, reason: str, bytes_max: int) -> None:
        super().__init__(
            f"the reply of {host} is too large: {reason}", host=host, bytes_max=bytes_max
        )


class Undecodable(ConnectorError):
    """The reply arrived whole but is not what it says, or what was asked for."""

    code = "connector.decode"

    def __init__(self, *, host: str, reason: str) -> None:
        super().__init__(f"the reply of {host} cannot be read: {reason}", host=host)
