"""The fourteen workflows of the proofs, and a service that answers them.

Each has another shape of history: chains, branches, retries, rounds, waits, failures and
loops. How long a wait takes is `{wait}`: milliseconds in a real process, longer in a
simulation.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from plait.assembly import compose
from plait.compile import compile_text
from plait.kernel import StartCall
from plait.model.json import JsonValue
from plait.plan import Plan
from plait.testing import Answer, error, reply
from plait.testing.durable import Work

INPUT: Final[JsonValue] = {"amount": 12, "vip": True}

_RETRY: Final = "{retry: {max_attempts: 6, delay: 40ms, backoff: exponential}}"

TEXTS: Final = {
    "chain": """
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: b, type: http, request: {method: POST, url: "http://service/b/${a.response.n}"}}
  - {id: c, type: http, request: {method: POST, url: "http://service/c/${b.response.n}"}}
output: "${c.response.n}"
""",
    "fan": """
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: b, type: http, request: {method: POST, url: http://service/bb}}
  - {id: c, type: http, request: {method: POST, url: http://service/ccc}}
  - {id: sum, type: set, value: "${a.response.n + b.response.n + c.response.n}"}
output: {sum: "${sum.response}"}
""",
    "retried": """
defaults: {retry_of_all}
steps:
  - {id: flaky, type: http, request: {method: POST, url: http://service/flaky}}
  - {id: pay, type: http, request: {method: POST, url: "http://service/${flaky.response.n}"}}
""",
    "naps": """
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: nap, type: wait, for: "{wait}", depends_on: [a]}
  - {id: b, type: http, depends_on: [nap], request: {method: POST, url: http://service/b}}
  - {id: nap2, type: wait, for: "{wait}", depends_on: [b]}
  - {id: c, type: http, depends_on: [nap2], request: {method: POST, url: http://service/c}}
output: ["${a.response.n}", "${b.response.n}", "${c.response.n}"]
""",
    "waits-first": """
order: sequence
steps:
  - {id: nap, type: wait, for: "{wait}"}
  - {id: pay, type: http, request: {method: POST, url: http://service/pay}}
""",
    "rounds": """
steps:
  - id: group
    type: sequence
    retry: {max_attempts: 3, delay: 20ms, on: [any]}
    steps:
      - {id: hold, type: http, request: {method: POST, url: http://service/hold}}
      - {id: pay, type: http, request: {method: POST, url: http://service/second-round}}
output: "${group.response}"
""",
    "falls-back": """
steps:
  - id: pay
    type: http
    request: {method: POST, url: http://service/refused}
    fallback: {type: http, request: {method: POST, url: http://service/other}}
  - {id: tell, type: http, request: {url: "http://service/tell/${pay.response.n}"}}
output: "${tell.response}"
""",
    "branches": """
steps:
  - id: fan
    type: parallel
    branches:
      left:
        order: sequence
        steps:
          - {id: a, type: http, request: {method: POST, url: http://service/left/a}}
          - {id: nap, type: wait, for: "{wait}"}
          - {id: b, type: http, request: {method: POST, url: http://service/left/b}}
      right:
        steps:
          - {id: a, type: http, request: {method: POST, url: http://service/right/a}}
        output: "${a.response.n}"
  - {id: end, type: http, depends_on: [fan], request: {method: POST, url: http://service/end}}
output: {fan: "${fan.response.right}", end: "${end.response}"}
""",
    "skips": """
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: b, type: http, condition: "${!input.vip}", request: {url: http://service/b}}
  - {id: gift, type: http, condition: "${input.vip && b.status == 'skipped'}",
     request: {method: POST, url: "http://service/gift/${a.response.n}"}}
""",
    "fails": """
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: no, type: http, depends_on: [a], request: {method: POST, url: http://service/refused}}
  - {id: never, type: http, depends_on: [no], request: {url: http://service/never}}
""",
    "goes-on": """
steps:
  - {id: no, type: http, on_error: continue, request: {method: POST, url: http://service/refused}}
  - {id: early, type: return, condition: "${no.status == 'completed'}", value: early}
  - {id: pay, type: http, depends_on: [early], request: {method: POST, url: http://service/pay}}
output: {was: "${no.error.code}", paid: "${pay.response}"}
""",
    "race": """
timeout: 1m
steps:
  - id: first
    type: parallel
    join: any
    branches:
      left: {steps: [{id: a, type: http, request: {method: POST, url: http://service/left}}]}
      right: {steps: [{id: nap, type: wait, for: "{wait}"}]}
  - {id: pay, type: http, depends_on: [first], attempt_timeout: 5s,
     request: {method: POST, url: http://service/pay}}
""",
    "polls": """
steps:
  - id: poll
    type: repeat
    until: "${ask.response.n == 7}"
    max_iterations: 4
    delay: 10ms
    steps:
      - {id: hold, type: http, request: {method: POST, url: "http://service/poll/${iteration}"}}
      - {id: ask, type: http, request: {method: POST,
         url: "http://service/${iteration < 2 ? 'poll' : 'pollend'}"}, depends_on: [hold]}
output: {n: "${poll.response.result}", times: "${poll.response.iterations}"}
""",
    "each": """
steps:
  - id: each
    type: foreach
    items: [1, 22, 333]
    max_concurrency: 2
    item_retry: {max_attempts: 3, delay: 20ms, on: [any]}
    order: sequence
    steps:
      - {id: hold, type: http, request: {method: POST, url: "http://service/hold/${item}"}}
      - {id: nap, type: wait, condition: "${index == 1}", for: "{wait}"}
      - {id: pay, type: http, request: {method: POST,
         url: "http://service/${index == 2 ? 'second-round' : 'pay'}"}}
    result: "${pay.response.n}"
output: "${each.response.results}"
""",
}

# One child that comes to its end, and one that would not in a month: with its step it is
# cancelled, or the storm never comes to rest.
FAMILY: Final = """
steps:
  - {id: kid, type: workflow, request: {name: chain, input: "${input}"}}
  - {id: lazy, type: workflow, timeout: "{wait}", on_error: continue, depends_on: [kid],
     request: {name: sleeper}}
  - {id: pay, type: http, depends_on: [lazy], request: {method: POST, url: http://service/pay}}
"""
SLEEPER: Final = """
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: nap, type: wait, for: 30d, depends_on: [a]}
"""

# Its outcome depends on who is first, and on how long everything takes.
UNSTEADY: Final = frozenset({"race"})


@cache
def plan(name: str, wait: str = "3s") -> Plan:
    """Return the plan of the workflow `name`; its waits take `wait`."""
    text = (
        {**TEXTS, "family": FAMILY, "sleeper": SLEEPER}[name]
        .replace("{wait}", wait)
        .replace("{retry_of_all}", _RETRY)
    )
    source = f"name: {name}\n{text}".encode()
    return compile_text(source, name=f"{name}.yaml", catalog=compose.catalog()).plan


def works(count: int = 20) -> list[Work]:
    """Return `count` executions' worth of work: of every workflow in turn."""
    names = list(TEXTS)
    turns = [names[number % len(names)] for number in range(count)]
    return [work(name) for name in turns]


def work(name: str, wait: str = "3s") -> Work:
    """Return one execution's worth of work."""
    return Work(plan(name, wait), INPUT, name not in UNSTEADY)


def family(wait: str = "3s") -> Work:
    """Return the work of a workflow with children; the express simulator has none."""
    children = plan("chain"), plan("sleeper")
    return Work(plan("family", wait), INPUT, is_steady=False, children=children)


def service(call: StartCall) -> Answer:
    """Answer a call by what its URL says."""
    url = str(call.request["url"])
    path = url.removeprefix("http://service/")
    after_ms = 5 + len(path)
    if path == "refused":
        return error("connector.http.404", after_ms=after_ms)
    is_late = path == "flaky" and call.attempt < 3
    if is_late or (path == "second-round" and "~" not in call.step):
        return error("connector.http.503", after_ms=after_ms)
    return reply({"n": len(path)}, after_ms=after_ms)
