"""Lines of the log: what stands in them, what does not, and that they harm nothing."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from plait.telemetry.logs import configure

KEY = "plait_k3v7aaaaaaaa_" + "b" * 52


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines go, until the test is over."""
    root, own = logging.getLogger(), logging.getLogger("plait")
    handlers, levels = list(root.handlers), (root.level, own.level)
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def lines(stream: io.StringIO, **options: Any) -> logging.Logger:
    # pytest keeps what is logged, and its processes cannot tell each other half a letter.
    logging.getLogger().handlers.clear()
    told = {"level": "info", "is_json": True, "redact": lambda text: text, **options}
    configure(stream, **told)
    return logging.getLogger("plait.tests")


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_line_is_an_object_with_the_ids_that_were_given(stream: io.StringIO) -> None:
    logger = lines(stream)
    ids = {"execution_id": "e1", "step": "pay", "tenant": "t1", "secret_thing": "x"}
    logger.warning("step %s waits", "pay", extra=ids)
    told = only(stream)
    assert list(told)[:4] == ["timestamp", "level", "logger", "message"]
    assert told["message"] == "step pay waits"
    assert told["level"] == "warning"
    assert (told["execution_id"], told["step"], told["tenant"]) == ("e1", "pay", "t1")
    assert "secret_thing" not in told


def test_an_exception_is_in_the_line_it_belongs_to(stream: io.StringIO) -> None:
    logger = lines(stream)
    try:
        raise ValueError("as planned")
    except ValueError:
        logger.exception("this went wrong")
    assert "ValueError: as planned" in only(stream)["exception"]


def test_secrets_are_masked_wherever_they_stand(stream: io.StringIO) -> None:
    logger = lines(stream, redact=lambda text: text.replace("s3cr3t", "***"))
    logger.error("told s3cr3t and %s", KEY, extra={"step": "s3cr3t"})
    try:
        raise ValueError("Authorization: Bearer abcdefgh12345678")
    except ValueError:
        logger.exception("refused")
    written = stream.getvalue()
    assert "s3cr3t" not in written
    assert "b" * 52 not in written
    assert "abcdefgh12345678" not in written
    assert "plait_k3v7aaaaaaaa_***" in written


def test_levels_are_kept_and_other_packages_only_warn(stream: io.StringIO) -> None:
    logger = lines(stream, level="warning")
    logger.info("nobody asked")
    logging.getLogger("of.others").info("nor for this")
    assert stream.getvalue() == ""
    lines(stream, level="debug")
    logger.debug("now somebody did")
    assert only(stream)["message"] == "now somebody did"


def test_people_get_text(stream: io.StringIO) -> None:
    lines(stream, is_json=False).warning("take care", extra={"execution_id": "e1"})
    assert "take care" in stream.getvalue()
    assert "execution_id=e1" in stream.getvalue()


def test_a_line_that_cannot_be_written_harms_nobody(
    capsys: pytest.CaptureFixture[str], stream: io.StringIO
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError("no space left on device")

    lines(Full()).error("lost")
    assert capsys.readouterr().err == ""


def test_half_a_letter_makes_a_line_all_the_same(stream: io.StringIO) -> None:
    lines(stream).error("odd: %s", "\ud83d")
    assert only(stream)["message"].startswith("odd: ")


@pytest.mark.parametrize("is_json", [True, False])
def test_what_others_wrote_commands_no_terminal(
    stream: io.StringIO, *, is_json: bool
) -> None:
    logger = lines(stream, is_json=is_json)
    try:
        raise ValueError("\x1b[2Jraised\x9b")
    except ValueError:
        logger.exception("\x1b[2Jtold \u202e", extra={"workflow": "\x1b[2Jnamed"})
    assert stream.getvalue().replace("\n", "").isprintable()
    for word in ("told", "named", "raised"):
        assert f"1b[2J{word}" in stream.getvalue()
