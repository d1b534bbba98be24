"""The documentation: links lead somewhere, decisions are numbered, codes are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy import codes, docs_rules
from tests.tidy.tree import ROOT, TextFile, in_src, module, modules, paths, text_files

ERRORS_PAGE = "docs/reference/errors.md"


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [file for file in text_files() if file.path.endswith(".md")]
    found = [
        f"{page.path}:{line}: {text}"
        for page in pages
        for line, text in docs_rules.dead_links(page, ROOT)
    ]
    assert pages
    assert not found, "\n".join(found)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "a.md").write_text("# One page: `more`\n\n```\n# no heading\n```\n")
    return tmp_path


@pytest.mark.parametrize(
    "link", ["b.md", "a.md#no-heading", "#nothing", "../../x.md", "/a.md"]
)
def test_a_dead_link_is_found(book: Path, link: str) -> None:
    page = TextFile("b/c.md", f"# C\n\nsee [this]({link}) and [that](../a.md)\n")
    (book / "b").mkdir()
    (book / "b/c.md").write_text(page.text)
    assert [line for line, _ in docs_rules.dead_links(page, book)] == [3]


@pytest.mark.parametrize(
    "text",
    [
        "[a](a.md)",
        "[a](a.md#one-page-more)",
        "[web](https://example.org/a)",
        "`[not](a-link.md)`",
        "```\n[not](a-link.md)\n```",
    ],
)
def test_a_live_link_is_spared(book: Path, text: str) -> None:
    assert list(docs_rules.dead_links(TextFile("c.md", text + "\n"), book)) == []


def test_decisions_are_numbered_without_gaps() -> None:
    notes = [path for path in paths() if path.startswith("docs/decisions/")]
    names = [path.removeprefix("docs/decisions/") for path in notes]
    assert (
        list(docs_rules.decision_gaps(name for name in names if name != "README.md")) == []
    )


def test_a_gap_a_twin_and_a_stray_name_among_decisions_are_found() -> None:
    def count(*names: str) -> int:
        return len(list(docs_rules.decision_gaps(names)))

    assert count("0001-a.md", "0002-b.md") == 0
    assert count("0001-a.md", "0003-b.md") == 1
    assert count("0001-a.md", "0001-b.md") == 1
    assert count("0002-a.md") == 1
    assert count("0001-a.md", "notes.md") == 1


def test_every_code_of_the_source_is_explained_and_no_other() -> None:
    page = (ROOT / ERRORS_PAGE).read_text()
    found = [code for m in modules() if in_src(m.path) for code in codes.codes_in(m)]
    assert found
    missing = [str(code) for code in codes.undocumented(found, page)]
    stale = list(codes.unknown(found, page))
    assert not missing, "\n".join(["codes without a row:", *missing])
    assert not stale, "\n".join(["rows without a code:", *stale])


def test_codes_are_found_wherever_the_source_names_them() -> None:
    text = """
class UnknownHost(PlaitError):
    code = "connector.unknown_host"

class Invariant(PlaitError):
    code: ClassVar[str] = "internal.invariant"

finding = report("P012", message)
failure = Failure("limit.events", message)
reply = error_reply(status=404, code="gateway.not_found")
"""
    assert {code.message for code in codes.codes_in(module("src/plait/x.py", text))} == {
        "connector.unknown_host",
        "internal.invariant",
        "P012",
        "limit.events",
        "gateway.not_found",
    }


def test_a_missing_and_a_stale_row_of_the_error_page_are_found() -> None:
    found = list(codes.codes_in(module("x.py", "a = 'P001'\nb = 'P002'\nc = 'P001'\n")))
    page = "| `P001` | known |\n| `P003` | gone |\n| `connector.http.NNN` | family |\n"
    assert [str(code) for code in codes.undocumented(found, page)] == ["x.py:2: P002"]
    assert list(codes.unknown(found, page)) == ["P003"]
