"""OpenTelemetry's own variables, which count where Plait's settings are silent.

| variable | what it is here |
|---|---|
| `OTEL_EXPORTER_OTLP_ENDPOINT` | both endpoints, without `/v1/traces` and `/v1/metrics` |
| `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | `telemetry.traces_endpoint` |
| `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` | `telemetry.metrics_endpoint` |
| `OTEL_METRIC_EXPORT_INTERVAL` | `telemetry.metrics_every`, milliseconds |
| `OTEL_SERVICE_NAME` | `telemetry.service_name` |
| `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` | without `otlp`: those are not sent |
| `OTEL_SDK_DISABLED` | `true`: none of these counts |

Rule 1. They are meant for every program of a machine. So one that makes no sense, or wants
        what Plait does not speak (`OTEL_EXPORTER_OTLP_PROTOCOL=grpc`), is passed over.
Rule 2. What is sent along and how (`…_HEADERS`, `…_TIMEOUT`, `…_COMPRESSION`,
        `…_CERTIFICATE`, `OTEL_RESOURCE_ATTRIBUTES`), OpenTelemetry's SDK reads itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from plait.assembly.setting_types import read_http_url

_OTLP: Final = "OTEL_EXPORTER_OTLP_"
_SIGNALS: Final = ("traces", "metrics")
_URL: Final = re.compile(r"https?://[!-.0-~]+[!-~]*")
_MILLISECONDS: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)

# The setting of `[telemetry]`: the variable, and the setting's text.
Standard: TypeAlias = dict[str, tuple[str, str]]


def standard_settings(environ: Mapping[str, str]) -> Standard:
    """Return what OpenTelemetry's variables say of settings under `telemetry`.

    >>> standard_settings({"OTEL_SERVICE_NAME": "shop"})
    {'service_name': ('OTEL_SERVICE_NAME', 'shop')}
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return {}
    return dict(_found(environ))


def _found(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for signal in _SIGNALS:
        told = _endpoint(signal, environ)
        if told is not None:
            yield f"{signal}_endpoint", told
    every, name = "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_SERVICE_NAME"
    if _MILLISECONDS.fullmatch(environ.get(every, "")):
        yield "metrics_every", (every, f"{environ[every]}ms")
    if environ.get(name, "").isprintable() and environ.get(name):
        yield "service_name", (name, environ[name])


def _endpoint(signal: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the variable that says where to, and where; None: nowhere."""
    exporters = environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    if "otlp" not in [one.strip() for one in exporters.split(",")]:
        return None
    own = f"{_OTLP}{signal.upper()}_"
    protocol = environ.get(f"{own}PROTOCOL") or environ.get(f"{_OTLP}PROTOCOL")
    if (protocol or "http/protobuf").strip() == "grpc":
        return None
    name, url = f"{own}ENDPOINT", environ.get(f"{own}ENDPOINT", "")
    if not url:
        name, base = f"{_OTLP}ENDPOINT", environ.get(f"{_OTLP}ENDPOINT", "")
        url = f"{base.rstrip('/')}/v1/{signal}" if base else ""
    return (name, url) if _is_url(url) else None


def _is_url(text: str) -> bool:
    try:
        return bool(_URL.fullmatch(read_http_url(text)))
    except ValueError:
        return False
