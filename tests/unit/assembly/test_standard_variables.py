"""OpenTelemetry's own variables among the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.assembly.origins import all_settings
from plait.assembly.sources import read_settings
from plait.assembly.standard_variables import standard_settings

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = "http://collector:4318"


def test_one_endpoint_is_both_with_the_paths_of_the_standard() -> None:
    assert standard_settings({BASE: f"{COLLECTOR}/"}) == {
        "traces_endpoint": (BASE, f"{COLLECTOR}/v1/traces"),
        "metrics_endpoint": (BASE, f"{COLLECTOR}/v1/metrics"),
    }


def test_an_endpoint_of_one_signal_is_taken_as_it_is() -> None:
    own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    told = standard_settings({BASE: COLLECTOR, own: "http://other:1/x"})
    assert told["traces_endpoint"] == (own, "http://other:1/x")
    assert told["metrics_endpoint"] == (BASE, f"{COLLECTOR}/v1/metrics")


@pytest.mark.parametrize(
    "more",
    [
        {"OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_METRICS_EXPORTER": "prometheus, console"},
        {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "collector:4317"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://[::1"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:99999/v1"},
    ],
    ids=str,
)
def test_metrics_alone_are_not_sent(more: dict[str, str]) -> None:
    assert [*standard_settings({BASE: COLLECTOR, **more})] == ["traces_endpoint"]


@pytest.mark.parametrize(
    "environ",
    [
        {BASE: COLLECTOR, "OTEL_SDK_DISABLED": "true"},
        {BASE: COLLECTOR, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {BASE: "collector:4317"},
        {BASE: ""},
        {"OTEL_METRIC_EXPORT_INTERVAL": "soon"},
        {"OTEL_METRIC_EXPORT_INTERVAL": "0"},
        {"OTEL_SERVICE_NAME": "\udc80"},
    ],
    ids=str,
)
def test_what_is_not_meant_or_makes_no_sense_is_passed_over(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert standard_settings(environ) == {}
    configured = read_settings(environ, folder=tmp_path)
    assert configured.settings.telemetry.metrics_endpoint is None


def test_settings_of_plaits_own_win_and_where_each_came_from_is_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "plait.toml").write_text('[telemetry]\nservice_name = "own"\n')
    environ = {
        BASE: COLLECTOR,
        "OTEL_SERVICE_NAME": "theirs",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "PLAIT_TELEMETRY_TRACES_ENDPOINT": "http://own:1/v1/traces",
    }
    configured = read_settings(environ, folder=tmp_path)
    told = configured.settings.telemetry
    assert (told.service_name, told.metrics_every) == ("own", 5_000)
    assert told.traces_endpoint == "http://own:1/v1/traces"
    assert told.metrics_endpoint == f"{COLLECTOR}/v1/metrics"
    shown = all_settings(configured, environ, file=None, folder=tmp_path, overrides={})
    places = {one.key: one.place for one in shown}
    assert places["telemetry.metrics_endpoint"] == BASE
    assert places["telemetry.metrics_every"] == "OTEL_METRIC_EXPORT_INTERVAL"
    assert places["telemetry.service_name"] == "plait.toml:2"
    assert places["telemetry.traces_endpoint"] == "PLAIT_TELEMETRY_TRACES_ENDPOINT"
