"""Words: what of a text is compared with what of another.

`getCustomerOrders`, `/customers/{id}/orders` and "fetch the orders of a customer" have the
same words here: split where case or punctuation says so, in lower case, singular.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# Longer than any word; what is longer is a key or a blob.
_WORD_LENGTH_MAX: Final = 40
_PIECES: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")

READ: Final = frozenset(
    "get fetch read load retrieve look lookup find show view see check obtain pull query "
    "search list collect gather browse download determine inspect describe count".split()
)
CREATE: Final = frozenset(
    "create add place make open register submit post insert start issue book new write "
    "send publish notify email upload generate enrol enroll sign request".split()
)
UPDATE: Final = frozenset(
    "update change set edit modify adjust mark patch put replace correct rename assign "
    "move increase decrease raise lower".split()
)
DELETE: Final = frozenset(
    "delete remove drop erase cancel destroy discard revoke clear unregister close".split()
)
# Verbs that say what happens and fit any method that changes something.
ACT: Final = frozenset(
    "charge pay refund ship reserve release confirm approve reject apply redeem capture "
    "authorize authorise validate verify calculate compute quote price schedule dispatch "
    "pack pick deliver return restock subscribe unsubscribe invite activate deactivate "
    "block unblock lock unlock transfer convert translate summarize summarise classify "
    "archive restore void print bill invoice run execute invoke call trigger process "
    "fulfil fulfill allocate hold text message ping rate review score alert warn tell "
    "inform log record store save track sync import export complete finish accept".split()
)
VERBS: Final = READ | CREATE | UPDATE | DELETE | ACT

STOP: Final = frozenset(
    "a an the this that these those its it their his her our my your of in on at to for "
    "from by with and or as is are was be been has have had do does did will would shall "
    "should can could may might must i we you they he she me us them there here so if "
    "when then than also too please want need like let all any some every each one using "
    "use via into onto out up down off over per about which who whom whose what where how "
    "not no yes workflow step api service endpoint call new given same time just only "
    "back after before first next finally last again".split()
)

# Words that name which one of its kind a thing is.
IDENTITY: Final = frozenset("id identifier uuid key number code sku slug ref".split())

_IRREGULAR: Final = {
    "people": "person", "children": "child", "addresses": "address", "status": "status",
    "statuses": "status", "analyses": "analysis", "indices": "index", "data": "data",
    "news": "news", "media": "media", "series": "series", "ids": "id", "skus": "sku",
    "address": "address", "process": "process", "paid": "pay", "sent": "send",
    "bought": "buy", "made": "make", "gotten": "get", "got": "get", "found": "find",
}  # fmt: skip


def pieces(text: str) -> list[str]:
    """Return the words of a text in lower case, as they are.

    >>> pieces("getCustomerOrders /customers/{id}/orders_v2 HTTPServer")
    ['get', 'customer', 'orders', 'customers', 'id', 'orders', 'v', '2', 'http', 'server']
    """
    found = (word.lower() for word in _PIECES.findall(text))
    return [word for word in found if len(word) <= _WORD_LENGTH_MAX]


def singular(word: str) -> str:
    """Return a word without the ending of many.

    >>> [singular(word) for word in ("orders", "categories", "boxes", "status", "bus")]
    ['order', 'category', 'box', 'status', 'bus']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def stem(word: str) -> str:
    """Return what a word has in common with its other forms, when that is a known verb.

    >>> [stem(word) for word in ("creates", "shipped", "charging", "reserved", "orders")]
    ['create', 'ship', 'charge', 'reserve', 'order']
    """
    base = singular(word)
    for ending in ("ing", "ed"):
        if not base.endswith(ending) or len(base) < len(ending) + 3:
            continue
        cut = base[: -len(ending)]
        options = (cut, cut + "e", cut[:-1] if cut[-1:] == cut[-2:-1] else cut)
        for option in options:
            if option in VERBS:
                return option
    return base


def terms(text: str) -> list[str]:
    """Return the stems of the words of a text that mean something.

    >>> terms("Please fetch all of the customers' open orders")
    ['fetch', 'customer', 'open', 'order']
    """
    return [stem(word) for word in pieces(text) if word not in STOP and len(word) > 1]


def nouns(text: str) -> list[str]:
    """Return the terms of a text that are no verbs.

    >>> nouns("charge the customer's card")
    ['customer', 'card']
    """
    return [word for word in terms(text) if word not in VERBS]


def identifier(words: Iterable[str], *, fallback: str = "step") -> str:
    """Return a step's id, or a property's name, of words.

    >>> identifier(["Create", "order"]), identifier(["2", "items"]), identifier([])
    ('create_order', 'step_2_items', 'step')
    """
    text = "_".join(words).lower()
    text = re.sub(r"[^a-z0-9_]+", "_", text).strip("_")[:60].strip("_")
    if not text:
        return fallback
    return text if not text[0].isdigit() else f"{fallback}_{text}"


def first_verb(text: str) -> str:
    """Return the verb that a clause begins with, as a stem; empty: it begins with none.

    >>> first_verb("please charge the card"), first_verb("the card of the customer")
    ('charge', '')
    """
    for word in pieces(text):
        if stem(word) in VERBS:
            return stem(word)
        if word not in _BEFORE_VERBS:
            return ""
    return ""


_BEFORE_VERBS: Final = frozenset(
    "please i we you want need to should must will shall can would like let us workflow "
    "it also just and then finally first next afterwards the system a that now".split()
) - {"the", "a"}
