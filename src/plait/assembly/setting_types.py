"""The types of the values of settings: durations, counts, words between commas.

Not here: the sections (plait.assembly.settings).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.url import read_url
from plait.model.duration import parse_duration_ms


def read_duration(value: Any) -> int:
    """Return the milliseconds that `value` names.

    Raises:
        ValueError: It is no duration. A bare 10 is none: ten milliseconds here, and ten
            seconds to whoever wrote it.
    """
    if not isinstance(value, str):
        raise ValueError('write a duration as text with its unit: "800ms", "10s", "5m"')
    return parse_duration_ms(value)


def read_number(value: Any) -> Any:
    """A variable's number is text; a switch is none, though Python counts it as one."""
    if isinstance(value, bool):
        raise ValueError("write a whole number, not true or false")
    return value


def read_words(value: Any) -> Any:
    """Take a list, or, as environment variables have none, words between commas."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def read_http_url(value: str) -> str:
    """Take what requests can be sent to; it is told at the start, not with the first one.

    Raises:
        ValueError: It is no http(s) URL.
    """
    try:
        read_url(value)
    except InvalidRequest as error:
        raise ValueError(f"{error}; write an http(s) URL") from None
    return value


def read_listen_host(value: str) -> str:
    """Take an address; the system would take an empty one for every address of the machine.

    Raises:
        ValueError: It is empty.
    """
    if not value.strip():
        raise ValueError(NO_HOST)
    return value


def read_address(value: str) -> str:
    """Take where one process answers.

    Raises:
        ValueError: It is no `host:port`.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _PORT_MAX:
        raise ValueError("write HOST:PORT: 127.0.0.1:8091, engine:8091, [::1]:8091")
    return value


def read_addresses(value: str) -> str:
    """Take where one process answers, or several: IP addresses of one kind.

    Raises:
        ValueError: One is none, or they cannot be called in turn.
    """
    many = [read_address(one.strip()) for one in value.split(",")]
    if len(many) > 1:
        try:
            hosts = [ip_address(one.rpartition(":")[0].strip("[]")) for one in many]
        except ValueError:
            raise ValueError("of several addresses each is IP:PORT, and no name") from None
        if len({one.version for one in hosts}) > 1:
            raise ValueError("of several addresses all are IPv4, or all are IPv6")
    return ",".join(many)


_PORT_MAX: Final = 65_535
NO_HOST: Final = "write an address; 0.0.0.0 or :: for all that this machine has"
Address: TypeAlias = Annotated[str, AfterValidator(read_address)]
Addresses: TypeAlias = Annotated[str, AfterValidator(read_addresses)]
Duration: TypeAlias = Annotated[int, BeforeValidator(read_duration), Field(ge=1)]
Words: TypeAlias = Annotated[list[str], NoDecode, BeforeValidator(read_words)]
Number: TypeAlias = Annotated[int, BeforeValidator(read_number)]
Bytes: TypeAlias = Annotated[Number, Field(ge=1, le=2**31)]
Count: TypeAlias = Annotated[Number, Field(ge=1, le=1_000_000)]
HttpUrl: TypeAlias = Annotated[str, AfterValidator(read_http_url)]
ListenHost: TypeAlias = Annotated[str, AfterValidator(read_listen_host)]
