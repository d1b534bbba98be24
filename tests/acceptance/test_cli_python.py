"""`python` steps from the command line: functions of modules that the settings name."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.acceptance.cli import plait
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
