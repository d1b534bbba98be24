"""A model behind an OpenAI-compatible endpoint, on a real socket."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from plait.agent import Made, NotMade, Progress, Task
from plait.agent.drafter import Refusals
from plait.agent.errors import ModelRefused, ModelUnavailable
from plait.agent.model_drafter import ModelDrafter
from plait.agent.openai import OpenaiModel, OpenaiSettings
from plait.agent.repairs import Checks
from plait.assembly import compose
from plait.assembly.deploying import deployable
from plait.assembly.settings import Settings
from plait.connectors.egress import ForbiddenAddress
from plait.connectors.http.streamed import StreamedPosts
from plait.document.limits import DEFAULT_LIMITS
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonObject
from plait.model.place import Span
from plait.ports.language_model import Prompt
from tests.unit.agent.drafts import CATALOG, SHOP, knowledge
from tests.unit.agent.model_server import (
    KEY,
    LAST,
    ModelServer,
    chunk,
    completion,
    drafted,
    http,
    serving,
    stream,
)

HELLO = [Prompt("user", "hello")]
GOOD = """\
name: profile
mode: express
input: {type: object, required: [id], properties: {id: {type: string}}}
steps:
  - id: customer
    type: http
    credential: shop_token
    request: {url: "https://shop.example/api/customers/${input.id}"}
"""
BAD = GOOD.replace("${input.id}", "${inptu.id}")


def model_of(server: ModelServer, **given: Any) -> OpenaiModel:
    own = {"model": "small", "key": KEY, "delay_s": 0.001, "timeout_ms": 20_000, **given}
    posts = StreamedPosts(compose.egress(Settings()), is_trusted=True)
    return OpenaiModel(OpenaiSettings(endpoint=server.endpoint, **own), posts)


async def drafts(
    server: ModelServer,
    *said: str,
    base: str | None = None,
    rounds_max: int = 3,
    checks: Checks | None = None,
    refusals: Refusals | None = None,
) -> tuple[list[Progress], Made | NotMade]:
    drafter = ModelDrafter(model_of(server), CATALOG, checks, rounds_max=rounds_max)
    way: list[Progress] = []
    async for one in drafter.draft(Task(said, base, knowledge(), refusals=refusals)):
        if not isinstance(one, Progress):
            return way, one
        way.append(one)
    raise AssertionError("the drafter came to no end")


# -- the wire --------------------------------------------------------------------------


async def test_an_answer_is_asked_for_with_key_model_and_schema() -> None:
    schema: JsonObject = {"type": "object"}
    async with serving(completion("hi")) as server:
        assert await model_of(server).complete(HELLO, schema) == "hi"
    asked = server.asked[0]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "small"
    assert asked.body["messages"] == [{"role": "user", "content": "hello"}]
    assert asked.body["response_format"]["json_schema"]["schema"] == schema


async def test_a_stream_is_given_out_piece_by_piece_as_it_comes() -> None:
    events = (chunk("one "), chunk("two"), chunk(None, "stop"), b"data: [DONE]\n\n")
    async with serving(stream(*events) + LAST) as server:
        pieces = [piece async for piece in model_of(server).stream(HELLO)]
    assert pieces == ["one ", "two"]
    assert server.asked[0].body["stream"] is True


async def test_a_piece_is_there_before_the_next_one_is_sent() -> None:
    first = stream(chunk("one "))
    sent = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await sent.wait()
        rest = chunk("two", "stop")
        writer.write(b"%x\r\n%s\r\n" % (len(rest), rest) + LAST)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    server = ModelServer([], listening.sockets[0].getsockname()[1])
    pieces = []
    async with listening:
        async for piece in model_of(server).stream(HELLO):
            pieces.append(piece)
            sent.set()
    assert pieces == ["one ", "two"]


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_a_busy_model_is_asked_again(status: int) -> None:
    busy = http(status, b"{}", "Retry-After: 0")
    async with serving(busy, busy, completion("hi")) as server:
        assert await model_of(server).complete(HELLO) == "hi"
    assert len(server.asked) == 3


async def test_a_model_that_stays_busy_is_given_up() -> None:
    async with serving(http(429, b"{}")) as server:
        with pytest.raises(ModelUnavailable, match="status 429"):
            await model_of(server).complete(HELLO)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_final_and_names_no_secret(status: int) -> None:
    async with serving(
        http(status, b'{"error": {"message": "bad key sk-local"}}')
    ) as server:
        with pytest.raises(ModelRefused) as refused:
            await model_of(server).complete(HELLO)
    assert len(server.asked) == 1
    assert str(status) in str(refused.value)
    assert "sk-" not in str(refused.value)


async def test_a_server_that_knows_no_schema_is_asked_without_from_then_on() -> None:
    def reply(asked: Any) -> bytes:
        has_schema = "response_format" in asked.body
        return http(400, b"{}") if has_schema else completion("hi")

    async with serving(reply) as server:
        model = model_of(server)
        for _ in range(2):
            assert await model.complete(HELLO, {"type": "object"}) == "hi"
    assert ["response_format" in one.body for one in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b"not json"),
        http(200, b"[]"),
        http(200, b'{"choices": []}'),
        http(200, b'{"choices": [{"message": {"content": null}}]}'),
        http(200, b'{"choices": "x"}'),
        completion("half", "length"),
        completion("x" * 400_001),
        http(302, b"", "Location: http://127.0.0.1:1/"),
        b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{",
        b"not http at all\r\n\r\n",
        b"",
    ],
    ids=lambda reply: repr(reply[:40]),
)
async def test_a_broken_answer_is_no_answer(reply: bytes) -> None:
    async with serving(reply) as server:
        with pytest.raises(ModelUnavailable):
            await model_of(server, attempts=1).complete(HELLO)


@pytest.mark.parametrize(
    "reply",
    [
        stream(chunk("one ")),  # the connection closes
        stream(chunk("one ")) + LAST,  # it ends without saying so
        stream(chunk("one "), b"data: {broken\n\n") + LAST,
        stream(chunk("one "), b'data: {"error": {"message": "x"}}\n\n') + LAST,
        stream(chunk("one "), b'data: {"choices": 7}\n\n') + LAST,
    ],
    ids=["closed", "unfinished", "malformed", "error", "odd"],
)
async def test_a_stream_that_breaks_off_says_so_and_is_not_begun_again(
    reply: bytes,
) -> None:
    async with serving(reply) as server:
        pieces = model_of(server).stream(HELLO)
        assert await anext(pieces) == "one "
        with pytest.raises(ModelUnavailable):
            await anext(pieces)
    assert len(server.asked) == 1


async def test_a_stream_that_never_began_is_asked_for_again() -> None:
    good = stream(chunk("hi", "stop")) + LAST
    async with serving(http(503, b""), stream(), good) as server:
        assert [piece async for piece in model_of(server).stream(HELLO)] == ["hi"]


async def test_a_model_that_never_answers_is_given_up_in_time() -> None:
    async with serving(None) as server:
        with pytest.raises(ModelUnavailable, match="longer than 50ms"):
            await model_of(server, timeout_ms=50, attempts=1).complete(HELLO)


async def test_whoever_is_gone_is_not_waited_for() -> None:
    async with serving(b"") as server:
        pass
    with pytest.raises(ModelUnavailable, match="no connection to"):
        await model_of(server, attempts=1).complete(HELLO)


async def test_an_untrusted_address_is_under_the_egress_rules() -> None:
    posts = StreamedPosts(compose.egress(Settings()), is_trusted=False)
    with pytest.raises(ForbiddenAddress):
        async with posts.post("http://127.0.0.1:1/", {}, b""):
            pass


# -- drafts ----------------------------------------------------------------------------


async def test_what_compiles_at_once_is_the_draft() -> None:
    async with serving(drafted(GOOD)) as server:
        way, ended = await drafts(server, "get the customer")
    assert isinstance(ended, Made)
    assert [one.type for one in way] == ["draft"]
    assert (ended.name, ended.text, ended.summary) == ("profile", GOOD, "does it")
    assert ended.credentials == ("shop_token",)
    assert ended.assumed == ()


async def test_secrets_and_credentials_that_a_model_takes_are_told() -> None:
    taken = GOOD.replace("credential: shop_token", "credential: admin").replace(
        'url: "', 'headers: {X: "${secrets.root}"}, url: "'
    )
    async with serving(drafted(taken)) as server:
        _, ended = await drafts(server, "get the customer")
    assert isinstance(ended, Made)
    assert ended.credentials == ("admin", "secrets.root")


async def test_the_model_is_told_language_operations_and_workflows() -> None:
    async with serving(drafted(GOOD)) as server:
        await drafts(server, "get the customer")
    system = server.asked[0].body["messages"][0]
    assert system["role"] == "system"
    assert "Templates: `${ expression }`" in system["content"]
    assert (
        "GET https://shop.example/api/customers/{customerId} (getCustomer"
        in (system["content"])
    )
    assert "; credential: shop_token\n" in system["content"]
    assert "${secrets." not in system["content"]
    assert "workflow settle-accounts" in system["content"]
    assert server.asked[0].body["messages"][1] == {
        "role": "user",
        "content": "get the customer",
    }


async def test_diagnostics_go_back_to_the_model_until_it_compiles() -> None:
    async with serving(drafted(BAD), completion("gibberish"), drafted(GOOD)) as server:
        way, ended = await drafts(server, "get the customer")
    assert isinstance(ended, Made)
    assert [one.type for one in way] == ["draft", "debugging", "debugging", "draft"]
    codes = [
        [one["code"] for one in event.data["diagnostics"]]  # type: ignore[union-attr,index,call-overload]
        for event in way
        if event.type == "debugging"
    ]
    assert codes == [["P001"], ["D010"]]
    assert "P001" in server.asked[1].body["messages"][-1]["content"]
    assert "inptu" in server.asked[1].body["messages"][-2]["content"]


async def test_what_no_gateway_could_serve_goes_back_to_the_model_too() -> None:
    taken = f"{GOOD}endpoint: {{path: /health}}\n"
    checks = partial(deployable, name="d", catalog=CATALOG, limits=DEFAULT_LIMITS)
    async with serving(drafted(taken), drafted(GOOD)) as server:
        _, ended = await drafts(server, "get the customer", checks=checks)
    assert isinstance(ended, Made)
    assert ended.text == GOOD
    assert "G003" in server.asked[1].body["messages"][-1]["content"]


async def test_a_path_that_is_taken_goes_back_to_the_model_and_a_credential_to_people() -> (
    None
):
    taken, span = f"{GOOD}endpoint: {{path: /who}}\n", Span(6, 17, 6, 27)

    async def refusals(text: str) -> list[Diagnostic]:
        lacking = Diagnostic("S001", "there is no such credential", "add it", span)
        path = Diagnostic("G001", "'who' answers there", "", Span(9, 11, 9, 23))
        return [lacking, path] if "/who" in text else [lacking]

    async with serving(drafted(taken), drafted(GOOD, "Is it so?")) as server:
        way, ended = await drafts(server, "get the customer", refusals=refusals)
    assert isinstance(ended, Made)
    assert [one.type for one in way] == ["draft", "debugging", "draft"]
    asked = server.asked[1].body["messages"][-1]["content"]
    assert "draft.yaml:9:11: G001 'who' answers there" in asked
    assert "S001" not in asked
    assert ended.unresolved == (
        "Is it so?",
        "line 6: there is no such credential (add it)",
    )


async def test_a_model_that_never_gets_it_right_is_given_up() -> None:
    async with serving(drafted(BAD, "which customer?")) as server:
        way, ended = await drafts(server, "get the customer", rounds_max=2)
    assert isinstance(ended, NotMade)
    assert ended.code == "agent.not_valid"
    assert ended.unresolved == ("which customer?",)
    assert len(server.asked) == 3
    assert [one.type for one in way] == ["draft", "debugging", "debugging"]


@pytest.mark.parametrize(
    "evil",
    [
        completion([]),
        completion({"definition": 7}),
        completion({"definition": "x" * 300_000}),
        completion({"definition": "a: &a [*a]"}),
        completion({"definition": "\x00"}),
        completion({"definition": "!!python/object/apply:os.system ['true']"}),
        completion({"definition": "name: x\nsteps: []", "unresolved": 7, "summary": []}),
        completion("```json\n{}\n```"),
        completion("[" * 100_000),
    ],
)
async def test_whatever_a_model_writes_it_ends_in_no_draft(evil: bytes) -> None:
    async with serving(evil) as server:
        _, ended = await drafts(server, "get the customer", rounds_max=1)
    assert isinstance(ended, NotMade)


async def test_fences_around_an_answer_are_taken_off() -> None:
    inner = '{"definition": "```yaml\\n' + GOOD.replace('"', '\\"').replace(
        "\n", "\\n"
    ).removesuffix("\\n")
    async with serving(completion(f'```json\n{inner}\\n```"}}\n```')) as server:
        _, ended = await drafts(server, "get the customer")
    assert isinstance(ended, Made), ended
    assert ended.text == GOOD


async def test_a_foreign_host_and_a_function_of_the_process_are_told() -> None:
    stolen = GOOD.replace("shop.example", "evil.example") + (
        "  - {id: run, type: python, request: {function: os.remove}}\n"
    )
    async with serving(drafted(stolen)) as server:
        _, ended = await drafts(server, "get the customer")
    assert isinstance(ended, Made)
    assert ended.assumed == (
        "step 'customer' calls 'evil.example', which no registered API has: check it",
        "step 'run' calls the function 'os.remove' of the process: check it",
    )


async def test_an_edit_shows_the_difference() -> None:
    changed = GOOD + "    retry: {max_attempts: 3}\n"
    async with serving(drafted(changed)) as server:
        _, ended = await drafts(server, "add a retry of 3", base=GOOD)
    assert isinstance(ended, Made)
    assert ended.difference is not None
    assert ended.difference["changes"] == [
        {"change": "changed", "step": "customer", "keys": ["retry"]}
    ]
    assert GOOD in server.asked[0].body["messages"][1]["content"]


async def test_an_answer_in_the_chat_is_streamed() -> None:
    reply = stream(chunk("I understood "), chunk("it.", "stop")) + LAST
    async with serving(reply) as server:
        drafter = ModelDrafter(model_of(server), CATALOG, rounds_max=1)
        task = Task(("get the customer",), None, knowledge())
        pieces = [piece async for piece in drafter.answer(task)]
    assert pieces == ["I understood ", "it."]


async def test_of_many_operations_the_likely_ones_are_told() -> None:
    known = knowledge()
    many = [*SHOP, *(_other(number) for number in range(200))]
    likely = type(known)(many).likeliest("get the customer", 20)
    assert "getCustomer" in [one.id for one in likely]
    assert len(likely) == 20


def _other(number: int) -> Any:
    other = SHOP[0]
    return type(other)(
        "other", f"doThing{number}", "POST", "http://o/t", "", "", (), "t", (), {}
    )
