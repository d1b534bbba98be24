"""Numbers and durations in plain English: `three times`, `within 2 seconds`."""

from __future__ import annotations

import re
from typing import Final

_NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
} | {"once": 1, "twice": 2, "thrice": 3, "a": 1, "an": 1, "half": 0}
_UNITS: Final = {
    "ms": "ms", "millisecond": "ms", "s": "s", "sec": "s", "second": "s", "m": "m",
    "min": "m", "minute": "m", "h": "h", "hr": "h", "hour": "h", "d": "d", "day": "d",
    "week": "w",
}  # fmt: skip
_WORDS: Final = "|".join(_NUMBERS)
_SPAN: Final = re.compile(
    rf"(?i)\b(\d{{1,6}}(?:\.\d{{1,3}})?|{_WORDS})[\s-]*"
    r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?)\b"
)
_COUNTS: Final = "|".join(word for word in _NUMBERS if word not in ("a", "an", "half"))
_TIMES: Final = re.compile(
    rf"(?i)\b(\d{{1,4}}|{_COUNTS})\s*(?:more\s+|further\s+)?(?:times?|retr(?:y|ies)|attempts?|"
    r"tries)\b|\b(twice|thrice|once)\b"
    r"|\b(?:retr(?:y|ies)|attempts?|tries)\s*(?:of|=|:|to)?\s*(\d{1,4})\b"
)
# What documents take at most (a day is long for one call, and still allowed).
_DAYS_MAX: Final = 3_650
ATTEMPTS_MAX: Final = 100
_ATTEMPTS_DEFAULT: Final = 3
_RETRIES: Final = re.compile(r"(?i)\bretr(?:y|ies|ied|ying)\b")
_TRIES: Final = re.compile(r"(?i)\b(?:retr(?:y|ie[sd]|ying)|attempts?|tr(?:y|ies))\b")


def number_of(word: str) -> int | None:
    """Return what a word counts; None: it is no number.

    >>> number_of("three"), number_of("12"), number_of("many")
    (3, 12, None)
    """
    if word.isascii() and word.isdigit():
        return int(word[:9])
    return _NUMBERS.get(word.lower())


def duration_in(text: str) -> str:
    """Return the first duration in a text as documents write it; empty: there is none.

    >>> [duration_in(t) for t in ("within two seconds", "1.5 minutes", "a week", "soon")]
    ['2s', '90s', '7d', '']
    """
    found = _SPAN.search(text)
    if found is None:
        return ""
    unit = _UNITS[found[2].lower() if len(found[2]) < 3 else found[2].lower().rstrip("s")]
    if "." in found[1]:
        scale = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
        ms = float(found[1]) * scale.get(unit, 604_800_000)
        return f"{int(ms // 1000)}s" if ms >= 1000 and ms % 1000 == 0 else f"{int(ms)}ms"
    amount = number_of(found[1]) or 0
    if unit == "w":
        amount, unit = amount * 7, "d"
    if amount < 1 or (unit == "d" and amount > _DAYS_MAX):
        return ""
    return f"{amount}{unit}"


def attempts_in(text: str) -> int | None:
    """Return how often something is tried in all, when a text says so.

    `Retry 3 times` is taken as documents count: three attempts, the first included.

    >>> attempts_in("retry 3 times"), attempts_in("try twice"), attempts_in("a retry of 5")
    (3, 2, 5)
    >>> attempts_in("charge the card") is None
    True
    """
    if not _TRIES.search(text):
        return None
    found = _TIMES.search(text)
    if found is None:
        return _ATTEMPTS_DEFAULT if _RETRIES.search(text) else None
    number = number_of(found[1] or found[2] or found[3])
    return None if number is None else max(1, min(ATTEMPTS_MAX, number))
