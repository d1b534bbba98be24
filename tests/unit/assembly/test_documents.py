"""Loading documents: every file by itself, in a steady order, nothing hidden."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plait.assembly.documents import document_files, has_warnings, load_documents
from plait.assembly.serving import deployments
from plait.document import Catalog
from plait.gateway.deployment import Broken, Deployment

CATALOG = Catalog()
GOOD = "name: good\nsteps: [{id: a, type: set, value: 1}]\n"
BAD = "name: bad\nsteps: [{id: a, type: sett, value: 1}]\n"
SERVED = GOOD + "mode: express\nendpoint: {path: /good}\n"
NEVER = "{id: a, type: set, value: 1, depends_on: [r]}"
WARNED = f"name: w\nsteps: [{{id: r, type: return}}, {NEVER}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_directory_stands_for_the_documents_in_it_at_any_depth(folder: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.JSON", "notes.txt", ".b.yaml", "deep/er/d.yaml"):
        path = folder / "all" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD)
    (folder / "all" / ".git").mkdir()
    (folder / "all" / ".git" / "x.yaml").write_text(GOOD)
    found = list(document_files("all"))
    assert found == ["all/a.yml", "all/b.yaml", "all/c.JSON", "all/deep/er/d.yaml"]


def test_one_bad_document_among_many_is_reported_and_the_others_are_loaded(
    folder: Path,
) -> None:
    (folder / "1.yaml").write_text(GOOD)
    (folder / "2.yaml").write_text(BAD)
    (folder / "3.yaml").write_text(GOOD)
    files = load_documents(["."], CATALOG)
    assert [file.has_errors for file in files] == [False, True, False]
    assert files[1].findings() == [
        "2.yaml:2:23: D104 unknown step type 'sett' (did you mean 'set'?)"
    ]


def test_a_file_named_twice_is_loaded_once(folder: Path) -> None:
    (folder / "1.yaml").write_text(GOOD)
    assert len(load_documents(["1.yaml", "./1.yaml", "1.yaml", "."], CATALOG)) == 1
    assert len(load_documents([str(folder / "1.yaml"), "1.yaml"], CATALOG)) == 1


def test_files_that_cannot_be_read_are_findings_like_any_other(folder: Path) -> None:
    (folder / "empty").mkdir()
    files = load_documents(["missing.yaml", "empty", "nul\0.yaml"], CATALOG)
    assert [file.findings() for file in files] == [
        ["missing.yaml:1:1: F001 cannot be read: No such file or directory"],
        ["empty:1:1: F002 the directory holds no .yaml, .yml or .json file"],
        ["nul\0.yaml:1:1: F001 cannot be read: embedded null byte"],
    ]


def test_a_folder_that_cannot_be_read_is_told_and_hides_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rights do not stop the superuser, who may run this: the system's answer is played.
    list_folder = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return list_folder(path)

    for name in ("open", "closed"):
        (folder / name).mkdir()
        (folder / name / "a.yaml").write_text(SERVED)
    monkeypatch.setattr(os, "scandir", scandir)
    for path in (".", "closed"):
        files = load_documents([path], CATALOG)
        assert [file.name for file in files if file.compiled] == ["open/a.yaml"] * (
            path == "."
        )
        assert files[-1].findings() == [
            "closed:1:1: F001 cannot be read: Permission denied"
        ]
        last = deployments(files)[-1]
        assert isinstance(last, Broken)
        assert last.is_unreadable


def test_only_what_cannot_be_read_may_hide_documents(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "bad.yaml").write_text(BAD)
    loaded = deployments(load_documents(["missing", "empty", "bad.yaml"], CATALOG))
    assert [isinstance(one, Broken) and one.is_unreadable for one in loaded] == [
        True,
        False,
        False,
    ]


def test_warnings_come_with_a_document_that_runs(folder: Path) -> None:
    (folder / "w.yaml").write_text(WARNED)
    files = load_documents(["w.yaml"], CATALOG)
    assert not files[0].has_errors
    assert has_warnings(files)
    assert files[0].findings()[0].startswith("w.yaml:2:")
    assert " warning P009 " in files[0].findings()[0]


def test_the_gateway_gets_good_and_bad_documents_alike(folder: Path) -> None:
    (folder / "1.yaml").write_text(SERVED)
    (folder / "2.yaml").write_text(BAD)
    good, bad = deployments(load_documents(["1.yaml", "2.yaml"], CATALOG))
    assert isinstance(good, Deployment)
    assert (good.source_name, good.plan.name) == ("1.yaml", "good")
    assert good.endpoint_span.line == 4
    assert isinstance(bad, Broken)
    assert bad.diagnostics[0].code == "D104"


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    loaded = load_documents([str(tmp_path)], CATALOG)
    assert [found.message for found in loaded[0].diagnostics] == [
        "cannot be read: it is no regular file"
    ]
