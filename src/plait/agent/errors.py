"""What the agent refuses, and why."""

from __future__ import annotations

from typing import ClassVar

from plait.model.duration import format_ms
from plait.model.errors import Advice, PlaitError


class SessionUnknown(PlaitError):
    """There is no such session, or not any more, or it is another tenant's."""

    code: ClassVar[str] = "session.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, session_id: str) -> None:
        super().__init__(f"there is no session '{session_id[:80]}'; create another")
        self.session_id = session_id


class SessionFull(PlaitError):
    """A session has no room for more."""

    code: ClassVar[str] = "session.full"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; create another session")
        self.what = what


class TooManySessions(PlaitError):
    """The tenant has as many sessions as it may."""

    code: ClassVar[str] = "session.too_many"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, count_max: int, ttl_ms: int) -> None:
        super().__init__(
            f"there are {count_max} sessions already; one ends {format_ms(ttl_ms)} after "
            "it was last used"
        )
        self.count_max = count_max


class NothingSaid(PlaitError):
    """A workflow shall be drafted, and nobody has said which."""

    code: ClassVar[str] = "session.empty"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self) -> None:
        super().__init__("nothing was said in this session yet: chat first, then generate")


class WorkflowUnknown(PlaitError):
    """The workflow that shall be edited is not deployed."""

    code: ClassVar[str] = "workflow.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, workflow_id: str | None) -> None:
        if workflow_id is None:
            said = "an edit session needs `workflow_id`, the workflow to be edited"
        else:
            said = f"there is no deployed workflow '{workflow_id[:80]}'"
        super().__init__(said)
        self.workflow_id = workflow_id


class ModelUnavailable(PlaitError):
    """The language model gave no answer that can be used.

    Attributes:
        retry_after: Seconds that it asked to be waited; None: it did not say.
    """

    code: ClassVar[str] = "agent.model_unavailable"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(f"the language model gave no usable answer: {reason}")
        self.reason = reason
        self.retry_after = retry_after


class ModelRefused(PlaitError):
    """The language model's endpoint refuses: a key, a model's name, a request."""

    code: ClassVar[str] = "agent.model_refused"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, status: int) -> None:
        super().__init__(
            f"the language model's endpoint answered {status}: check `agent.endpoint`, "
            "`agent.model` and the secret named in `agent.key`"
        )
        self.status = status
