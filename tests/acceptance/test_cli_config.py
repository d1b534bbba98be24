"""`plait config show`, as people and programs call it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.cli import plait


async def test_every_setting_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "plait.toml").write_text("[gateway]\nport = 9000\n")
    env = {"PLAIT_SECRET_TOKEN": "hunter2", "PLAIT_GATEWAY_HOST": "::1"}
    show = ("config", "show", "--changed", "--store=x.db")
    done = await plait(*show, "--json", cwd=tmp_path, env=env)
    rows = {one["key"]: one for one in json.loads(done.out)["settings"]}
    assert {key: (one["source"], one["place"]) for key, one in rows.items()} == {
        "gateway.host": ("environment", "PLAIT_GATEWAY_HOST"),
        "gateway.port": ("file", "plait.toml:2"),
        "store.url": ("command line", None),
        "secrets.token": ("environment", "PLAIT_SECRET_TOKEN"),
    }
    assert "hunter2" not in done.out
    people = await plait(*show, cwd=tmp_path, env=env)
    assert [line.split() for line in people.out.splitlines()][2] == [
        *("gateway.port", "9000", "plait.toml:2")
    ]


async def test_wrong_settings_are_told_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "plait.toml").write_text("[gateway]\nprot = 9000\n")
    done = await plait("config", "show", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("settings.invalid: plait.toml: unknown key 'gateway.prot'")
    done = await plait("config", "show", "--json", cwd=tmp_path)
    assert done.code == 2
    assert done.error["code"] == "settings.invalid"
    assert len(done.error["details"]["problems"]) == 1
