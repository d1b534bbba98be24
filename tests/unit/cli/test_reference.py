"""docs/reference/cli.md is made from the commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plait.cli.app import COMMANDS
from plait.cli.reference import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_with_examples(name: str) -> None:
    section = re.split(rf"## plait {name}(?: \w+)?\n", page())[1].split("## plait ")[0]
    assert f"\n    plait {name}" in section
    assert "```sh\n" in section
