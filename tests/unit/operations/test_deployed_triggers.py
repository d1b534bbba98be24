"""Deployments with triggers: in their document, or beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from plait.model.caller import LOCAL, Caller
from plait.model.errors import PlaitError
from plait.operations.deploying import (
    DeploymentConflict,
    DeploymentRefused,
    EndpointTaken,
)
from plait.operations.deploying.kept import (
    Document,
    dump_document,
    load_document,
    version_of,
)
from plait.ports.platform import Wanted
from plait.stores.memory.records import MemoryRecords
from tests.unit.operations.deploying import active, deploy, everything, service, text

HOOKED = "name: {}\ntriggers: [{{type: webhook, path: {}, secret: s}}]\n{}"
STEPS = "steps: [{id: a, type: set, value: 1}]\n"
HOOK: Any = {"type": "webhook", "path": "/beside", "secret": "s"}


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (Wanted("", text("other")), None),
        (Wanted("", text(), expected="0" * 64), DeploymentConflict),
        (Wanted("", text("other"), expected="0" * 64), DeploymentConflict),
        (Wanted("", text("other"), expected="0" * 64, activates=False), None),
        (Wanted("", text("other"), [{"type": "nothing"}]), DeploymentRefused),
        (Wanted("", text("other"), [HOOK]), DeploymentRefused),  # it is express
        (Wanted("", "name: other\n" + STEPS, [HOOK, HOOK]), DeploymentRefused),
        (Wanted("", "name: other\n" + STEPS, [HOOK]), EndpointTaken),
        (Wanted("", text("other", path="/hello")), EndpointTaken),
        (Wanted("", text("other"), description="x" * 10_001), DeploymentRefused),
        (Wanted("", text("other", value="'\ud800'")), DeploymentRefused),
    ],
)
async def test_validating_refuses_what_deploying_does_and_keeps_nothing(
    wanted: Wanted, refusal: type[PlaitError] | None
) -> None:
    records = MemoryRecords()
    made = service(records)
    await deploy(made, text(path="/hello"))
    await deploy(made, "name: hooked\n" + STEPS, triggers=[HOOK])
    before = await everything(records), await records.revision()
    told = None
    try:
        assert (await made.validate(LOCAL, wanted))["valid"] is True
    except PlaitError as error:
        told = type(error), error.code, str(error)
    assert (await everything(records), await records.revision()) == before
    if refusal is None:
        assert told is None
        await made.deploy(LOCAL, wanted)
    else:
        with pytest.raises(refusal) as caught:
            await made.deploy(LOCAL, wanted)
        assert told == (refusal, caught.value.code, str(caught.value))


async def test_webhooks_are_switched_and_claimed_with_their_deployment() -> None:
    made = service(MemoryRecords())
    first = await deploy(made, HOOKED.format("a", "/paid", STEPS))
    assert first["webhook_url"] == "/webhooks/paid"
    with pytest.raises(EndpointTaken, match="webhook /paid"):
        await deploy(made, HOOKED.format("b", "/paid", STEPS))
    acme = Caller("key:1", "acme", "admin")
    theirs = await deploy(made, HOOKED.format("b", "/paid", STEPS), acme)
    assert theirs["webhook_url"] == "/webhooks/~acme/paid"
    await deploy(made, "name: a\n" + STEPS)
    await deploy(made, HOOKED.format("b", "/paid", STEPS))


async def test_triggers_beside_a_document_are_part_of_its_version() -> None:
    records = MemoryRecords()
    made = service(records)
    document = "name: a\n" + STEPS
    plain = await deploy(made, document)
    hooked = await deploy(made, document, triggers=[HOOK])
    assert (hooked["webhook_url"], hooked["changed"]) == ("/webhooks/beside", True)
    assert hooked["version"] != plain["version"]
    assert (await deploy(made, document, triggers=[HOOK]))["changed"] is False
    looked = active(records)
    await looked.look()
    (one,) = looked.all
    assert one.compiled is not None
    assert [hook.path for hook in one.compiled.plan.webhooks] == ["/beside"]
    assert (await made.activate(LOCAL, "a", None))["webhook_url"] is None
    wrong: list[tuple[str, list[Any], str]] = [
        (document, [{"type": "moon"}], r"triggers\.0\.type"),
        (document, [HOOK, HOOK], "given twice"),
        (HOOKED.format("a", "/beside", STEPS), [HOOK], "given twice"),
        (text("a"), [HOOK], "durable"),
    ]
    for definition, triggers, told in wrong:
        with pytest.raises(DeploymentRefused, match=told):
            await deploy(made, definition, triggers=triggers)


async def test_the_text_of_triggers_is_given_back_and_part_of_the_version() -> None:
    records = MemoryRecords()
    made = service(records)
    document = "name: a\n" + STEPS
    written = f"\ufeff[\t{json.dumps(HOOK)}]\r\n"
    plain = await deploy(made, document, triggers=[HOOK])
    shown: Any = await made.get(LOCAL, "a")
    assert (shown["triggers"], shown["triggers_text"]) == ([HOOK], None)
    told = await deploy(made, document, triggers=[HOOK], triggers_text=written)
    assert (told["changed"], told["version"] != plain["version"]) == (True, True)
    again = await deploy(made, document, triggers=[HOOK], triggers_text=written)
    assert (again["changed"], again["version"]) == (False, told["version"])
    shown = await made.get(LOCAL, "a")
    assert (shown["triggers"], shown["triggers_text"]) == ([HOOK], written)
    looked = active(records)
    await looked.look()
    assert looked.all[0].compiled is not None
    assert [hook.path for hook in looked.all[0].compiled.plan.webhooks] == ["/beside"]
    for other in ("[]", "[", "", "[" * 100_000, "'\ud800'"):
        with pytest.raises(DeploymentRefused, match="triggers"):
            await deploy(made, document, triggers=[HOOK], triggers_text=other)


def test_a_version_from_before_the_text_of_triggers_was_kept_is_the_same() -> None:
    document = Document("name: a", (HOOK,), is_operators=True)
    before = {"definition": "name: a", "triggers": [HOOK], "is_operators": True}
    assert load_document("a", json.dumps({"v": 1, **before}).encode()) == document
    assert load_document("a", dump_document(document)) == document
    written = replace(document, triggers_text="[ ]")
    assert load_document("a", dump_document(written)) == written
    assert version_of(written) != version_of(document)
    # Deployed and exported by an older Plait, it is found again by its id.
    assert version_of(document).startswith("fd19f70e0b0a")


async def test_of_long_versions_the_oldest_go_before_the_record_is_too_long() -> None:
    """A hundred webhooks with long paths are 22 kB in the record of their deployment."""
    made = service(MemoryRecords())
    hooks = [{**HOOK, "path": f"/{n:03}{'x' * 190}"} for n in range(100)]
    document = f"name: a\n{STEPS}"
    first = await deploy(made, document, triggers=hooks)
    for n in range(60):
        of_it = f"{document}# {n}\n"
        await deploy(made, of_it, triggers=hooks, activates=False)
    shown: Any = await made.get(LOCAL, "a")
    numbers = [one["number"] for one in shown["versions"]]
    assert (shown["version"], numbers[0], numbers[-1]) == (first["version"], 61, 1)
    assert 30 < len(numbers) < 60
    last = await deploy(made, document, description="d" * 10_000)
    assert (await made.activate(LOCAL, "a", first["version"]))["replaced"] == (
        last["version"]
    )
    with pytest.raises(DeploymentRefused, match="100 at most"):
        await deploy(made, document, triggers=[*hooks, HOOK])
