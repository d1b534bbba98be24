"""How commands are found, and that starting costs no more than what is used."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from plait.cli.app import COMMANDS, app, load_command
from plait.cli.init import starter_text
from plait.cli.options import pairs

SRC = Path(__file__).resolve().parents[3] / "src"
HEAVY = ("pydantic", "asyncio", "rich", "yaml", "cel_expr_python", "plait.compile")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says_itself(name: str) -> None:
    _, summary = COMMANDS[name]
    text = load_command(name).help
    assert text.splitlines()[0] == summary
    inner = getattr(load_command(name), "commands", {name: load_command(name)})
    assert all("Examples:" in command.help for command in inner.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help_at_h_and_installs_no_completion(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load_command(name).main(["-h"], prog_name=f"plait {name}")
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert COMMANDS[name][1] in " ".join(told.split())
    assert "--install-completion" not in told


HOSTILE = "\x1b[2J\x9b1m\u202e\u2066\x07"


@pytest.mark.parametrize("terminal", ["", "1"])
@pytest.mark.parametrize(
    "given",
    [
        [HOSTILE],
        [f"--{HOSTILE}"],
        ["health", HOSTILE, HOSTILE],
        ["serve", f"--{HOSTILE}=1"],
        ["serve", "--port", HOSTILE],
        ["serve", f"--reload={HOSTILE}"],
        ["keys", HOSTILE],
        ["keys", "create", f"-{HOSTILE}"],
        ["executions", "list", "--limit", HOSTILE],
        ["run", "--input", HOSTILE, HOSTILE, HOSTILE],
    ],
)
def test_what_is_wrong_with_an_argument_commands_no_terminal(
    given: list[str],
    terminal: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", terminal)
    with pytest.raises(SystemExit) as ended:
        app(given, prog_name="plait")
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    # What is left are the colours that typer itself writes.
    text = re.sub(r"\x1b\[[0-9;]*m", "", told.err)
    assert text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def stores(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with its names, and its `--store`."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from stores(inner, *names, name)
    for option in command.params:
        if "--store" in option.opts:
            yield names, command


def test_an_empty_store_is_none_and_not_the_usual_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [one for name in COMMANDS for one in stores(load_command(name), name)]
    assert {"run", "serve", "deploy", "executions", "keys"} <= {
        names[0] for names, _ in found
    }
    for names, command in found:
        needed = ["x" for one in command.params if one.required]
        with pytest.raises(SystemExit) as ended:
            command.main([*needed, "--store", ""], prog_name="plait")
        told = capsys.readouterr()
        assert (ended.value.code, told.out) == (2, ""), names
        assert "--store is empty" in told.err, names


def test_starting_imports_nothing_that_a_command_needs() -> None:
    code = f"import sys, plait.cli; print([m for m in {HEAVY} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_what_only_lines_of_logs_need_is_not_imported_until_there_is_one() -> None:
    code = (
        "import io, logging, sys; from plait.cli.app import load_command;"
        "load_command('serve'); from plait.telemetry.logs import configure;"
        "stream = io.StringIO(); print('structlog' in sys.modules);"
        "configure(stream, level='info', is_json=True, redact=str);"
        "print('structlog' in sys.modules); logging.getLogger('plait').warning('well');"
        "print('structlog' in sys.modules, 'well' in stream.getvalue())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "True"]


def test_importing_a_command_looks_for_no_garbage_and_builds_no_step() -> None:
    code = (
        "import gc; from plait.cli.app import load_command;"
        "rounds = []; gc.callbacks.append(lambda phase, info: rounds.append(phase));"
        "load_command('serve'); looks = len(rounds);"
        "from plait.document.steps.wait import WaitStep;"
        "print(looks < 4, gc.isenabled(), gc.get_freeze_count() > 10_000,"
        " WaitStep.__pydantic_complete__)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True True False\n"


def test_a_pair_without_name_or_value_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as caught:
        pairs("--env", ["a=1", "nothing"], "region=eu")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == (
        "--env nothing: write NAME=VALUE, for example --env region=eu\n"
    )


def test_the_starter_has_short_lines_and_no_tabs() -> None:
    lines = starter_text().splitlines()
    assert max(map(len, lines)) <= 92
    assert not any("\t" in line for line in lines)
