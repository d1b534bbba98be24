"""The third part of row 12: calls of the services as no gateway would make them.

Messages are made from the descriptors, so that a further method or field is among them:
each field holds what its type allows and its meaning does not, or what only half fits. Most
of those that name something name what is there: an execution that waits, a plan, a version,
a session. Some are no messages at all, and some callers are none. The services are
those of a platform of several processes, on one socket, with a store on the disk and then
with PostgreSQL.

Rule 1. Whoever sends nonsense hears that it is: no call ends INTERNAL or UNKNOWN.
Rule 2. And soon: none takes longer than a reply over HTTP may, but for what is to wait.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias
from unittest.mock import patch

import grpc
import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from plait.assembly.compose import catalog
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.compile import compile_text
from plait.plan import dump_plan
from plait.services import engine
from plait.services.methods import METHODS, Method
from plait.services.v1 import agent_pb2, engine_pb2, runtime_pb2
from plait.services.wire import CALLER_KEY, loaded
from plait.services.wire import given as read_strictly
from tests.acceptance.test_webhooks import SECRET
from tests.proof.beside import beside
from tests.proof.fuzz import REPLY_S_MAX
from tests.proof.inside import serve_roles
from tests.proof.places import stores_of
from tests.proof.scorecard import Outcome, Scale

CALLS: Final = 20_000
_SEED: Final = 12
STORES: Final = ("sqlite", "postgresql")
# Some calls wait as long as they are told to, and two for as long as nothing ends: these
# are left after so long.
_WAIT_S: Final = 1.0
_ENDLESS_S: Final = {"follow_execution": 0.2, "execute_stream": _WAIT_S}
# Of the others, one that takes that long is slow, and counts as such.
_PATIENCE_S: Final = 10.0
_PLANTED_S: Final = 0.5
_OPENING_S: Final = 60.0
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
# What is there, in two versions: it waits for an event, and for a person.
_KEPT: Final = """\
name: kept
mode: durable
description: version %d
triggers: [{type: webhook, path: /shop/paid, secret: shop}]
steps:
  - {id: paid, type: wait, event: {name: paid}}
  - {id: asked, type: approval}
output: ${paid.response}
"""
_QUICK: Final = b"name: quick\nmode: express\nsteps: [{id: a, type: set, value: 1}]\n"
_VERBS: Final = (
    *("cancel", "rollback", "resume", "restart", "fork", "signals", "approve", "reject"),
    "decide",
)
_VERB_BODIES: Final = (
    b"{}", b'{"from":"paid"}', b'{"name":"paid"}', b'{"as":"fail"}', b'{"step":"asked"}',
    b'{"from":"paid\\u0000"}', b'{"name":"\\ud800"}', b'{"name":"","id":"\\u0000"}',
    b'{"name":"paid","payload":[[1e308]],"id":"x"}', b'{"by":"a","roles":[""]}',
)  # fmt: skip
_DESCRIPTORS: Final = {
    f"/{service.full_name}/{method.name}": method.input_type
    for file in (engine_pb2, runtime_pb2, agent_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


# By a field's name, what it may say of what is there.
Known: TypeAlias = Mapping[str, Sequence[Any]]


def run(scale: Scale, stores: Sequence[str] = STORES) -> Outcome:
    """Call every method, as often each; then with readers that are not as they should."""
    methods = [one for own in METHODS.values() for one in own.values()]
    outcome, calls = Outcome(), scale.of(CALLS, 4 * len(methods) * len(stores))
    each = calls // len(methods) // len(stores)
    reply_s_max = REPLY_S_MAX if scale.share >= 1 else math.inf
    for store in stores:
        found, hunt = _hunted(methods, each, store, reply_s_max)
        outcome.broken += [f"{store}: {one}" for one in found.broken]
        for status, count in sorted(hunt.statuses.items()):
            outcome.figures[f"malformed, {store}: {status}"] = count
        outcome.figures[f"malformed, {store}: slowest_ms"] = round(hunt.slowest_s * 1000)
    _plant(outcome, "JSON is not read strictly", _lax, 50, "ended INTERNAL")
    _plant(outcome, "JSON is read for long", _slow, 5, "took ")
    outcome.figures["malformed: calls"] = each * len(methods) * len(stores)
    return outcome


def _plant(
    outcome: Outcome, name: str, read: Callable[[str, bytes], Any], count: int, said: str
) -> None:
    """Call the engine when it reads JSON so; that has to be told, in these words."""
    with patch.object(engine, "given", read):
        methods = [METHODS["engine"]["execute"]]
        planted, _ = _hunted(methods, count, "sqlite", _PLANTED_S)
    seen = [one for one in planted.broken if said in one]
    outcome.figures[f"planted: {name}"] = seen[0][-60:] if seen else "-"
    if not seen:
        outcome.broken.append(f"planted, and not seen: {name}")


def _lax(_: str, data: bytes) -> Any:
    return loaded(data)


def _slow(name: str, data: bytes) -> Any:
    time.sleep(1.2 * _PLANTED_S)
    return read_strictly(name, data)


def _hunted(
    methods: Sequence[Method], count: int, store: str, reply_s_max: float
) -> tuple[Outcome, _Hunt]:
    outcome = Outcome()
    with (
        stores_of(store) as fresh,
        TemporaryDirectory(prefix="malformed-") as folder,
        beside(partial(_services, fresh(Path(folder)))) as address,
        grpc.insecure_channel(address) as channel,
    ):
        hunt = _Hunt(channel, outcome, reply_s_max)
        for method in methods:
            hunt.ask(method, count)
    return outcome, hunt


class _Hunt:
    """Makes calls, and looks at how they end, and how soon."""

    def __init__(self, channel: grpc.Channel, outcome: Outcome, reply_s_max: float) -> None:
        self._channel = channel
        self._outcome = outcome
        self._reply_s_max = reply_s_max
        self.statuses: Counter[str] = Counter()
        self.slowest_s = 0.0

    def ask(self, method: Method, count: int) -> None:
        """Call one method with `count` messages."""
        known = _existing(self._channel)
        messages = _messages(_DESCRIPTORS[method.path], known).map(method.dump)
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
        began_s, left_s = time.monotonic(), _left_after_s(method, data)
        status, said = self._status(method, data, caller, left_s or _PATIENCE_S)
        took_s = time.monotonic() - began_s
        self.statuses[status] += 1
        wrong = [f"ended {status}: {said}"] if status in _NEVER else []
        if left_s is None or status != "DEADLINE_EXCEEDED":
            self.slowest_s = max(self.slowest_s, took_s)
            if took_s > self._reply_s_max:
                wrong.append(f"took {took_s:.1f} s")
        if caller != _ADMIN and status not in ("INVALID_ARGUMENT", "UNAUTHENTICATED"):
            wrong.append(f"is done for {caller!r}: {status}")
        if len(self._outcome.broken) < _SHOWN_MAX:
            what = f"{method.path} {data[:80]!r}"
            self._outcome.broken += [f"{what}: {one}" for one in wrong]

    def _status(
        self, method: Method, data: bytes, caller: bytes, wait_s: float
    ) -> tuple[str, str]:
        kind: Any = self._channel.unary_stream if method.is_stream else None
        call: Any = (kind or self._channel.unary_unary)(method.path)
        options: Any = {"metadata": [(CALLER_KEY, caller)], "timeout": wait_s}
        try:
            told = call(data, **options)
            if method.is_stream:
                for _ in told:
                    pass
        except grpc.RpcError as error:
            ended: Any = error
            return ended.code().name, ended.details()[:200]
        return "OK", ""


def _left_after_s(method: Method, data: bytes) -> float | None:
    """Return when a call is left that goes on for as long as it is told to; None: none."""
    if method.attribute in _ENDLESS_S:
        return _ENDLESS_S[method.attribute]
    try:
        waits = getattr(method.load_request(data), "wait_ms", 0) > 0
    except DecodeError:
        return None
    return _WAIT_S if waits else None


def _existing(channel: grpc.Channel) -> Known:
    """Make what is there, anew where a call has ended it; return its names."""

    def done(role: str, attribute: str, **fields: Any) -> Any:
        method = METHODS[role][attribute]
        request: Any = GetMessageClass(_DESCRIPTORS[method.path])(**fields)
        call: Any = channel.unary_stream if method.is_stream else channel.unary_unary
        how: Any = {"metadata": [(CALLER_KEY, _ADMIN)], "timeout": _OPENING_S}
        told = call(method.path)(method.dump(request), **how)
        return [*told] if method.is_stream else method.load_reply(told)

    versions = [
        orjson.loads(done("runtime", "deploy", name="kept", definition=text).json)[
            "version"
        ]
        for text in (_KEPT % 1, _KEPT % 2)
    ]
    waiting, ended = (
        done("engine", "execute", workflow="kept", input=b"{}").execution_id for _ in "ab"
    )
    done("runtime", "change_execution", execution_id=ended, verb="cancel", body=b"{}")
    session = orjson.loads(done("agent", "create_session", action="create").json)
    told = {"session_id": session["session_id"], "message": "Return the text hello."}
    done("agent", "stream_chat", **told)
    quick, kept = (
        compile_text(one, name="kept.yaml", catalog=catalog()).plan
        for one in (_QUICK, (_KEPT % 1).encode())
    )
    names = ["kept"]
    return {
        **dict.fromkeys(("name", "workflow", "workflow_id", "deployment_id"), names),
        **dict.fromkeys(("old", "new", "version", "expected"), versions),
        **dict.fromkeys(("execution_id", "execution_ids"), (waiting, ended)),
        **dict.fromkeys(("plan_hash", "value"), (quick.content_hash, kept.content_hash)),
        **dict.fromkeys(("input", "trigger"), (b"{}", b"null", b'{"a":[1.5]}')),
        "wait_ms": [0, 50],
        "plans": [dump_plan(quick), dump_plan(kept)],
        "session_id": [session["session_id"]],
        "path": ["shop/paid"],
        "verb": _VERBS,
        "body": _VERB_BODIES,
    }


def _messages(descriptor: Descriptor, known: Known) -> st.SearchStrategy[Any]:
    """Make messages of a type: any field may be there, and hold anything.

    What names something is always there: without it, nothing else would be looked at.
    """
    kind: Any = GetMessageClass(descriptor)
    fields = {one.name: _values(one, known) for one in descriptor.fields}
    either = [one for own in descriptor.oneofs if len(own.fields) > 1 for one in own.fields]
    needed = {*known, "run"} - {one.name for one in either}
    naming = {name: one for name, one in fields.items() if name in needed}
    others = {name: one for name, one in fields.items() if name not in needed}
    made = st.fixed_dictionaries(naming, optional=others)
    return made.map(lambda told: kind(**told))


def _values(field: FieldDescriptor, known: Known) -> st.SearchStrategy[Any]:
    own = field.message_type
    if own is not None and own.GetOptions().map_entry:
        key, value = (_one(own.fields_by_name[name], known) for name in ("key", "value"))
        return st.dictionaries(key, value, max_size=3)
    one = _one(field, known)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _one(field: FieldDescriptor, known: Known) -> st.SearchStrategy[Any]:
    made_up, own = _any(field, known), known.get(field.name)
    if own is None:
        return made_up
    there = st.sampled_from(own)
    return st.sampled_from(range(8)).flatmap(lambda one: there if one else made_up)


def _any(field: FieldDescriptor, known: Known) -> st.SearchStrategy[Any]:
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
            return _messages(field.message_type, known)
        case _:
            raise NotImplementedError(f"no values of {field.full_name} are known")


@asynccontextmanager
async def _services(store: str) -> AsyncIterator[str]:
    """Serve all services on a free port, over a store; yield the address."""
    settings = Settings.model_validate({"store": {"url": store}})
    configured = Configured(settings, {"shop": SECRET})
    async with AsyncExitStack() as stack:
        yield await serve_roles(stack, configured)
