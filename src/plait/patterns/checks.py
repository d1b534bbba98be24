"""What patterns check when they are made: names, numbers, times, retries."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from plait.document.error_words import error_word
from plait.document.fields import identifier
from plait.model.duration import DURATION_MS_MAX
from plait.model.json import JsonObject, JsonValue

Backoff: TypeAlias = Literal["fixed", "linear", "exponential", "random"]
ErrorWord: TypeAlias = str | int | type[BaseException]

_PATTERN_NAME: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]*(?:[.\-][A-Za-z0-9_]+)*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a function that failed is called again.

    Attributes:
        max_attempts: All attempts, the first included; 1 to 1,000.
        delay_s: Wait before the second attempt, seconds.
        backoff: How the wait grows: `fixed`, `linear`, `exponential` or `random`.
        factor: Base of the exponential back-off.
        max_delay_s: Ceiling of every wait, seconds.
        jitter: Share of the wait that is drawn at random, 0 to 1.
        on: Which errors: exception classes, or words of the language (`timeout`, 503,
            `python.*`); empty: all exceptions, but for a `StepError` that is final.

    Raises:
        ValueError: An argument is out of its range.
    """

    max_attempts: int = 3
    delay_s: float = 0.1
    backoff: Backoff = "fixed"
    factor: float = 2.0
    max_delay_s: float = 30.0
    jitter: float = 0.0
    on: tuple[ErrorWord, ...] = ()

    def __post_init__(self) -> None:
        check_count("max_attempts", self.max_attempts, most=1_000)
        check_seconds("delay_s", self.delay_s, zero=True)
        check_seconds("max_delay_s", self.max_delay_s, zero=True)
        check_choice("backoff", self.backoff, get_args(Backoff))
        check_range("factor", self.factor, 1, 100)
        check_range("jitter", self.jitter, 0, 1)
        if self.backoff == "random" and self.max_delay_s < self.delay_s:
            raise ValueError(
                "max_delay_s: a random wait is drawn between delay_s and max_delay_s: "
                f"{self.delay_s} or more is needed, not {self.max_delay_s}"
            )
        if not isinstance(self.on, (tuple, list)):
            raise ValueError(f"on: a tuple of errors is needed, not {self.on!r}")
        _words(self.on)

    def as_document(self) -> JsonObject:
        """Return it as a document writes it."""
        written: JsonObject = {
            "max_attempts": self.max_attempts,
            "delay": duration(self.delay_s),
            "backoff": self.backoff,
            "factor": self.factor,
            "max_delay": duration(self.max_delay_s),
            "jitter": self.jitter,
        }
        words: list[JsonValue] = [*_words(self.on)]
        return {**written, "on": words} if words else written


def retry_of(retry: Retry | int | None, what: str) -> JsonObject | None:
    """Return a retry as a document writes it. A number is that of all attempts.

    Raises:
        ValueError: It is none.
    """
    if retry is None:
        return None
    if isinstance(retry, int) and not isinstance(retry, bool):
        try:
            retry = Retry(max_attempts=retry)
        except ValueError as error:
            raise ValueError(f"{what}: retry: {error}") from None
    if not isinstance(retry, Retry):
        raise ValueError(f"{what}: retry: a Retry, or how many attempts; not {retry!r}")
    return retry.as_document()


def _words(on: Iterable[ErrorWord]) -> list[str]:
    return [
        f"python.{one.__name__}" if isinstance(one, type) else error_word(one) for one in on
    ]


def duration(seconds: float) -> str:
    """Return seconds as a document writes them.

    >>> duration(0.25), duration(90)
    ('250ms', '90000ms')
    """
    return f"{max(round(seconds * 1000), 0)}ms"


def check_name(what: str, name: str) -> str:
    """Return the name of a step, case or task, which paths and templates are made of.

    Raises:
        ValueError: It is none.
    """
    if not name:
        raise ValueError(f"{what}: it has no name; give it one: letters, digits and '_'")
    try:
        return identifier(name)
    except ValueError as error:
        raise ValueError(f"{what}: '{name}' cannot be its name: {error}") from None


def check_names(what: str, names: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuse names that stand twice, and those that the pattern gives itself.

    Raises:
        ValueError: One does.
    """
    seen: set[str] = set()
    for name in names:
        check_name(what, name)
        if name in own:
            raise ValueError(f"{what}: '{name}' is what a step of its own is called")
        if name in seen:
            raise ValueError(f"{what}: there are two of the name '{name}'")
        seen.add(name)


def check_pattern_name(name: Any) -> str:
    """Return the name of a pattern, under which a journal keeps it.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(name, str) or not _PATTERN_NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' cannot name a pattern: write letters, digits and '_', in words "
            "joined by '.' or '-'"
        )
    return str(name)


def check_count(name: str, value: Any, *, most: int = 1_000_000) -> None:
    """Refuse a count that is none.

    Raises:
        ValueError: It is less than 1, or more than `most`.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= value <= most:
        raise ValueError(
            f"{name}: a whole number from 1 to {most:,} is needed, not {value}"
        )


def check_seconds(name: str, value: Any, *, zero: bool = False) -> None:
    """Refuse a time that is none.

    Raises:
        ValueError: It is negative, zero where that is none, or longer than a century.
    """
    is_kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_number = is_kind and math.isfinite(value)
    if not is_number or value < 0 or (not zero and value < 0.001):
        least = "0" if zero else "0.001"
        raise ValueError(f"{name}: seconds, {least} or more, are needed, not {value}")
    if value * 1000 > DURATION_MS_MAX:
        raise ValueError(f"{name}: {value} s is longer than a century")


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Refuse a word that is unknown.

    Raises:
        ValueError: It is.
    """
    words = list(known)
    if value not in words:
        raise ValueError(f"{name}: '{value}' is none; write {' or '.join(words)}")


def check_range(name: str, value: Any, least: float, most: float) -> None:
    """Refuse a number out of its range.

    Raises:
        ValueError: It is.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise ValueError(f"{name}: a number from {least} to {most} is needed, not {value}")
