"""What holds for every test.

Rule 1. A run is repeatable: hypothesis draws the same examples each time.
    `HYPOTHESIS_PROFILE=explore` draws new ones, and ten times as many.
Rule 2. Settings of the person who runs the tests do not reach them, nor does it matter
        whether a terminal does.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Two busy cores make any deadline a matter of luck; pytest-timeout watches instead.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=1_000,
    suppress_health_check=[HealthCheck.too_slow],
)
# Importing it plants a bug: it is for processes of their own.
collect_ignore_glob = ["proof/planted*"]

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Whatever a shell runs in the background ignores it, and so do the commands under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away PLAIT_* and the proxies: tests say themselves what they set."""
    for name in list(os.environ):
        if name.startswith("PLAIT_") or name.upper() in _PROXIES:
            monkeypatch.delenv(name)
