"""`plait journal` as a process, beside others that use the same store."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson

from tests.acceptance.cli import finish, plait, start

SUM = """\
name: sums
steps: [{id: sum, type: set, value: "${input.a + 1}"}]
output: "${sum.response}"
"""
NAP = "name: nap\nsteps: [{id: nap, type: wait, for: 3d}]\n"


async def ran(folder: Path, count: int = 1) -> None:
    (folder / "w.yaml").write_text(SUM)
    for number in range(count):
        given = f'{{"a": {number}}}'
        done = await plait("run", "w.yaml", "--durable", "-i", given, cwd=folder)
        assert done.code == 0, done.err


async def listed(folder: Path, *more: str) -> list[str]:
    done = await plait("executions", "list", "--json", *more, cwd=folder)
    return [row["id"] for row in orjson.loads(done.out)]


async def test_an_execution_is_found_by_its_key_and_by_its_tag(tmp_path: Path) -> None:
    await ran(tmp_path)
    words = ("--key", "order-7", "--tag", "vip", "-i", '{"a": 1}')
    done = await plait("run", "w.yaml", "--durable", *words, cwd=tmp_path)
    assert done.code == 0
    found = await listed(tmp_path, "--key", "order-7")
    assert len(found) == 1
    assert await listed(tmp_path, "--tag", "vip") == found
    assert await listed(tmp_path, "--key", "order-7", "-w", "other") == []


async def test_damage_is_told_with_its_code_and_what_is_whole_is_whole(
    tmp_path: Path,
) -> None:
    await ran(tmp_path, 2)
    whole = await plait("journal", "verify", "--json", cwd=tmp_path)
    assert (whole.code, orjson.loads(whole.out)) == (0, {"checked": 2, "damaged": []})
    with closing(sqlite3.connect(tmp_path / ".plait/plait.db")) as db, db:
        db.execute("UPDATE standings SET length = 7 WHERE execution = 1")
    fine, damaged = await listed(tmp_path)
    told = await plait("journal", "verify", cwd=tmp_path)
    assert told.code == 1
    assert told.out.startswith(f"{damaged}  journal.damaged: ")
    assert told.lines == ["2 executions checked, 1 problems found"]
    one = await plait("journal", "verify", damaged[:8], "--json", cwd=tmp_path)
    (found,) = orjson.loads(one.out)["damaged"]
    assert (one.code, found["id"], found["code"]) == (1, damaged, "journal.damaged")
    assert (await plait("journal", "verify", fine, cwd=tmp_path)).code == 0
    nobody = await plait("journal", "verify", "zzz", cwd=tmp_path)
    assert (nobody.code, "execution.unknown" in nobody.err) == (2, True)


async def test_what_a_store_derives_is_told_and_repaired(tmp_path: Path) -> None:
    await ran(tmp_path, 2)
    with closing(sqlite3.connect(tmp_path / ".plait/plait.db")) as db, db:
        db.execute("UPDATE standings SET workflow = 'other' WHERE execution = 1")
    _, wrong = await listed(tmp_path)
    told = await plait("journal", "verify", cwd=tmp_path)
    assert told.code == 1
    assert told.out.startswith(f"{wrong}  store.inconsistent: ")
    assert "--repair" in told.out
    assert told.lines == ["2 executions checked, 1 problems found"]
    done = await plait("journal", "verify", "--repair", "--json", cwd=tmp_path)
    (found,) = orjson.loads(done.out)["damaged"]
    assert (done.code, found["id"], found["repaired"]) == (0, wrong, True)
    assert done.lines == ["2 executions checked, 0 problems found, 1 repaired"]
    assert (await plait("journal", "verify", cwd=tmp_path)).code == 0
    refused = await plait("journal", "verify", wrong, "--repair", cwd=tmp_path)
    assert (refused.code, "--repair" in refused.err) == (2, True)


async def test_a_backup_is_a_store_and_overwrites_nothing(tmp_path: Path) -> None:
    await ran(tmp_path)
    done = await plait("journal", "backup", "copy.db", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert await listed(tmp_path, "--store", "copy.db") == await listed(tmp_path)
    for file in ("copy.db", ""):
        again = await plait("journal", "backup", file, cwd=tmp_path)
        assert (again.code, "backup.refused" in again.err) == (2, True), file


async def test_compact_archives_what_ended_and_leaves_what_runs(tmp_path: Path) -> None:
    await ran(tmp_path, 2)
    (tmp_path / "nap.yaml").write_text(NAP)
    napping = await start("run", "nap.yaml", "--durable", cwd=tmp_path)
    assert napping.stderr is not None
    open_id = (await napping.stderr.readline()).decode().split()[1]
    compact = ("journal", "compact", "--archive", "old.jsonl", "--json")
    nothing = await plait(*compact, cwd=tmp_path)
    assert orjson.loads(nothing.out)["removed"] == 0
    later = await plait(*compact, "--older-than", "1d", cwd=tmp_path)
    assert orjson.loads(later.out)["removed"] == 0
    (tmp_path / "plait.toml").write_text('[store]\nretention = "1ms"\n')
    done = await plait(*compact, cwd=tmp_path)
    assert (done.code, orjson.loads(done.out)["removed"]) == (0, 2)
    assert await listed(tmp_path) == [open_id]
    assert len((tmp_path / "old.jsonl").read_bytes().splitlines()) == 2
    napping.kill()
    await finish(napping)


async def test_an_archive_that_is_the_store_or_no_archive_is_refused(
    tmp_path: Path,
) -> None:
    await ran(tmp_path)
    shutil.copy(tmp_path / ".plait/plait.db", tmp_path / "other.db")
    other = (tmp_path / "other.db").read_bytes()
    compact = ("journal", "compact", "--older-than", "1ms", "--archive")
    for file in (".plait/plait.db-wal", "other.db"):
        refused = await plait(*compact, file, cwd=tmp_path)
        assert (refused.code, "archive.refused" in refused.err) == (2, True)
        assert "nothing was removed" in refused.err
    assert (tmp_path / "other.db").read_bytes() == other
    assert len(await listed(tmp_path)) == 1
    assert (await plait("journal", "verify", cwd=tmp_path)).code == 0


async def test_what_compact_cannot_do_it_says_and_leaves(tmp_path: Path) -> None:
    await ran(tmp_path)
    compact = ("journal", "compact", "--older-than", "1ms")
    full = await plait(*compact, "--archive", "/dev/full", cwd=tmp_path)
    assert (full.code, "No space left" in full.err) == (1, True)
    wrong = await plait(*compact, "--status", "running", cwd=tmp_path)
    assert (wrong.code, "--status running" in wrong.err) == (2, True)
    assert len(await listed(tmp_path)) == 1


async def test_what_was_removed_is_told_when_its_space_cannot_be_given_back(
    tmp_path: Path,
) -> None:
    await ran(tmp_path, 2)
    path = tmp_path / ".plait" / "plait.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER t BEFORE DELETE ON entries BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    done = await plait("journal", "compact", "--older-than", "1ms", cwd=tmp_path)
    assert (done.code, "2 executions removed" in done.err) == (1, True)
    assert "store.unavailable: not all was done" in done.err
    assert await listed(tmp_path) == []


async def test_one_whose_row_is_damaged_can_be_verified_by_its_id(tmp_path: Path) -> None:
    await ran(tmp_path, 2)
    damaged, _ = await listed(tmp_path)
    path = tmp_path / ".plait" / "plait.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        query = "UPDATE executions SET tags = 'garbage' WHERE id = ?"
        connection.execute(query, (damaged,))
    done = await plait("journal", "verify", damaged, cwd=tmp_path)
    assert (done.code, "store.damaged" in done.out) == (1, True)
    unknown = await plait("journal", "verify", "nobody", cwd=tmp_path)
    assert (unknown.code, "execution.unknown" in unknown.err) == (2, True)


async def test_of_one_whose_row_is_damaged_that_is_told_and_not_that_there_is_none(
    tmp_path: Path,
) -> None:
    await ran(tmp_path, 2)
    damaged, _ = await listed(tmp_path)
    with closing(sqlite3.connect(tmp_path / ".plait/plait.db")) as db, db:
        db.execute("UPDATE executions SET tags = '{}' WHERE id = ?", (damaged,))
    for words in (("show", damaged), ("cancel", damaged[:12])):
        told = await plait("executions", *words, cwd=tmp_path)
        assert (told.code, "store.damaged" in told.err) == (1, True), told.err
    nobody = await plait("executions", "show", "nobody", cwd=tmp_path)
    assert (nobody.code, "execution.unknown" in nobody.err) == (2, True)


async def test_executions_move_to_another_store_and_one_bad_line_loses_no_other(
    tmp_path: Path,
) -> None:
    await ran(tmp_path, 3)
    done = await plait("executions", "export", "--all", cwd=tmp_path)
    assert done.code == 0
    first, second, third = done.out.splitlines()
    mixed = "\n".join([first, "", '{"format": 1', second.replace("sums", "sins"), third])
    (tmp_path / "mixed.jsonl").write_text(mixed)
    there = ("--store", "new.db")
    taken = await plait("executions", "import", "mixed.jsonl", *there, cwd=tmp_path)
    assert taken.code == 1
    told = [line.split(": ")[0:2] for line in taken.lines[:2]]
    assert sorted(told) == [
        ["mixed.jsonl:3", "archive.unreadable"],
        ["mixed.jsonl:4", "journal.damaged"],
    ]
    assert taken.lines[2:] == ["2 executions taken in, 2 left out"]
    rest = await plait(
        "executions", "import", "-", *there, cwd=tmp_path, stdin=done.out.encode()
    )
    assert rest.lines[-1] == "1 executions taken in, 2 left out"
    assert set(await listed(tmp_path, *there)) == set(await listed(tmp_path))
    assert (await plait("journal", "verify", *there, cwd=tmp_path)).code == 0


async def test_what_is_exported_is_what_was_asked_for(tmp_path: Path) -> None:
    await ran(tmp_path, 2)
    chosen, _ = await listed(tmp_path)
    one = await plait("executions", "export", chosen[:8], cwd=tmp_path)
    assert orjson.loads(one.out)["execution"]["execution_id"] == chosen
    text = ("--text", '"a":0')
    found = await plait("executions", "export", "--all", *text, cwd=tmp_path)
    assert orjson.loads(found.out)["execution"]["execution_id"] != chosen
    for wrong in ((), (chosen, "--all"), (chosen, *text)):
        refused = await plait("executions", "export", *wrong, cwd=tmp_path)
        assert (refused.code, refused.out) == (2, "")
