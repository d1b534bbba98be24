"""Which errors a policy means: the same words for retries, breakers and fallbacks.

A word is an exception class, a status (`503`, `"5xx"`), a code (`"connector.timeout"`,
`"connector.*"`), `"timeout"` or `"connect"`, or a function of the error that answers true
or false. Status and code are read from the error's attributes, as HTTP clients and `plait`
set them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from plait.resilience.errors import (
    EarlierCallFailed,
    IdempotencyConflict,
    ResilienceError,
    TimedOut,
)

Matcher: TypeAlias = Callable[[Exception], bool]
ErrorWord: TypeAlias = type[Exception] | int | str | Matcher
ErrorWords: TypeAlias = ErrorWord | Sequence[ErrorWord]

_STATUS_CLASS: Final = re.compile(r"[1-5]xx")
# As in documents: what a call to others came to, whatever its client calls that.
_WORDS: Final = {"timeout": TimeoutError, "connect": ConnectionError}
_TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_transient(error: Exception) -> bool:
    """Tell whether another try may succeed: what is retried unless a policy says otherwise.

    Failed connections, time-outs, the statuses 408, 425, 429, 500, 502, 503 and 504, and
    what another policy refused for now.

    >>> is_transient(ConnectionResetError()), is_transient(KeyError("id"))
    (True, False)
    """
    if isinstance(error, ResilienceError):
        return not isinstance(error, IdempotencyConflict | EarlierCallFailed)
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return status_of(error) in _TRANSIENT_STATUSES


def is_upstream_failure(error: Exception) -> bool:
    """Tell whether `error` speaks against what was called: what a breaker counts.

    Every error does, but for what another policy refused (nothing was called) and the
    statuses 400 to 499 (the call was wrong, its target is well) without 408 and 429.
    """
    if isinstance(error, ResilienceError):
        return isinstance(error, TimedOut)
    status = status_of(error)
    return status is None or not 400 <= status < 500 or status in (408, 429)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that `error` tells of, its own or its response's."""
    for owner in (error, getattr(error, "response", None)):
        for name in ("status", "status_code"):
            value = getattr(owner, name, None)
            if isinstance(value, int):
                return value
    return None


def code_of(error: BaseException) -> str | None:
    """Return the stable code of `error`, when it has one."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else None


def retry_after_s(error: BaseException) -> float | None:
    """Return how many seconds `error` asks to wait before another try.

    Its attribute `retry_after`, or the `Retry-After` in seconds of its response.
    """
    asked = getattr(error, "retry_after", None)
    if asked is None:
        headers: Any = getattr(getattr(error, "response", None), "headers", None)
        asked = headers.get("retry-after") if hasattr(headers, "get") else None
    try:
        seconds = float(asked) if asked is not None else None
    except (TypeError, ValueError):
        return None  # a date, or not meant for us
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None


def matcher(argument: str, words: ErrorWords) -> Matcher:
    """Return a function that tells whether an error matches any of `words`.

    Raises:
        ValueError: A word is none, or there is none at all.

    >>> matches = matcher("on", (ConnectionError, "5xx", "connector.*"))
    >>> matches(ConnectionRefusedError()), matches(ValueError())
    (True, False)
    """
    listed: Sequence[Any] = (
        words if isinstance(words, Sequence) and not isinstance(words, str) else (words,)
    )
    if not listed:
        raise ValueError(f"{argument} is empty; name the errors that it means")
    classes = tuple(word for word in listed if isinstance(word, type))
    tests = [_test(argument, word) for word in listed if not isinstance(word, type)]
    for one in classes:
        if not issubclass(one, Exception):
            message = f"{argument} names {one.__name__}; only subclasses of Exception fail"
            raise ValueError(message)
    if not tests:
        return lambda error: isinstance(error, classes)
    if not classes and len(tests) == 1:
        return tests[0]
    return lambda error: isinstance(error, classes) or any(test(error) for test in tests)


def _test(argument: str, word: Any) -> Matcher:
    if isinstance(word, int) and not isinstance(word, bool) and 100 <= word <= 599:
        return lambda error: status_of(error) == word
    if isinstance(word, str) and _STATUS_CLASS.fullmatch(word):
        hundreds = int(word[0])
        return lambda error: (status_of(error) or 0) // 100 == hundreds
    if isinstance(word, str) and word.endswith(".*"):
        return lambda error: (code_of(error) or "").startswith(word[:-1])
    if isinstance(word, str) and word in _WORDS:
        kind = _WORDS[word]
        return lambda error: isinstance(error, kind) or code_of(error) == word
    if isinstance(word, str) and word:
        return lambda error: code_of(error) == word
    if callable(word):
        return lambda error: bool(word(error))
    message = (
        f"{argument} names {word!r}; give exception classes, statuses (503, '5xx'), "
        "codes, or a function of the error"
    )
    raise ValueError(message)
