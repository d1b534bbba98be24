"""deploy/systemd/plait.service: its keys, and what it starts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from plait.model.duration import parse_duration_ms
from tests.deploy.image import DEPLOY, Image
from tests.deploy.running import started

UNIT = DEPLOY / "systemd/plait.service"


def settings(section: str) -> dict[str, list[str]]:
    """Return what a section says: a key may stand more than once."""
    found: dict[str, list[str]] = {}
    text = UNIT.read_text().partition(f"[{section}]\n")[2].partition("\n[")[0]
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


SERVICE = settings("Service")


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:  # macOS, or a container without it: the other tests still read it
        assert UNIT.read_text().count("[Service]") == 1
        return
    # What it starts need not be installed here.
    (program,) = re.findall(r"^ExecStart=(\S+)", UNIT.read_text(), re.MULTILINE)
    here = tmp_path / "plait.service"
    here.write_text(UNIT.read_text().replace(program, "/bin/true"))
    ran = subprocess.run(
        [verify, "verify", "--man=no", str(here)], capture_output=True, text=True
    )
    complaints = [line for line in ran.stderr.splitlines() if "plait.service" in line]
    assert (ran.returncode, complaints) == (0, [])


def test_a_key_that_systemd_does_not_know_is_found(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        assert "NoNewPrivilege=" not in UNIT.read_text()
        return
    here = tmp_path / "plait.service"
    here.write_text("[Service]\nExecStart=/bin/true\nNoNewPrivilege=yes\n")
    ran = subprocess.run([verify, "verify", str(here)], capture_output=True, text=True)
    assert "NoNewPrivilege" in ran.stderr


def test_it_is_killed_later_than_it_drains() -> None:
    (drain,) = (
        one.partition("=")[2]
        for one in SERVICE["Environment"]
        if one.startswith("PLAIT_GATEWAY_DRAIN_TIMEOUT=")
    )
    closing_ms = 5_000
    stop_ms = int(SERVICE["TimeoutStopSec"][0]) * 1000
    assert parse_duration_ms(drain) + closing_ms <= stop_ms
    assert SERVICE["KillSignal"] == ["SIGTERM"]


def test_secrets_and_the_keys_of_the_vault_come_from_files_that_may_be_left_out() -> None:
    # A file that may be missing has a dash before it.
    assert SERVICE["EnvironmentFile"] == [
        "-/etc/plait/environment",
        "-/etc/plait/vault.env",
    ]
    assert "PLAIT_VAULT_KEY=" not in "\n".join(SERVICE["Environment"])


def test_it_runs_as_nobody_and_may_write_to_its_own_folder_only() -> None:
    assert SERVICE["DynamicUser"] == ["yes"]
    assert SERVICE["ProtectSystem"] == ["strict"]
    assert SERVICE["NoNewPrivileges"] == ["yes"]
    assert SERVICE["CapabilityBoundingSet"] == [""]
    assert SERVICE["WorkingDirectory"] == [f"%S/{SERVICE['StateDirectory'][0]}"]
    assert "ReadWritePaths" not in SERVICE


@pytest.mark.slow
def test_what_it_starts_serves_and_a_wrong_setting_is_not_tried_again(
    image: Image, tmp_path: Path
) -> None:
    folder = image.root / "data" / "unit"
    folder.mkdir()
    config = folder / "plait.toml"
    config.write_text("[security]\nrequired = true\n")
    program, *arguments = SERVICE["ExecStart"][0].split()
    assert program.endswith("/bin/plait")
    told = [one.replace("/etc/plait/plait.toml", str(config)) for one in arguments]
    env = dict(one.split("=", 1) for one in SERVICE["Environment"])
    store = str(folder / "plait.db") if not image.as_user() else "/data/unit.db"
    env["PLAIT_STORE_URL"] = image.moved(store)
    command = ["plait", *told]
    with started(image, command=command, env=env) as server:
        assert server.status("/health/ready") == 200
        assert server.stopped() == 0
    config.write_text("[security]\nrequird = true\n")
    with (
        pytest.raises(AssertionError, match="requird"),
        started(image, command=command, env=env) as server,
    ):
        raise RuntimeError("it has started")
    assert SERVICE["RestartPreventExitStatus"] == ["2"]
