"""The image, built once for all tests that run what is in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import DOCKERFILE, Image, build


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """What deploy/Dockerfile makes."""
    # Not pytest's own folder, where nobody else may go.
    folder = Path(tempfile.mkdtemp(prefix="plait-image-"))
    folder.chmod(0o755)
    try:
        yield build(folder / "root", DOCKERFILE.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
