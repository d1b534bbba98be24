"""The strategy keeps the contract of its port, and believes nobody but proxies."""

from __future__ import annotations

from typing import ClassVar

import plait_proxied
import pytest

from plait.ports.plugins import PluginContext
from plait.testing.authentication_suite import AuthenticationSuite

HEADER = plait_proxied.HEADER


class TestProxied(AuthenticationSuite):
    """The contract of the port."""

    strategy = plait_proxied.STRATEGY
    options: ClassVar = {"proxies": ["10.0.0.0/8", "::1/128"], "role": "operator"}
    shown = ({HEADER: "ann@example.com"}, "10.1.2.3")
    wrong = (
        ({HEADER: "ann@example.com"}, "192.0.2.1"),
        ({HEADER: "ann@example.com"}, ""),
        ({HEADER: "ann, bob"}, "10.1.2.3"),
        ({HEADER: ""}, "10.1.2.3"),
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"proxies": []}, {"proxies": ["x"]}, {"proxies": ["::"], "role": "king"}],
)
def test_options_that_would_let_in_nobody_or_anybody_are_refused(
    options: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match=r"prox|address|role|'x'"):
        plait_proxied.STRATEGY.make(PluginContext(options))  # type: ignore[arg-type]
