"""Alerts, on a clock of their own: pending, firing, resolved, and who hears of it."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from plait.compile import Alert, compile_alert
from plait.document.alert import Told
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.ports.journal import StoreUnavailable
from plait.stores.memory import MemoryRecords
from plait.telemetry.alerts import FIRING, INACTIVE, PENDING, RESOLVED, AlertBoard
from plait.telemetry.samples import Samples, sample_of

FAILING = """
alert: failing
when: ${executions >= 10 && failure_rate > 0.5}
window: 1m
for: 30s
notify: [{webhook: {url: "http://a/"}}, {workflow: page}]
"""


def alert(text: str = FAILING) -> Alert:
    return compile_alert(text.encode(), name="alert.yaml")


class Unreachable(PlaitError):
    code = "alert.untold"


class Scene:
    """A platform whose counters a test sets, and a process that watches it."""

    def __init__(self, *alerts: Alert, records: Any = None, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.records = records or MemoryRecords()
        self.told: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.is_deaf = False
        self.registry = CollectorRegistry()
        self.ended = Counter(
            "plait_executions_ended",
            "",
            ("workflow", "mode", "status"),
            registry=self.registry,
        )
        self.breakers = Gauge(
            "plait_circuit_breaker_state", "", ("name", "state"), registry=self.registry
        )
        self.samples = Samples(3_600.0)
        self.board = AlertBoard(
            alerts or (alert(),),
            self.records,
            self.tell,
            self.now_ms,
            f"p{id(self)}",
            self.registry,
        )
        self.sample()

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    async def tell(self, who: Told, told: JsonObject) -> None:
        if self.is_deaf and who.webhook is not None:
            raise Unreachable("nobody answers")
        self.told.append((str(told["state"]), who.workflow or "webhook"))
        self.ids.append(str(told["id"]))

    def sample(self) -> None:
        self.samples.add(sample_of(self.registry.collect(), self.now_s))

    async def after(self, seconds: float) -> str:
        self.now_s += seconds
        self.sample()
        await self.board.look(self.samples)
        return self.board.state_of("failing").name

    def ends(self, status: str, count: int, workflow: str = "w") -> None:
        self.ended.labels(workflow, "express", status).inc(count)


async def test_an_alert_fires_after_its_time_and_is_told_once() -> None:
    scene = Scene()
    scene.ends("failed", 10)
    assert await scene.after(10) == PENDING
    assert scene.told == []
    assert await scene.after(20) == PENDING
    assert await scene.after(10) == FIRING
    assert scene.told == [("firing", "webhook"), ("firing", "page")]
    assert await scene.after(10) == FIRING
    assert len(scene.told) == 2


async def test_what_does_not_last_is_told_to_nobody() -> None:
    scene = Scene()
    scene.ends("failed", 10)
    assert await scene.after(10) == PENDING
    scene.ends("completed", 90)
    assert await scene.after(10) == INACTIVE
    scene.ends("failed", 400)
    assert await scene.after(10) == PENDING
    assert await scene.after(29) == PENDING
    assert scene.told == []


async def test_its_end_is_told_when_the_window_has_passed_by() -> None:
    scene = Scene()
    scene.ends("failed", 10)
    for _ in range(5):
        await scene.after(10)
    assert await scene.after(10) == FIRING
    assert await scene.after(60) == RESOLVED
    assert await scene.after(10) == RESOLVED
    assert scene.told[2:] == [("resolved", "webhook"), ("resolved", "page")]
    assert len(set(scene.ids)) == 2
    scene.ends("failed", 10)
    assert await scene.after(10) == PENDING


async def test_the_next_process_neither_tells_again_nor_calls_it_over_too_soon() -> None:
    scene = Scene()
    scene.ends("failed", 10)
    await scene.after(10)
    assert await scene.after(30) == FIRING
    following = Scene(records=scene.records, now_s=scene.now_s)
    assert await following.after(10) == FIRING
    assert await following.after(100) == FIRING
    assert following.told == []
    assert await following.after(71) == RESOLVED
    assert following.told == [("resolved", "webhook"), ("resolved", "page")]


async def test_who_could_not_be_told_is_told_later_and_the_others_not_again() -> None:
    scene = Scene()
    scene.is_deaf = True
    scene.ends("failed", 10)
    await scene.after(10)
    assert await scene.after(30) == FIRING
    assert scene.told == [("firing", "page")]
    following = Scene(records=scene.records, now_s=scene.now_s)
    await following.after(179)
    assert following.told == []
    following.ends("failed", 10)
    await following.after(2)
    assert following.told == [("firing", "webhook")]
    assert following.ids == scene.ids


async def test_of_two_processes_one_tells() -> None:
    first = Scene()
    second = Scene(records=first.records)
    for _ in range(6):
        for scene in (first, second):
            scene.ends("failed", 10)
            await scene.after(10)
    assert sorted(first.told + second.told) == [("firing", "page"), ("firing", "webhook")]


async def test_a_process_that_sees_no_failures_does_not_end_what_another_sees() -> None:
    first = Scene()
    second = Scene(records=first.records)
    for _ in range(30):
        first.ends("failed", 10)
        await first.after(10)
        await second.after(10)
    assert (first.board.state_of("failing").name, second.told) == (FIRING, [])


async def test_a_store_that_is_gone_keeps_nobody_from_hearing() -> None:
    class Gone(MemoryRecords):
        async def change(self, *_: Any) -> list[int]:
            raise StoreUnavailable("it is gone")

    scene = Scene(records=Gone())
    scene.ends("failed", 10)
    await scene.after(10)
    await scene.after(30)
    await scene.after(10)
    assert scene.told == [("firing", "webhook"), ("firing", "page")]


async def test_only_the_executions_of_its_workflow_count() -> None:
    scene = Scene(alert(FAILING + "workflow: pay\n"))
    scene.ends("failed", 100, "other")
    assert await scene.after(10) == INACTIVE
    scene.ends("failed", 10, "pay")
    assert await scene.after(10) == PENDING


async def test_what_holds_just_now_can_be_asked_for() -> None:
    text = "alert: failing\nwhen: ${open_breakers > 0}\nnotify: [{workflow: page}]\n"
    scene = Scene(alert(text))
    assert await scene.after(10) == INACTIVE
    scene.breakers.labels("http://a", "open").set(1)
    assert await scene.after(10) == FIRING
    metrics = generate_latest(scene.registry).decode()
    assert 'plait_alerts{alert="failing",state="firing"} 1.0' in metrics


async def test_a_condition_that_fails_stops_no_other_alert() -> None:
    text = "alert: odd\nwhen: ${executions / queued > 1}\nnotify: [{workflow: page}]\n"
    scene = Scene(alert(text), alert())
    scene.ends("failed", 10)
    assert await scene.after(10) == PENDING
    assert scene.board.state_of("odd").name == INACTIVE
