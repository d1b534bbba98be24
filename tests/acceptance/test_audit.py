"""The audit log of a real store, by command."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.cli import plait

DOCUMENT = "name: hi\nmode: express\nsteps: [{id: a, type: set, value: 1}]\n"


async def test_commands_are_recorded_and_the_log_is_verified_and_exported(
    tmp_path: Path,
) -> None:
    (tmp_path / "hi.yaml").write_text(DOCUMENT)
    assert (await plait("deploy", "hi.yaml", "--dry-run", cwd=tmp_path)).code == 0
    assert (await plait("deploy", "hi.yaml", cwd=tmp_path)).code == 0
    key = (await plait("keys", "create", "ci", "--role=admin", cwd=tmp_path)).out.strip()
    assert (await plait("keys", "revoke", key, cwd=tmp_path)).code == 0
    assert (await plait("deployments", "rollback", "hi", cwd=tmp_path)).code == 2
    listed = await plait("audit", "list", "--json", cwd=tmp_path)
    rows = json.loads(listed.out)["entries"]
    assert [(one["action"], one["subject"], one["outcome"]) for one in rows] == [
        ("deployment.rollback", "hi", "refused"),
        ("key.revoke", key.split("_")[1], "done"),
        ("key.create", "ci", "done"),
        ("deployment.deploy", "hi.yaml", "done"),
    ]
    assert all(one["who"].startswith("cli") for one in rows)
    codes = ["deployment.nothing_before", None, None, None]
    assert [one["code"] for one in rows] == codes
    exported = await plait("audit", "export", cwd=tmp_path)
    assert key not in exported.out
    (tmp_path / "log.jsonl").write_text(exported.out)
    file = ("audit", "verify", "--file=log.jsonl")
    verified = await plait("audit", "verify", cwd=tmp_path)
    head = verified.out.strip()
    assert head == f"4:{rows[0]['hash']}"
    assert (await plait(*file, f"--head={head}", cwd=tmp_path)).code == 0
    (tmp_path / "log.jsonl").write_text(exported.out.replace("key.create", "key.creator"))
    broken = await plait(*file, cwd=tmp_path)
    assert broken.code == 1
    assert "audit.broken: entry 2" in broken.err
    other = await plait("audit", "verify", f"--head=4:{'0' * 64}", cwd=tmp_path)
    assert other.code == 1


async def test_what_a_command_changes_is_recorded_for_the_tenant_whose_it_is(
    tmp_path: Path,
) -> None:
    async def done(*words: str, given: bytes = b"") -> str:
        ran = await plait(*words, cwd=tmp_path, stdin=given)
        assert ran.code == 0, ran.err
        return ran.out.strip()

    async def recorded(tenant: str) -> list[tuple[str, str]]:
        rows = await done("audit", "list", "--json", f"--tenant={tenant}")
        return [(one["action"], one["subject"]) for one in json.loads(rows)["entries"]]

    acme, password = "--tenant=acme", b"correct horse battery"
    key = await done("keys", "create", "k", "--role=viewer", acme)
    await done("users", "add", "ann", "--role=viewer", acme, given=password)
    await done("keys", "revoke", key)
    await done("users", "remove", "ann")
    assert (await recorded("acme"))[:2] == [
        ("user.remove", "ann"),
        ("key.revoke", key.split("_")[1]),
    ]
    assert await recorded("default") == []


async def test_names_that_look_like_markup_are_listed_as_they_are(tmp_path: Path) -> None:
    names = ("[/x]", "[bold]admin[/bold]", ":smile:")
    for name in names:
        made = await plait("keys", "create", name, "--role=viewer", cwd=tmp_path)
        assert made.code == 0, made.err
    for group in ("keys", "audit"):
        listed = await plait(group, "list", cwd=tmp_path)
        assert listed.code == 0, listed.err
        assert [name for name in names if name not in listed.out] == []
