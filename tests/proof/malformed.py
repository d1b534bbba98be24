"""The third part of row 12: calls of the services as no gateway would make them.

Messages are made from the descriptors, so that a further method or field is among them:
each field holds what its type allows and its meaning does not, or what only half fits. Some
are no messages at all, and some callers are none. The services are those of a platform of
several processes, with a store on the disk, on one socket.

Rule. Whoever sends nonsense hears that it is: no call ends INTERNAL or UNKNOWN.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final
from unittest.mock import patch

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from plait.assembly import roles
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.services import engine
from plait.services.methods import METHODS, Method
from plait.services.server import ServiceServer
from plait.services.v1 import agent_pb2, engine_pb2, runtime_pb2
from plait.services.wire import CALLER_KEY, loaded
from tests.proof.scorecard import Outcome, Scale

CALLS: Final = 20_000
_SEED: Final = 12
# Some calls wait as long as they are told to.
_WAIT_S: Final = 1.0
_SHOWN_MAX: Final = 20
_NEVER: Final = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "UNIMPLEMENTED")
_JSON: Final = (
    b"{", b"{bad", b"[]", b"null", b"5", b'"x"', b"{}", b'{"a":1,"a":2}', b"1e999",
    b"99999999999999999999", b"NaN", b'"\\ud800"', b"[" * 300 + b"]" * 300,
    b'{"name":"w","steps":[{"id":"a","type":"set","value":"${1/0}"}]}',
    b'{"name":"w","mode":"durable","steps":[{"id":"a","type":"set","value":1}]}',
    b'{"type":"webhook","path":"/../a","secret":"s"}',
)  # fmt: skip
_TEXTS: Final = (
    "", "\0", "a\0b", "none", "create", "edit", "express", "durable", "cancel", "resume",
    "signals", "approve", "decide", "fork", "restart", "rollback", "running", "failed",
    "sha256:x", "../x", "name: w\nsteps: []", "\x1b[2J", "x" * 5_000, "ses_x", "POST",
)  # fmt: skip
_NUMBERS: Final = (-5, -1, 0, 1, 2, 10_000, 2**31 - 1, -(2**31))
_WIDE: Final = (2**63 - 1, -(2**63), 2**53)
_ADMIN: Final = b'{"subject":"a","tenant":"default","role":"admin","grants":{}}'
_CALLERS: Final = (
    *(60 * [_ADMIN]), b"{", b"[]", b"null", b"5", b"\xff", b"{}", b'"admin"',
    b'{"subject":"a","tenant":"default","role":"king","grants":{}}',
    b'{"subject":"a","tenant":"default","role":5,"grants":{}}',
    b'{"subject":"a","tenant":"default","role":["admin"],"grants":{}}',
    b'{"subject":"a","tenant":"default","role":"admin","grants":[1]}',
    b'{"subject":"a","tenant":"default","role":null,"grants":{"w":"king"}}',
    b'{"subject":"a","tenant":"default","role":null,"grants":{"w":7}}',
    b'{"subject":"a","tenant":"a\\u0000b","role":"admin","grants":{}}',
    b'{"subject":7,"tenant":7,"role":"admin","grants":{}}',
    b'{"subject":"a","tenant":"default","role":"admin","grants":null}',
)  # fmt: skip
_DESCRIPTORS: Final = {
    f"/{service.full_name}/{method.name}": method.input_type
    for file in (engine_pb2, runtime_pb2, agent_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def run(scale: Scale) -> Outcome:
    """Call every method, as often each; then with a reader that refuses nothing."""
    methods = [one for own in METHODS.values() for one in own.values()]
    outcome, hunt = _hunted(methods, scale.of(CALLS, 4 * len(methods)) // len(methods))
    with patch.object(engine, "given", lambda _, data: loaded(data)):
        planted, _ = _hunted([METHODS["engine"]["execute"]], 50)
    seen = [one for one in planted.broken if "ended INTERNAL" in one]
    outcome.figures["planted: JSON is not read strictly"] = seen[0][:60] if seen else "-"
    if not seen:
        outcome.broken.append("a reader that raises anything is not seen")
    outcome.figures |= {f"malformed, {one}": n for one, n in sorted(hunt.statuses.items())}
    outcome.figures["malformed: calls"] = hunt.statuses.total()
    return outcome


def _hunted(methods: Sequence[Method], count: int) -> tuple[Outcome, _Hunt]:
    outcome = Outcome()
    with _served() as address, grpc.insecure_channel(address) as channel:
        hunt = _Hunt(channel, outcome)
        for method in methods:
            hunt.ask(method, count)
    return outcome, hunt


class _Hunt:
    """Makes calls, and looks at how they end."""

    def __init__(self, channel: grpc.Channel, outcome: Outcome) -> None:
        self._channel = channel
        self._outcome = outcome
        self.statuses: Counter[str] = Counter()

    def ask(self, method: Method, count: int) -> None:
        """Call one method with `count` messages."""
        messages = _messages(_DESCRIPTORS[method.path]).map(method.dump)
        requests = st.one_of(messages, messages, messages, st.binary(max_size=60))

        @seed(_SEED)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(data=requests, caller=st.sampled_from(_CALLERS))
        def send(data: bytes, caller: bytes) -> None:
            self._send(method, data, caller)

        send()

    def _send(self, method: Method, data: bytes, caller: bytes) -> None:
        status, said = self._status(method, data, caller)
        self.statuses[status] += 1
        wrong = [f"ended {status}: {said}"] if status in _NEVER else []
        if caller != _ADMIN and status not in ("INVALID_ARGUMENT", "UNAUTHENTICATED"):
            wrong.append(f"is done for {caller!r}: {status}")
        if len(self._outcome.broken) < _SHOWN_MAX:
            what = f"{method.path} {data[:80]!r}"
            self._outcome.broken += [f"{what}: {one}" for one in wrong]

    def _status(self, method: Method, data: bytes, caller: bytes) -> tuple[str, str]:
        kind: Any = self._channel.unary_stream if method.is_stream else None
        call: Any = (kind or self._channel.unary_unary)(method.path)
        options: Any = {"metadata": [(CALLER_KEY, caller)], "timeout": _WAIT_S}
        try:
            told = call(data, **options)
            if method.is_stream:
                for _ in told:
                    pass
        except grpc.RpcError as error:
            ended: Any = error
            return ended.code().name, ended.details()[:200]
        return "OK", ""


def _messages(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    """Make messages of a type: any field may be there, and hold anything."""
    kind: Any = GetMessageClass(descriptor)
    fields = {one.name: _values(one) for one in descriptor.fields}
    made = st.fixed_dictionaries({}, optional=fields)
    return made.map(lambda told: kind(**told))


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    own = field.message_type
    if own is not None and own.GetOptions().map_entry:
        key, value = (_one(own.fields_by_name[name]) for name in ("key", "value"))
        return st.dictionaries(key, value, max_size=3)
    one = _one(field)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _one(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    match field.type:
        case FieldDescriptor.TYPE_BYTES:
            return st.sampled_from(_JSON) | st.binary(max_size=40)
        case FieldDescriptor.TYPE_STRING:
            text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
            return st.sampled_from(_TEXTS) | text
        case FieldDescriptor.TYPE_INT32:
            return st.sampled_from(_NUMBERS)
        case FieldDescriptor.TYPE_INT64:
            return st.sampled_from(_NUMBERS + _WIDE)
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_MESSAGE if field.message_type is not None:
            return _messages(field.message_type)
        case _:
            raise NotImplementedError(f"no values of {field.full_name} are known")


@contextmanager
def _served() -> Iterator[str]:
    """The services on a free port, in a thread of their own; yield the address."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="malformed-services")
    thread.start()
    over, begun = asyncio.Event(), loop.create_future()

    async def serve() -> None:
        with TemporaryDirectory(prefix="malformed-") as folder:
            store = {"store": {"url": str(Path(folder) / "plait.db")}}
            configured = Configured(Settings.model_validate(store), {})
            async with AsyncExitStack() as stack:
                made = {}
                for role, build in roles.BUILDERS.items():
                    made[role] = build(configured, None, [])
                    stack.push_async_callback(made[role].close)
                    await made[role].prepare()
                server = ServiceServer({role: one.servicer for role, one in made.items()})
                port = await server.listen("127.0.0.1:0")
                stack.push_async_callback(server.drain, 0.0)
                begun.set_result(f"127.0.0.1:{port}")
                await over.wait()

    serving = asyncio.run_coroutine_threadsafe(serve(), loop)
    try:
        yield asyncio.run_coroutine_threadsafe(_result(begun), loop).result(30)
    finally:
        loop.call_soon_threadsafe(over.set)
        serving.result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _result(begun: asyncio.Future[str]) -> str:
    return await begun
