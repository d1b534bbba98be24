"""`python` steps from the command line: functions of modules that the settings name."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from tests.acceptance.cli import finish, interrupt, plait, start
from tests.unit.patterns import programs
from tests.unit.patterns.test_durable import killed_at

FUNCTIONS = """
class OutOfStock(LookupError):
    pass

def reserve(sku: str, count: int = 1) -> dict:
    if count > 5:
        raise OutOfStock(f"only 5 of {sku}")
    return {"sku": sku, "reserved": count}

async def price(reserved: dict) -> float:
    return 1.5 * reserved["reserved"]
"""
DOCUMENT = """
name: order
input: {type: object, required: [count], properties: {count: {type: integer}}}
steps:
  - id: sale
    type: try
    order: sequence
    steps:
      - id: reserved
        type: python
        request: {function: stock.reserve, arguments: {sku: x, count: "${input.count}"}}
      - id: price
        type: python
        request: {function: stock.price, arguments: ["${reserved.response}"]}
    catch:
      - on: [python.LookupError]
        steps: [{id: no, type: set, value: "${error.code}: ${error.message}"}]
output: ${sale.response}
"""


@asynccontextmanager
async def ending(process: Process) -> AsyncIterator[Process]:
    """End the process with the block, however that ends."""
    try:
        yield process
    finally:
        if process.returncode is None:
            await interrupt(process)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "stock.py").write_text(FUNCTIONS)
    (tmp_path / "order.yaml").write_text(DOCUMENT)
    (tmp_path / "plait.toml").write_text('[python]\nmodules = ["stock"]\n')
    return tmp_path


@pytest.mark.parametrize("mode", [(), ("--durable",)], ids=["express", "durable"])
@pytest.mark.parametrize(
    ("count", "yields"),
    [(2, {"no": None}), (6, {"no": "python.OutOfStock: OutOfStock: only 5 of x"})],
)
async def test_functions_are_called_and_their_exceptions_caught_by_class(
    shop: Path, count: int, yields: dict[str, str | None], mode: tuple[str, ...]
) -> None:
    given = orjson.dumps({"count": count}).decode()
    done = await plait("run", "order.yaml", "--input", given, *mode, cwd=shop)
    assert done.code == 0, done.err
    kept = {"reserved": {"sku": "x", "reserved": 2}, "price": 3.0}
    assert orjson.loads(done.out) == (kept if yields["no"] is None else yields)


async def test_a_module_that_cannot_be_used_ends_the_command_at_once(shop: Path) -> None:
    (shop / "plait.toml").write_text('[python]\nmodules = ["stok"]\n')
    done = await plait("run", "order.yaml", "--input", '{"count": 1}', cwd=shop)
    assert done.code == 2
    assert "python.modules: module 'stok' cannot be imported" in done.err


async def test_a_function_that_nobody_registered_is_not_called(shop: Path) -> None:
    (shop / "plait.toml").unlink()
    done = await plait("run", "order.yaml", "--input", '{"count": 1}', cwd=shop)
    assert done.error["code"] == "connector.invalid_request"
    assert "no function 'stock.reserve' is registered" in done.error["message"]


@pytest.mark.parametrize(
    ("request_", "finding"),
    [
        ("{function: '${input.count}'}", "does not fit"),
        ("{}", "missing key 'function'"),
        ("{function: f, arguments: 3}", "arguments"),
        ("{function: f, argument: {}}", "did you mean 'arguments'?"),
    ],
)
async def test_a_request_of_the_wrong_shape_is_found_before_it_runs(
    shop: Path, request_: str, finding: str
) -> None:
    text = f"name: a\nsteps: [{{id: a, type: python, request: {request_}}}]\n"
    (shop / "wrong.yaml").write_text(text)
    done = await plait("validate", "wrong.yaml", cwd=shop)
    assert done.code == 2
    assert finding in done.err + done.out
    assert "wrong.yaml:2:" in done.err + done.out


async def test_a_function_that_a_document_waits_for_is_told_and_comes_with_a_worker(
    shop: Path,
) -> None:
    text = DOCUMENT.replace("stock.price,", "stock.price, wait_for_worker: true,")
    (shop / "order.yaml").write_text(text)
    less = FUNCTIONS.replace("async def price", "async def _price")
    (shop / "stock.py").write_text(less)
    run = ("run", "order.yaml", "--input", '{"count": 2}', "--durable", "--key", "k")
    async with ending(await start(*run, cwd=shop)) as process:
        await waits_and_goes_on(shop, run, process)


async def waits_and_goes_on(shop: Path, run: Sequence[str], process: Process) -> None:
    assert process.stderr is not None
    name = (await process.stderr.readline()).decode().split()[1]
    said = ""
    async with asyncio.timeout(30):
        while "waits for a worker that has the function stock.price: start" not in said:
            said = (await process.stderr.readline()).decode()
    shown = await plait("executions", "show", name, cwd=shop)
    assert "stands     execution.worker_missing\n" in shown.out
    assert "a worker that has the function stock.price\n" in shown.out
    whole = await plait("executions", "show", name, "--json", cwd=shop)
    wait = orjson.loads(whole.out)["waits"][-1]
    assert (wait["for"], wait["needs"]) == ("worker", "the function stock.price")
    # It is still there when the function comes to another process.
    (shop / "stock.py").write_text(FUNCTIONS)
    done = await plait(*run, cwd=shop)
    assert (done.code, orjson.loads(done.out)["price"]) == (0, 3.0), done.err
    first = await finish(process)
    assert (first.code, orjson.loads(first.out)["price"]) == (0, 3.0), first.err


async def test_a_gateway_keeps_no_run_of_a_pattern_from_the_program_that_goes_on(
    tmp_path: Path,
) -> None:
    journal, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("charge", journal, log, "ships")
    (tmp_path / "other.yaml").write_text(
        "name: other\nendpoint: {method: POST, path: /other}\n"
        "steps: [{id: a, type: set, value: 1}]\n"
    )
    serve = ("serve", "other.yaml", "--port=0", "--store=orders.db")
    async with ending(await start(*serve, cwd=tmp_path)) as process:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"waits for a worker that has" not in await process.stderr.readline():
                assert not process.stderr.at_eof()
        saga = programs.shop(log)
        async with asyncio.timeout(10):
            outcome = await saga.run({"amount": 7}, journal=journal, key="order-17")
    assert outcome.status == "completed"
    words = [line.split()[0] for line in log.read_text().splitlines()]
    assert words == ["reserve", "charge", "charge", "ship"]


async def test_a_command_leaves_alone_what_a_pattern_has_left_in_its_journal(
    tmp_path: Path,
) -> None:
    journal, log = tmp_path / "orders.db", tmp_path / "log"
    await killed_at("charge", journal, log, "ships")
    (tmp_path / "other.yaml").write_text(
        "name: other\nsteps: [{id: a, type: set, value: 1}]\n"
    )
    done = await plait("run", "other.yaml", "--durable", "--store", journal, cwd=tmp_path)
    assert (done.code, orjson.loads(done.out)) == (0, {"a": 1})
    listed = await plait("executions", "list", "--store", journal, "--json", cwd=tmp_path)
    assert '"order"' in listed.out
    outcome = await programs.shop(log).run({"amount": 7}, journal=journal, key="order-17")
    assert outcome.status == "completed"
