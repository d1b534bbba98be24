"""The locks in requirements/: everything pinned, hashed, in step with pyproject.toml."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator

import pytest

from tests.tidy.tree import ROOT

LOCKS = ("runtime", "dev", "bench", "build", "lock")
_PIN = re.compile(
    r"([a-z0-9][a-z0-9.-]*)==(\S+)(?: ; (.+))?(?: --hash=sha256:[0-9a-f]{64})+"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")

Pins = dict[str, set[str]]


def lock_text(name: str) -> str:
    return (ROOT / f"requirements/{name}.txt").read_text()


def entries(text: str) -> Iterator[str]:
    """Yield each requirement of a lock as one line, without comments."""
    bare = "\n".join(
        line for line in text.splitlines() if not line.lstrip().startswith("#")
    )
    for entry in re.sub(r"\s*\\\n\s*", " ", bare).splitlines():
        if entry.strip():
            yield entry.strip()


def pins(text: str) -> Pins:
    """Return the versions of each package; a platform may have one of its own."""
    found: Pins = {}
    for entry in entries(text):
        if match := _PIN.fullmatch(entry):
            found.setdefault(match[1], set()).add(match[2])
    return found


def unpinned(text: str) -> list[str]:
    return [entry for entry in entries(text) if not _PIN.fullmatch(entry)]


def asked_for(name: str) -> list[str]:
    """Return the names that pyproject.toml asks for in `name`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {**project["dependency-groups"], "runtime": project["project"]["dependencies"]}
    return [_NAME.match(line)[0].lower() for line in groups[name]]  # type: ignore[index]


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_pinned_with_hashes(name: str) -> None:
    assert pins(lock_text(name))
    assert unpinned(lock_text(name)) == []


@pytest.mark.parametrize(
    "line",
    ["rich==15.0.0", "rich>=15 --hash=sha256:" + "0" * 64, "--no-binary :all:", "-e ."],
)
def test_a_line_without_pin_or_hash_is_found(line: str) -> None:
    assert unpinned(f"# a comment\n{line}\n") == [line]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_all_that_the_project_asks_for(name: str) -> None:
    assert set(asked_for(name)) - set(pins(lock_text(name))) == set()


@pytest.mark.parametrize(
    ("inner", "outer"), [("runtime", "dev"), ("dev", "bench"), ("build", "dev")]
)
def test_the_larger_lock_repeats_the_smaller_one(inner: str, outer: str) -> None:
    small, large = pins(lock_text(inner)), pins(lock_text(outer))
    assert {name: large.get(name) for name in small} == small


def test_npm_packages_are_pinned_with_hashes_and_name_no_place_to_get_them_from() -> None:
    lock = json.loads((ROOT / "requirements/restate/package-lock.json").read_text())
    asked = json.loads((ROOT / "requirements/restate/package.json").read_text())
    root = lock["packages"].pop("")
    assert root["dependencies"] == asked["dependencies"]
    assert lock["packages"]
    for name, package in lock["packages"].items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
