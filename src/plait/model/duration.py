"""Durations as users write them: `800ms`, `2s`, `5m`, `1h`, `3d`, `1h30m` or ISO 8601."""

from __future__ import annotations

import re

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SHORT = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|s|m|h|d))", re.ASCII)
_SHORT_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_ISO = re.compile(
    r"P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_ISO_MS = (7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000)

# A century: longer waits are typing errors, and every due time still fits 53 bits.
DURATION_MS_MAX = 100 * 366 * 86_400_000


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds that `text` names.

    Args:
        text: `800ms`, `2s`, `1.5h`, `1h30m`, or ISO 8601 without years and months
            (`PT30S`, `P3DT4H`), whose length does not depend on a calendar.

    Raises:
        ValueError: `text` is no duration, or is longer than a century.

    >>> [parse_duration_ms(t) for t in ("800ms", "2s", "1h30m", "PT1M", "P1D")]
    [800, 2000, 5400000, 60000, 86400000]
    """
    if _SHORT_WHOLE.fullmatch(text):
        total = sum(float(n) * _UNIT_MS[unit] for n, unit in _SHORT.findall(text))
    else:
        total = _iso_ms(text)
    if total > DURATION_MS_MAX:
        raise ValueError(f"duration '{text}' is longer than a century")
    return round(total)


def _iso_ms(text: str) -> float:
    match = _ISO.fullmatch(text)
    if match is None or not any(match.groups()) or text.endswith("T"):
        raise ValueError(
            f"'{text}' is not a duration; write 800ms, 2s, 5m, 1h, 3d or ISO 8601"
        )
    parts = zip(match.groups(), _ISO_MS, strict=True)
    return sum(float(number) * unit_ms for number, unit_ms in parts if number)


def format_ms(ms: float) -> str:
    """Return `ms` in the largest unit that keeps it short.

    >>> [format_ms(n) for n in (0, 0.25, 40, 1500, 90_000, 86_400_000, 10**16)]
    ['0ms', '0.25ms', '40ms', '1.5s', '1.5m', '1d', '115740740.74d']
    """
    unit = "ms"
    for candidate, unit_ms in _UNIT_MS.items():
        if ms >= unit_ms:
            unit = candidate
    number = f"{ms / _UNIT_MS[unit]:.2f}".rstrip("0").rstrip(".")
    return f"{number}{unit}"
