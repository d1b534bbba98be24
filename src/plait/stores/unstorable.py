"""What no server can keep: told to whoever asked, so that others need not suffer for it."""

from __future__ import annotations

from typing import ClassVar

import orjson

from plait.model.errors import Advice, PlaitError


class Unstorable(PlaitError):
    """A value of the request is none that the store can keep."""

    code: ClassVar[str] = "store.unstorable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, store: str) -> None:
        super().__init__(
            f"{store} cannot keep a value of this request: a text holds U+0000 or half a "
            "surrogate pair, or an id, a key or a name has more than 2,600 bytes"
        )


def tags_json(tags: tuple[str, ...], store: str) -> str:
    """Return tags as JSON text.

    Raises:
        Unstorable: One is no text that UTF-8 can hold.
    """
    try:
        return orjson.dumps(tags).decode()
    except orjson.JSONEncodeError as error:
        raise Unstorable(store) from error
