"""A gateway that finds the same executions always: `… -m benchmarks.control.plain PORT`."""

from __future__ import annotations

import sys
from typing import Any, cast

from benchmarks.control.same import PAGE
from plait.drivers.inline import InlineDriver
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.control.asked import Services
from plait.gateway.serving import serve_forever
from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.platform import Executions


class Same:
    """Finds the same page, whatever is asked."""

    async def find(
        self, caller: Caller, search: Any, page: int | None = None
    ) -> JsonObject:
        """Return the page."""
        return PAGE


def build() -> Gateway:
    """Return the gateway."""
    driver = InlineDriver(cast("Any", None), env={}, secrets={})
    services = Services(executions=cast("Executions", Same()))
    return Gateway(driver, settings=GatewaySettings(has_open_api=True), services=services)


if __name__ == "__main__":
    serve_forever(build, port=int(sys.argv[1]))
