"""deploy/Dockerfile: its rules, and the image that it makes, run as it would be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.image import (
    DOCKERFILE,
    Image,
    build,
    in_context,
    instructions,
    is_given,
    stage_name,
    stages,
)
from tests.deploy.running import in_image, started
from tests.tidy.tree import ROOT

TEXT = DOCKERFILE.read_text()
FINAL = stages(TEXT)[-1]
# The largest: 51 MB expressions (CEL in C++), 24 MB zstandard, 19 MB gRPC.
MAX_BYTES = 230_000_000


def words_of(word: str) -> list[list[str]]:
    return [one.words() for one in FINAL if one.word == word]


def test_the_last_stage_is_run_by_a_number_that_is_not_root() -> None:
    assert words_of("USER") == [["10001:10001"]]
    assert [one.word for one in FINAL].index("USER") < [one.word for one in FINAL].index(
        "ENTRYPOINT"
    )


def test_the_process_hears_signals_itself() -> None:
    for one in instructions(TEXT):
        if one.word in ("ENTRYPOINT", "CMD"):
            assert one.rest.startswith("["), "a shell would not pass SIGTERM on"


def test_only_locked_packages_with_hashes_are_installed() -> None:
    installs = [
        step
        for one in instructions(TEXT)
        if one.word == "RUN"
        for step in one.rest.split("&&")
        if re.search(r"\bpip\b.*\b(install|wheel)\b", step)
    ]
    assert len(installs) == 4
    for step in installs:
        assert "--no-index" in step or "--require-hashes --only-binary :all:" in step


def test_the_last_stage_has_only_what_was_built() -> None:
    assert [one.rest for one in FINAL if one.word == "COPY"] == [
        f"--from={stage_name(stages(TEXT)[0])} /plait /plait"
    ]
    assert "ADD" not in {one.word for one in instructions(TEXT)}


def test_a_build_is_given_the_source_and_the_locks_and_no_secret() -> None:
    given = in_context((ROOT / ".dockerignore").read_text())
    assert "src/plait/__init__.py" in given
    assert "requirements/runtime.txt" in given
    ours = re.compile(r"src/|requirements/(build|runtime)\.txt$|pyproject|README|LICENSE")
    assert [path for path in given if not ours.match(path)] == []
    rules = (ROOT / ".dockerignore").read_text()
    for path in ("src/plait/__pycache__/a.pyc", ".env", ".plait/plait.db", "deploy/.env"):
        assert not is_given(path, rules), path


@pytest.mark.slow
def test_the_image_has_plait_and_no_package_manager(image: Image) -> None:
    said = in_image(image, "plait", "--version")
    assert said.stdout.startswith("plait ")
    tools = in_image(image, "python", "-c", "import pip")
    assert "No module named 'pip'" in tools.stderr
    tree = image.root / "plait"
    size = sum(one.lstat().st_size for one in tree.rglob("*") if not one.is_symlink())
    assert size < MAX_BYTES


@pytest.mark.slow
def test_nobody_in_the_image_can_change_the_program(image: Image) -> None:
    where = in_image(image, "python", "-c", "import plait; print(plait.__file__)")
    change = in_image(image, "sh", "-c", f"echo >> {where.stdout.strip()}")
    assert change.returncode != 0 or not image.as_user()


@pytest.mark.slow
def test_the_container_serves_is_found_healthy_and_stops_when_it_is_told(
    image: Image,
) -> None:
    with started(image) as server:
        key = next(line for line in server.lines if "plait_" in line)
        assert server.status("/health/ready") == 200
        assert in_image(image, *image.health, **server.env).returncode == 0
        assert server.status("/api/v1/executions") == 401
        shown = re.search(r"plait_\w+", key)
        assert shown is not None
        assert server.status("/api/v1/executions", key=shown[0]) == 200
        if image.as_user():
            status = Path(f"/proc/{server.pid}/status").read_text()
            assert re.search(r"^Uid:\t10001\t10001", status, re.MULTILINE)
        assert server.stopped() == 0
    assert in_image(image, *image.health, **server.env).returncode == 1
    assert (image.root / "data" / "plait.db").exists()


def test_a_step_that_fails_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "root", "FROM python\nWORKDIR /build\nRUN true && false\n")


def test_what_is_not_in_the_context_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Makefile is not in the context"):
        build(tmp_path / "root", "FROM python\nWORKDIR /build\nCOPY Makefile ./\n")
