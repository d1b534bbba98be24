"""docs/reference/http.md, made from the spec of the request.

python -m plait.connectors.http.reference > docs/reference/http.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from plait.connectors.http.spec import HttpPart, HttpRequest, HttpTls
from plait.document.described import description_of

_HEAD: Final = """\
# The `http` step

<!-- Made by `python -m plait.connectors.http.reference`; a test compares. -->

```yaml
name: order-and-customer
mode: express
input: {type: object, required: [order_id], properties: {order_id: {type: string}}}
steps:
  - id: order
    type: http
    timeout: 2s
    retry: {max_attempts: 3, delay: 100ms, backoff: exponential, jitter: 0.2}
    request:
      url: http://orders/api/orders/${input.order_id}
      headers: {Accept-Language: en}
  - id: customer
    type: http
    on_error: continue
    request:
      url: http://users/api/users
      params: {id: "${order.response.customer_id}", fields: [name, email]}
output: {order: "${order.response}", customer: "${customer.response}"}
```

The step's value has `response` (the decoded body), `status_code`, and `headers` (lower-case
names; those that some template reads). A status outside `expect` is the failure
`connector.http.NNN`.

- One connection pool for the whole process, keep-alive, HTTP/1.1, TLS verified.
- A deadline covers everything: looking up the name, connecting, sending, receiving,
  decoding. When it passes the connection is closed and its place is free.
- gzip, deflate, br and zstd are decoded; a body of more than `max_bytes`, or one that
  unpacks to more than a hundred times its size, is refused.
- A name can be mapped: `--resolve orders=127.0.0.1:8002`, or `[resolve]` in
  [the settings](settings.md).
- A host that comes out of a template, and every other host of a redirect, is refused when
  it leads into a private network, unless the settings allow it (`[egress]`).
- JSON is read as its numbers allow: an integer beyond 64 bits becomes a double, and of a
  repeated key the last counts.
- A body is not taken along by a redirect to another origin.
- A kept connection that the other side has just closed is replaced once, without counting
  as an attempt, for requests that may be repeated.
"""


def page() -> str:
    """Return the page."""
    return "\n".join(
        [
            _HEAD,
            *_table("request", HttpRequest),
            *_table("request.multipart, as a list", HttpPart),
            *_table("request.tls", HttpTls),
        ]
    )


def _table(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| key | default | |"
    yield "|---|---|---|"
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        about = " ".join(description_of(model, name).split()).replace("|", "\\|")
        yield f"| `{name}` | {default} | {about} |"
    yield ""


def _shown(default: object) -> str:
    if default is None:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.stdout.write(page())
