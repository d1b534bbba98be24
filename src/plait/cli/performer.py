"""What makes the calls of a command, or why none can be made."""

from __future__ import annotations

from collections.abc import Sequence

from plait.assembly import compose
from plait.assembly.connectors import Available, FunctionsUnusable
from plait.assembly.deploying import LateRecords
from plait.assembly.sources import Configured, SettingsInvalid
from plait.assembly.vaults import vault
from plait.cli.output import stop
from plait.model.errors import PlaitError
from plait.ports.calls import Calls


def performer_of(configured: Configured, available: Sequence[Available]) -> Calls:
    """Return what performs calls; ends with EXIT_INVALID when a module is unusable."""
    records = LateRecords(configured.settings.store.url)
    try:
        return compose.calls(
            configured.settings,
            available,
            configured.secrets,
            vault(configured, records),
            records.close,
        )
    except SettingsInvalid as error:
        stop(*error.problems)
    except FunctionsUnusable as error:
        stop(str(error))
    except PlaitError as error:  # a plug-in that the settings name
        stop(f"{error.code}: {error}")
