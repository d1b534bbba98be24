"""Dashboards and rules in deploy/ name metrics, labels and values that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from plait.telemetry.catalogue import METRICS, series_of
from tests.tidy.tree import ROOT

DASHBOARD = ROOT / "deploy/grafana/plait.json"
RULES = ROOT / "deploy/prometheus/rules.yml"
SCRAPES = ROOT / "deploy/prometheus/prometheus.yml"
KNOWN = {name: one for one in METRICS for name in series_of(one)}
# Scraping adds them.
_ADDED = {"job", "instance", "le"}
_NAME = re.compile(r"\bplait_\w+")
# What Prometheus says of Plait's jobs itself.
_OF_SCRAPING = re.compile(r"\bup\{job=~?\"plait")
_SELECTED = re.compile(r"\b(plait_\w+)\{([^}]*)\}")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")


def wrong_in(expression: str) -> Iterator[str]:
    """Yield what an expression of PromQL names that there is not."""
    names = _NAME.findall(expression)
    if not names and not _OF_SCRAPING.search(expression):
        yield f"nothing of Plait's in {expression}"
    for name in names:
        if name not in KNOWN:
            yield f"there is no {name}"
    for name, selector in _SELECTED.findall(expression):
        labels = KNOWN[name].labels if name in KNOWN else ()
        for label in _LABEL.findall(selector):
            if label not in (*labels, *_ADDED):
                yield f"{name} has no label {label}"
    known = {label for name in names if name in KNOWN for label in KNOWN[name].labels}
    for grouped in _GROUPED.findall(expression):
        for label in map(str.strip, grouped.split(",")):
            if label not in known | _ADDED:
                yield f"nothing in {expression} has a label {label}"
    for opening, closing in ("()", "{}", "[]"):
        if expression.count(opening) != expression.count(closing):
            yield f"{opening} and {closing} do not match in {expression}"


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads(DASHBOARD.read_text())
    return [one for one in dashboard["panels"] if one["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_panel_shows_metrics_that_there_are() -> None:
    told = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert [wrong for one in told for wrong in wrong_in(one)] == []


def test_the_dashboard_shows_every_metric() -> None:
    told = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    shown = {KNOWN[name].name for name in _NAME.findall(told)}
    assert {one.name for one in METRICS} - shown == {"plait_executions_started_total"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    every = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in every)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_every_rule_watches_metrics_that_there_are() -> None:
    assert [wrong for rule in rules() for wrong in wrong_in(rule["expr"])] == []
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_prometheus_reads_the_rules_and_scrapes_where_metrics_are() -> None:
    told = yaml.safe_load(SCRAPES.read_text())
    assert told["rule_files"] == [RULES.name]
    whole, split = told["scrape_configs"]
    for one in (whole, split):
        assert one["metrics_path"] == "/metrics"
        assert one["authorization"]["credentials_file"]
    # Where there are no services there is no file, and nothing that is always down.
    assert split["file_sd_configs"] == [{"files": ["services/*.yml"]}]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("rate(plait_nothing_total[5m])", "there is no plait_nothing_total"),
        ('plait_store_up{status="1"}', "plait_store_up has no label status"),
        ("sum by (route) (plait_store_up)", "has a label route"),
        ("sum(plait_store_up", "do not match"),
        ("up", "nothing of Plait's"),
    ],
)
def test_what_there_is_not_is_found(expression: str, said: str) -> None:
    assert any(said in one for one in wrong_in(expression))
