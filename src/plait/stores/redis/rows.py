"""Values to what Redis keeps and back: the one place that knows the fields."""

from __future__ import annotations

from typing import Any, Final

import orjson

from plait.model.caller import DEFAULT_TENANT
from plait.ports.journal import (
    IN_LANE,
    Entry,
    Message,
    NewExecution,
    Search,
    Standing,
    Summary,
)
from plait.stores.faults import StoreDamaged
from plait.stores.unstorable import tags_json

PREFIX: Final = "{plait}:"
NUMBER_BYTES: Final = 16


def row_of(
    new: NewExecution, standing: Standing, length: int, head: bytes, token: str
) -> list[str | bytes]:
    """Return the fields of an execution that begins, names and values in turn."""
    optional = {
        "key": new.key,
        "parent": new.parent,
        "lane": new.lane,
        "tenant": None if new.tenant == DEFAULT_TENANT else new.tenant,
    }
    fields: dict[str, str | bytes] = {
        "id": new.execution_id,
        "workflow": new.workflow,
        "plan_hash": new.plan_hash,
        "created_at_ms": str(new.created_at_ms),
        "input": new.input,
        "tags": tags_json(new.tags, "Redis"),
        "priority": str(new.priority),
        "lane_max": str(new.lane_max),
        "lane_state": str(IN_LANE),
        **{name: value for name, value in optional.items() if value is not None},
        "status": standing.status,
        "at_ms": str(standing.at_ms),
        "wake_at_ms": _or_none(standing.wake_at_ms),
        "error_code": _or_none(standing.error_code),
        "length": str(length),
        "head": head,
        "epoch": "1",
        "token": token,
    }
    return [part for pair in fields.items() for part in pair]


def standing_of(standing: Standing) -> list[str]:
    """Return the fields of a standing, in the order in which append.lua takes them."""
    return [
        standing.status,
        str(standing.at_ms),
        _or_none(standing.wake_at_ms),
        _or_none(standing.error_code),
    ]


def fields_of(row: list[bytes]) -> dict[bytes, bytes]:
    """Return the fields of a row that a script has answered with.

    >>> fields_of([b"id", b"x1", b"epoch", b"2"])
    {b'id': b'x1', b'epoch': b'2'}
    """
    return dict(zip(row[::2], row[1::2], strict=True))


def summary_of(row: dict[bytes, bytes]) -> Summary:
    """Return the summary in the fields of an execution.

    Raises:
        StoreDamaged: They are not what was written.
    """
    try:
        return _summary_of(row)
    except (KeyError, ValueError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise StoreDamaged(f"the row {row.get(b'id', b'')!r} in Redis", reason) from error


def _summary_of(row: dict[bytes, bytes]) -> Summary:
    text = {name.decode(): value for name, value in row.items() if name != b"head"}

    def word(name: str) -> str:
        return text[name].decode()

    def optional(name: str) -> str | None:
        return text[name].decode() if name in text else None

    new = NewExecution(
        word("id"),
        word("workflow"),
        word("plan_hash"),
        int(text["created_at_ms"]),
        word("input"),
        optional("key"),
        _tags_of(text["tags"]),
        int(text["priority"]),
        optional("parent"),
        optional("lane"),
        int(text.get("lane_max", 0)),
        optional("tenant") or DEFAULT_TENANT,
    )
    wake_at_ms, error_code = word("wake_at_ms"), word("error_code")
    standing = Standing(
        word("status"),
        int(text["at_ms"]),
        int(wake_at_ms) if wake_at_ms else None,
        error_code or None,
    )
    length, epoch = int(text["length"]), int(text["epoch"])
    # Rows of schema 1 do not say.
    lane_state = int(text.get("lane_state", IN_LANE))
    owner = word("owner") or None
    number = int(text["number"])
    return Summary(new, standing, length, row[b"head"], epoch, owner, lane_state, number)


def _tags_of(text: bytes) -> tuple[str, ...]:
    tags = orjson.loads(text)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("its tags are no list of texts")
    return tuple(tags)


def name_of(row: dict[bytes, bytes]) -> str:
    """Return the id that stands in the fields of an execution, for a message."""
    return row.get(b"id", b"of no name").decode(errors="replace")


def packed(entry: Entry) -> bytes:
    """Return an entry as one element of a list.

    >>> unpacked(packed(Entry(b"body", b"digest")))
    Entry(body=b'body', digest=b'digest')
    """
    return bytes([len(entry.digest)]) + entry.digest + entry.body


def unpacked(data: bytes) -> Entry:
    """Return the entry in an element of a list."""
    end = 1 + data[0]
    return Entry(data[end:], data[1:end])


def waiting_of(execution_id: str, kept: dict[bytes, bytes]) -> tuple[Message, ...]:
    """Return the messages of such a hash in the order in which they were posted."""
    posted = sorted(kept, key=lambda id_: kept[id_][:NUMBER_BYTES])
    return tuple(
        Message(id_.decode(), execution_id, kept[id_][NUMBER_BYTES:]) for id_ in posted
    )


def messages_of(execution_id: str, kept: dict[bytes, bytes]) -> tuple[Message, ...]:
    """Return messages as a hash has them: each body behind its number of 16 digits."""
    return tuple(
        Message(id_.decode(), execution_id, kept[id_][NUMBER_BYTES:])
        for id_ in sorted(kept)
    )


def key_field(workflow: str, key: str | None, tenant: str) -> str:
    """Return where an idempotency key stands in the hash of all; empty: there is none.

    >>> key_field("shop", "order-7", "default"), key_field("shop", "order-7", "north")
    ('4:shoporder-7', '@5:north4:shoporder-7')
    """
    if key is None:
        return ""
    whose = "" if tenant == DEFAULT_TENANT else f"@{len(tenant)}:{tenant}"
    return f"{whose}{len(workflow)}:{workflow}{key}"


def indexes_of(search: Search) -> list[str]:
    """Return the keys of the lists each of which has all that `search` asks for."""
    (status,) = search.statuses if len(search.statuses) == 1 else (None,)
    given = {
        "p": search.parent,
        "t": search.tag,
        "e": search.error_code,
        "s": status,
        "w": search.workflow,
        "tn": None if search.tenant == DEFAULT_TENANT else search.tenant,
    }
    lists = [f"{PREFIX}{one}:{value}" for one, value in given.items() if value is not None]
    return lists or [f"{PREFIX}all"]


def _or_none(value: Any) -> str:
    return "" if value is None else str(value)
