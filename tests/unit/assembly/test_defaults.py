"""The defaults of the settings are those of the gateway, and limits reach their rooms."""

from __future__ import annotations

from pathlib import Path

from plait.assembly import compose
from plait.assembly.reference import page
from plait.assembly.serving import connection_limits
from plait.assembly.settings import Settings
from plait.document.source import SourceLimits
from plait.gateway.app import GatewaySettings
from plait.gateway.http1 import HttpLimits
from plait.kernel import BEHAVIOUR
from plait.kernel.events import ExecutionFailed, ExecutionStarted
from tests.unit.compile.plans import call, plan_of

DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference"


def test_limits_are_those_of_the_gateway() -> None:
    settings = Settings()
    assert connection_limits(settings) == HttpLimits()
    assert settings.gateway.request_timeout == GatewaySettings().request_timeout_ms
    assert settings.gateway.in_flight_max == GatewaySettings().in_flight_max
    assert settings.gateway.json_depth_max == GatewaySettings().json_depth_max
    assert settings.gateway.cache_bytes_max == GatewaySettings().cache_bytes_max


def test_the_kernel_keeps_the_limits_of_the_settings() -> None:
    settings = Settings.model_validate({"execution": {"pending_max": 3, "events_max": 7}})
    steps = (call("a"), call("b"), call("c"), call("d"))
    start = ExecutionStarted("x", "", None, {}, 0, BEHAVIOUR)
    state, _ = compose.kernel(settings, plan_of(*steps)).start(start)
    assert isinstance(state.end, ExecutionFailed)
    assert state.end.failure.code.startswith("limit.")


def test_the_text_of_a_document_is_held_to_the_settings() -> None:
    settings = Settings.model_validate({"document": {"depth_max": 3}})
    assert compose.source_limits(settings) == SourceLimits(depth_max=3)


def test_the_reference_page_is_made_from_the_settings() -> None:
    assert (DOCS / "settings.md").read_text("utf-8") == page()
