"""What no text file may hold. The breaches are put together, so that none stands here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.tidy import text_rules as rules
from tests.tidy.tree import ROOT, TextFile, paths, text_files

Rule = Callable[[TextFile], Iterator[tuple[int, str]]]
RULES: list[Rule] = [
    rules.deferred_work,
    rules.machine_paths,
    rules.load_addresses,
    rules.stray_spaces,
]

_HOST = "files.python" + "hosted.org"
BREACHES: list[tuple[Rule, str]] = [
    (rules.deferred_work, "# TO" + "DO: later\n"),
    (rules.deferred_work, "the FIX" + "ME way\n"),
    (rules.machine_paths, "cd /ho" + "me/ann/plait\n"),
    (rules.machine_paths, 'path = "/ro' + 'ot/x"\n'),
    (rules.machine_paths, "see C:" + "\\Users\n"),
    (rules.load_addresses, f"# from {_HOST}\n"),
    (rules.load_addresses, "--index-" + "url x\n"),
    (rules.load_addresses, "curl https://example.org/plait." + "tar.gz\n"),
    (rules.stray_spaces, "x = 1 \n"),
    (rules.stray_spaces, "x = 1\r\n"),
    (rules.stray_spaces, "x = 1"),
]
FINE: list[tuple[Rule, str]] = [
    (rules.deferred_work, "todo lists, and the TODOS table\n"),
    (rules.machine_paths, "GET http://users/root/x and tests/home/y and /usr/lib/nginx\n"),
    (rules.load_addresses, "see https://example.org/docs.html, pip install plait\n"),
    (rules.stray_spaces, "x = 1\n\ny = 2\n"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    found = [f"{f.path}:{line}: {text}" for f in text_files() for line, text in rule(f)]
    assert not found, "\n".join([rule.__doc__ or "", *found])


@pytest.mark.parametrize(("rule", "text"), BREACHES)
def test_the_rule_finds_a_breach(rule: Rule, text: str) -> None:
    assert len(list(rule(TextFile("x.txt", text)))) == 1


@pytest.mark.parametrize(("rule", "text"), FINE)
def test_the_rule_spares_what_is_fine(rule: Rule, text: str) -> None:
    assert list(rule(TextFile("x.txt", text))) == []


def test_no_file_is_too_large_to_clone_quickly() -> None:
    sizes = ((path, (ROOT / path).stat().st_size) for path in paths())
    assert [
        text for path, size in sizes for _, text in rules.size_finding(path, size)
    ] == []


def test_a_file_one_byte_over_the_limit_is_found() -> None:
    assert list(rules.size_finding("x", rules.FILE_BYTES_MAX)) == []
    assert len(list(rules.size_finding("x", rules.FILE_BYTES_MAX + 1))) == 1
