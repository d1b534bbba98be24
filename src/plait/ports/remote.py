"""What can go wrong between the services of the platform, beside what they refuse.

Not here: how they talk (plait.services).
"""

from __future__ import annotations

from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject

# Protocol Buffers have no larger message.
MESSAGE_BYTES_MAX: Final = 2**31 - 1


class ServiceError(PlaitError):
    """Another service could not do what it was asked for; it is named in the message."""

    code: ClassVar[str] = "service.failed"

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"the {service} {reason}")
        self.details: JsonObject = {"service": service}


class ServiceUnavailable(ServiceError):
    """It cannot be reached, or ended while it was at work."""

    code: ClassVar[str] = "service.unavailable"
    advice: ClassVar[Advice] = Advice.RETRY


class ServiceTimeout(ServiceError):
    """It has not answered in time."""

    code: ClassVar[str] = "service.timeout"
    advice: ClassVar[Advice] = Advice.RETRY


class MessageTooLarge(ServiceError):
    """What it was to be asked is larger than services take from each other."""

    code: ClassVar[str] = "service.too_large"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, service: str) -> None:
        super().__init__(
            service,
            "takes no request that large, or this process sends none: "
            "`services.message_bytes_max` of both raises that",
        )


class AnswerTooLarge(ServiceError):
    """Its answer is larger than services take from each other; what it did is done."""

    code: ClassVar[str] = "service.answer_too_large"

    def __init__(
        self, service: str, byte_count: int, byte_count_max: int, execution_id: str
    ) -> None:
        super().__init__(
            service,
            f"has an answer of {byte_count} bytes, and sends {byte_count_max} at most: "
            f"`services.message_bytes_max` of the gateway and the {service} raises that",
        )
        self.details |= {"bytes": byte_count, "bytes_max": byte_count_max}
        if execution_id:
            self.details["execution_id"] = execution_id


class ServiceRefused(ServiceError):
    """It does not know who asks: the services have not the same token or authority."""

    code: ClassVar[str] = "service.refused"


class OpenService(PlaitError):
    """A service would listen where everybody on the network reaches it."""

    code: ClassVar[str] = "service.open"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, service: str, address: str) -> None:
        super().__init__(
            f"the {service} would listen on {address}, open to the network: let services "
            "prove who they are (`services.tls_authority`), or share a token "
            "(`services.token_file`), or listen on 127.0.0.1"
        )


class PlanUnknown(PlaitError):
    """A service was asked to run plans that it has not seen yet."""

    code: ClassVar[str] = "plan.unknown"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, hashes: list[str]) -> None:
        super().__init__(f"{len(hashes)} plans are not known here: send them")
        self.details: JsonObject = {"plans": [*hashes]}
