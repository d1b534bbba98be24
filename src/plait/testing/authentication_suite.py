"""The contract of plait.ports.strategy.Strategy, as tests that every package runs.

class TestBadge(AuthenticationSuite):
    strategy = STRATEGY
    shown = ({"x-badge": "7"}, "10.0.0.1")
    wrong = [({"x-badge": "8"}, "10.0.0.1")]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import pytest

from plait.model.caller import ROLES, Caller
from plait.ports.identity import RateExceeded, Unauthenticated
from plait.ports.plugins import AUTHENTICATION, PORTS, PluginContext
from plait.ports.strategy import AuthenticationStrategy, Strategy

# Headers by lower-case name, and the address at the other end of the connection.
Shown: TypeAlias = "tuple[Mapping[str, str], str]"


class AuthenticationSuite:
    """Subclass it; say what the strategy is, and what counts for it and what does not.

    Attributes:
        options, secrets: What it is made with.
        shown: A request that shows somebody.
        wrong: Requests that try to, and do not count: another signature, say.
        other: Requests that show something else, and are none of its business.
    """

    strategy: ClassVar[AuthenticationStrategy]
    options: ClassVar[dict[str, Any]] = {}
    secrets: ClassVar[dict[str, str]] = {}
    shown: ClassVar[Shown]
    wrong: ClassVar[Sequence[Shown]]
    other: ClassVar[Sequence[Shown]] = (
        ({}, "10.0.0.1"),
        ({}, ""),
        ({"authorization": "Bearer plait_a_b", "host": "h"}, "127.0.0.1"),
        ({"x-api-key": "plait_a_b"}, "127.0.0.1"),
    )

    def made(self) -> Strategy:
        """Return a strategy; override it to make another."""
        return self.strategy.make(PluginContext({**self.options}, {**self.secrets}))

    def test_it_is_for_the_port_that_is_here(self) -> None:
        assert isinstance(self.strategy, AuthenticationStrategy)
        assert self.strategy.port == PORTS[AUTHENTICATION]

    def test_what_its_options_do_not_know_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zzz"):
            self.strategy.make(PluginContext({**self.options, "zzz": 1}, self.secrets))

    def test_it_names_the_headers_that_it_reads(self) -> None:
        assert self.strategy.headers
        assert [one.lower() for one in self.strategy.headers] == [*self.strategy.headers]
        assert set(self.strategy.headers) & set(self.shown[0])

    async def test_who_shows_what_counts_is_a_caller_with_a_tenant_and_known_roles(
        self,
    ) -> None:
        strategy = self.made()
        caller = await strategy.authenticate(*self.shown)
        await strategy.close()
        assert isinstance(caller, Caller)
        assert caller.subject
        assert caller.tenant
        roles = {caller.role, *caller.grants.values()} - {None}
        assert roles <= set(ROLES)

    async def test_what_does_not_count_is_refused_and_not_repeated(self) -> None:
        strategy = self.made()
        assert self.wrong, "say what does not count"
        for headers, peer in self.wrong:
            with pytest.raises((Unauthenticated, RateExceeded)) as found:
                await strategy.authenticate(headers, peer)
            for name in self.strategy.headers:
                if len(headers.get(name, "")) > 3:
                    assert headers[name] not in str(found.value)
        await strategy.close()

    async def test_what_is_shown_to_others_is_left_to_them(self) -> None:
        strategy = self.made()
        for headers, peer in self.other:
            assert await strategy.authenticate(headers, peer) is None
        await strategy.close()
