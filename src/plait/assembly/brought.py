"""What other packages bring to a gateway: middleware, and ways to show who asks.

Only what settings name is looked for; a gateway without any has nothing of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plait.assembly.plugins import made
from plait.assembly.sources import Configured
from plait.drivers.closing import close_all
from plait.model.caller import ROLES, Caller
from plait.model.errors import PlaitError
from plait.model.record import record
from plait.ports.identity import Authenticator
from plait.ports.middleware import Layer
from plait.ports.plugins import (
    AUTHENTICATION,
    MIDDLEWARE,
    RAISED_BY_OTHERS,
    PluginUnusable,
)
from plait.ports.strategy import Strategy


@record
class Named:
    """A strategy, and what it is called."""

    name: str
    strategy: Strategy


@record
class BroughtToGateway:
    """What a gateway was brought.

    Attributes:
        layers: Its middleware, the outermost first.
        strategies: Who is asked who a caller is, the first first.
        headers: The headers that show them something.
    """

    layers: Sequence[Layer] = ()
    strategies: Sequence[Named] = ()
    headers: tuple[bytes, ...] = ()

    def authenticator(self, own: Authenticator) -> Authenticator:
        """Return what asks the strategies first; `own` itself where there are none."""
        return Chain(self.strategies, own) if self.strategies else own

    async def close(self) -> None:
        """Close all, even when one fails to."""
        closes = [one.close for one in self.layers]
        closes += [one.strategy.close for one in self.strategies]
        await close_all(*closes)


def brought_to_gateway(configured: Configured) -> BroughtToGateway:
    """Return what the settings name, made.

    Raises:
        PlaitError: One is missing, cannot be used or refuses its options.
    """
    settings, secrets = configured.settings, configured.secrets
    layers: list[Layer] = []
    for name in settings.gateway.middleware:
        asked = MIDDLEWARE, name, "gateway.middleware"
        layers.append(made(*asked, settings.middleware, secrets)[1])
    strategies: list[Named] = []
    headers: list[bytes] = []
    for name in settings.security.strategies:
        asked = AUTHENTICATION, name, "security.strategies"
        plugin, strategy = made(*asked, settings.authentication, secrets)
        strategies.append(Named(name, strategy))
        headers += [one.lower().encode("latin-1") for one in plugin.headers]
    return BroughtToGateway(layers, strategies, tuple(headers))


class Chain:
    """Asks strategies who a caller is, one after the other, and `own` at last."""

    def __init__(self, strategies: Sequence[Named], own: Authenticator) -> None:
        self._strategies = strategies
        self._own = own

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Return on whose behalf a request is made. See plait.ports.identity."""
        for one in self._strategies:
            try:
                caller = await one.strategy.authenticate(headers, peer)
            except PlaitError:
                raise
            except RAISED_BY_OTHERS as error:
                raise _unusable(one, f"{type(error).__name__} was raised") from error
            if caller is not None:
                return _checked(one, caller)
        return await self._own.authenticate(headers, peer)


def _checked(one: Named, caller: Caller) -> Caller:
    """Return a caller of another package, if it is one: nobody gets in by a mistake."""
    found: object = caller
    if not isinstance(found, Caller):
        raise _unusable(one, "what it returns is no Caller")
    roles = [role for role in (found.role, *found.grants.values()) if role is not None]
    if not found.tenant or not found.subject or not set(roles) <= set(ROLES):
        raise _unusable(one, "the Caller that it returns has no tenant, or unknown roles")
    return found


def _unusable(one: Named, reason: str) -> PluginUnusable:
    return PluginUnusable(AUTHENTICATION, one.name, "an installed package", reason)
