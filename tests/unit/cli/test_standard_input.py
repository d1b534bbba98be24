"""Standard input as commands read it: to its end, or a secret."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import typer

from plait.cli.standard_input import read_secret, standard_input

SRC = Path(__file__).resolve().parents[3] / "src"


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))


@pytest.mark.parametrize("data", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
def test_a_secret_is_what_stands_before_the_line_end(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, data)
    assert read_secret("token", bytes_max=8) == "s3cret"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"123456789", "standard input holds more than 8 bytes"),
        (b"\xff", "the token is not UTF-8"),
    ],
)
def test_a_secret_that_cannot_be_taken_whole_is_refused(
    data: bytes,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    give(monkeypatch, data)
    with pytest.raises(typer.Exit) as ended:
        read_secret("token", bytes_max=8)
    assert ended.value.exit_code == 2
    assert capsys.readouterr() == ("", f"{said}\n")


@pytest.mark.parametrize(
    ("is_new", "prompts"),
    [
        (False, [b"Client secret: "]),
        (True, [b"Client secret: ", b"Repeat for confirmation: "]),
    ],
)
def test_a_person_types_unseen_and_what_is_new_twice(
    is_new: bool, prompts: list[bytes]
) -> None:
    code = (
        "from plait.cli.standard_input import read_secret;"
        f"print(read_secret('client_secret', bytes_max=8, is_new={is_new}))"
    )
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SRC)},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as asking:
        assert asking.stdout is not None
        assert asking.stderr is not None
        for prompt in prompts:
            assert asking.stderr.read(len(prompt)) == prompt
            os.write(keyboard, b"s3cret\n")
            assert asking.stderr.read(1) == b"\n"
        assert asking.stdout.read() == b"s3cret\n"
    os.close(terminal)
    os.close(keyboard)
    assert asking.returncode == 0


def test_input_that_is_closed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    for read in (standard_input, lambda: read_secret("token", bytes_max=8)):
        with pytest.raises(typer.Exit):
            read()
        assert capsys.readouterr().err == "standard input cannot be read: it is closed\n"
