"""What commands that use a store share: one end for whatever goes wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from plait.cli.stores import finish, in_records
from plait.model.errors import Advice, PlaitError
from plait.ports.records import Records


class Gone(PlaitError):
    """It is not there."""

    code = "test.gone"
    advice = Advice.FIX_REQUEST


class Broken(PlaitError):
    """It is there, and cannot be used."""

    code = "test.broken"
    advice = Advice.REPORT


def test_what_is_done_is_returned() -> None:
    async def main() -> str:
        return "done"

    assert finish(main()) == "done"


@pytest.mark.parametrize(("error", "exit_code"), [(Gone("x"), 2), (Broken("x"), 1)])
def test_an_error_ends_the_command_with_one_line(
    error: PlaitError, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        finish(main())
    assert ended.value.exit_code == exit_code
    assert capsys.readouterr() == ("", f"{error.code}: x\n")


async def test_records_are_closed_after_work_that_fails(tmp_path: Path) -> None:
    given: list[Records] = []
    url = str(tmp_path / "plait.db")

    async def work(records: Records) -> None:
        given.append(records)
        assert await records.find("key", None) == []
        raise Broken("x")

    with pytest.raises(Broken):
        await in_records(url, work)
    with pytest.raises(RuntimeError, match="after shutdown"):
        await given[0].find("key", None)
