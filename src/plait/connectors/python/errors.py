"""Errors of functions as failures of steps.

Rule 1. The code is `python.` and the name of the exception's class; the names of its base
classes count as well, so `on: [python.LookupError]` answers a KeyError.
Rule 2. Every exception may be retried, if the document says how often: which of them pass
is known to whoever wrote the function. A StepError may say otherwise.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any, Final

from plait.connectors.egress.errors import ConnectorError
from plait.connectors.python.values import NoJson, as_json
from plait.model.duration import format_ms
from plait.model.errors import Advice
from plait.model.failure import CODE_PATTERN, CODE_WORD, Failure
from plait.model.json import JsonObject, JsonValue

_CODE: Final = re.compile(CODE_PATTERN, re.ASCII)
_WORD: Final = re.compile(CODE_WORD, re.ASCII)
_MESSAGE_CHARS_MAX: Final = 2_000
# What these two mean for a call to others is what the language's words mean.
_WORDS: Final = ((TimeoutError, "timeout"), (ConnectionError, "connect"))


class StepError(Exception):
    """Raise it in a function to fail the step with a code of your own.

    Args:
        code: Words joined by dots, which `retry.on` and `catch` can name.
        message: One sentence for a person.
        details: Facts for programs, JSON; templates read them as `error.details`.
        is_final: True: trying again is of no use.
        retry_after_s: How long to wait before the next attempt; None: as the step says.

    Raises:
        ValueError: The code is none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: JsonObject | None = None,
        is_final: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"code: '{code}' is none; write words joined by dots")
        super().__init__(message)
        self.code = code
        self.details = details
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class TimedOut(ConnectorError):
    """The attempt's time was up. A thread goes on; nobody waits for what it returns."""

    code = "connector.timeout"
    advice = Advice.RETRY
    classes = ("timeout",)

    def __init__(self, *, function: str, waited_ms: int) -> None:
        text = f"function '{function}' did not return within {format_ms(waited_ms)}"
        super().__init__(text, function=function)


class NotJson(ConnectorError):
    """A function returned what no document can hold."""

    code = "connector.decode"

    def __init__(self, *, function: str, reason: str) -> None:
        super().__init__(f"function '{function}' returned {reason}", function=function)


class NotBool(ConnectorError):
    """A condition returned something else than true or false."""

    code = "connector.decode"

    def __init__(self, *, function: str, returned: JsonValue) -> None:
        text = f"condition '{function}' returned {reprlib.repr(returned)}"
        super().__init__(f"{text}, not true or false", function=function)


class ShutDown(ConnectorError):
    """The connector was closed; it makes no more calls."""

    code = "connector.closed"
    advice = Advice.RETRY

    def __init__(self) -> None:
        super().__init__("the python connector is shut down")


def failure_of(error: BaseException) -> Failure:
    """Return what a step hears of an exception that its function raised.

    >>> failure = failure_of(KeyError("sku-7"))
    >>> failure.code, failure.message
    ('python.KeyError', "KeyError: 'sku-7'")
    >>> "python.LookupError" in failure.classes
    True
    """
    kinds = [kind for kind in type(error).__mro__ if kind not in (object, BaseException)]
    classes = tuple(f"python.{kind.__name__}" for kind in kinds if _is_word(kind))
    words = tuple(word for kind, word in _WORDS if isinstance(error, kind))
    if isinstance(error, StepError):
        return _failure_of_step(error, (*classes, *words))
    name = type(error).__name__
    text = _text_of(error)
    return Failure(
        f"python.{name}" if _is_word(type(error)) else "python.exception",
        f"{name}: {text}" if text else name,
        {"exception": f"{type(error).__module__}.{type(error).__qualname__}"},
        Advice.RETRY,
        (*classes, *words),
    )


def _failure_of_step(error: StepError, classes: tuple[str, ...]) -> Failure:
    advice = Advice.REPORT if error.is_final else Advice.RETRY
    wait_s = error.retry_after_s
    details = {_kept(str(key)): _fact(one) for key, one in (error.details or {}).items()}
    return Failure(
        error.code,
        _text_of(error) or error.code,
        details,
        advice,
        classes,
        retry_after_ms=None if wait_s is None else round(wait_s * 1000),
    )


def _text_of(error: BaseException) -> str:
    try:
        return _kept(str(error)[:_MESSAGE_CHARS_MAX])
    except Exception:
        # Its class has to say enough: a text that cannot be made must not hide the error.
        return ""


def _kept(text: str) -> str:
    """Return a text that a journal can hold: file names may have halves of surrogates."""
    return text.encode("utf-8", "replace").decode()


def _fact(value: Any) -> JsonValue:
    try:
        return as_json(value)
    except NoJson:
        return _kept(repr(value)[:_MESSAGE_CHARS_MAX])


def _is_word(kind: type[BaseException]) -> bool:
    return _WORD.fullmatch(kind.__name__) is not None
