"""The image, built once for all tests that run what is in it, in all their processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.image import DOCKERFILE, Image, build, built


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What deploy/Dockerfile makes. Building it takes half a minute of a processor."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    # Not pytest's own folder, where nobody else may go.
    folder = Path(tempfile.gettempdir()) / f"plait-image-{run}"
    # Processes of one run share it, and pytest clears it away.
    users = tmp_path_factory.getbasetemp().parent / f"{folder.name}.users"
    with _counted(users, 1) as count:
        if count == 1:
            folder.mkdir()
            folder.chmod(0o755)
            build(folder / "root", DOCKERFILE.read_text())
    try:
        yield built(folder / "root", DOCKERFILE.read_text())
    finally:
        with _counted(users, -1) as count:
            if count == 0:
                shutil.rmtree(folder)


@contextmanager
def _counted(users: Path, change: int) -> Iterator[int]:
    """Count the processes that use the image; one at a time is in here."""
    with open(users, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        count = int(file.read() or 0) + change
        file.truncate(0)
        file.write(str(count))
        file.flush()
        yield count
