"""import-linter's contracts bite: a copy of the house with one bad import goes red."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.tree import PURE_ROOMS, ROOT

CONTRACTS = (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")[2]
ROOMS = [
    *(
        "cli",
        "assembly",
        "gateway",
        "services",
        "testing",
        "operations",
        "agent",
        "drivers",
    ),
    *("connectors", "stores", "resilience", "ports", *PURE_ROOMS),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house with empty rooms and the project's contracts."""
    for room in ROOMS:
        folder = tmp_path / "plait" / room
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
    (tmp_path / "plait/__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.importlinter]" + CONTRACTS)
    return tmp_path


def lint(house: Path) -> tuple[int, str]:
    """Return exit code and report of import-linter in `house`."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as m; m()",
        "--no-cache",
    ]
    done = subprocess.run(
        command, cwd=house, capture_output=True, env={"PYTHONPATH": str(house)}, check=False
    )
    return done.returncode, re.sub(r"\s+", " ", (done.stdout + done.stderr).decode())


def test_the_empty_house_keeps_the_contracts(house: Path) -> None:
    code, report = lint(house)
    assert (code, "4 kept, 0 broken" in report) == (0, True), report


@pytest.mark.parametrize(
    ("room", "line", "complaint"),
    [
        ("model", "import plait.expression", "plait.model is not allowed to import"),
        ("kernel", "import plait.document", "plait.kernel is not allowed to import"),
        ("gateway", "import plait.services", "plait.gateway is not allowed to import"),
        ("drivers", "import plait.cli", "plait.drivers is not allowed to import"),
        ("agent", "import plait.drivers", "plait.agent is not allowed to import"),
        ("kernel", "import time", "plait.kernel is not allowed to import time"),
        ("compile", "from asyncio import sleep", "is not allowed to import asyncio"),
        ("plan", "import httptools", "plait.plan is not allowed to import httptools"),
        ("resilience", "import plait.model", "plait.resilience is not allowed to import"),
    ],
)
def test_an_import_that_the_architecture_forbids_is_found(
    house: Path, room: str, line: str, complaint: str
) -> None:
    (house / "plait" / room / "bad.py").write_text(line + "\n")
    code, report = lint(house)
    assert (code, complaint in report) == (1, True), report


def test_a_room_that_is_on_no_layer_is_found(house: Path) -> None:
    (house / "plait/attic").mkdir()
    (house / "plait/attic/__init__.py").write_text("")
    code, report = lint(house)
    assert (code, "attic" in report) == (1, True), report


def test_both_lists_of_pure_rooms_agree() -> None:
    contracts = tomllib.loads("[tool.importlinter]" + CONTRACTS)["tool"]["importlinter"]
    pure = next(c for c in contracts["contracts"] if c["type"] == "forbidden")
    assert pure["source_modules"] == [f"plait.{room}" for room in PURE_ROOMS]
