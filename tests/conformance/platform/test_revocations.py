"""A key that is revoked over the API ends at once, whichever processes answer for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plait.assembly.stores import open_records
from plait.drivers.clock import now_ms
from plait.security.keys import ApiKeys
from tests.acceptance.gateways import ask
from tests.proof.inside import platform, split_platform
from tests.unit.gateway.wires import client_of

SETTINGS: dict[str, Any] = {"security": {"required": True, "key_memory": "1h"}}


@pytest.mark.parametrize("served", [platform, split_platform])
async def test_a_revoked_key_is_not_remembered(served: Any, tmp_path: Path) -> None:
    records = await open_records(str(tmp_path / "plait.db"))
    scope: Any = {"tenant": "default", "role": "admin", "grants": {}}
    admin, _ = await ApiKeys(records, now_ms).create("admin", **scope)
    await records.close()
    keys, looking = "/api/v1/keys", "/api/v1/executions"
    async with (
        served(tmp_path, (), SETTINGS) as (_, address),
        client_of(*address) as client,
    ):
        wish = {"name": "ci", "role": "viewer"}
        made = (await ask(client, keys, "POST", body=wish, X_API_Key=admin)).json
        shown = {"X_API_Key": made["key"]}
        assert (await ask(client, looking, **shown)).status == 200
        gone = f"{keys}/{made['id']}"
        assert (await ask(client, gone, "DELETE", X_API_Key=admin)).status == 200
        assert (await ask(client, looking, **shown)).status == 401
