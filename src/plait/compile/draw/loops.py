"""What a picture says of a loop: until when it goes on, how many items at once."""

from __future__ import annotations

from collections.abc import Iterator

from plait.expression import Template
from plait.kernel.machines import built_in_machines
from plait.plan import Node


def loop_notes(node: Node) -> Iterator[str]:
    """Yield what matters of a loop, a few words each; of any other step nothing."""
    if not built_in_machines()[node.machine].repeats:
        return
    for key in ("while", "until", "break"):
        if key in node.templates:
            yield f"{key} {shown(node.templates[key])}"
    most, hops = node.options.get("max_iterations"), node.options.get("max_hops")
    if hops is not None:
        yield f"{hops} hops at most"
    elif most is not None:
        yield f"{most} times at most"
    pages = node.options.get("max_pages")
    if pages is not None:
        yield f"{pages} pages at most"
    if "max_concurrency" in node.options:
        yield f"{node.options['max_concurrency']} at once"
    size = node.options.get("batch_size")
    if size:
        yield f"batches of {size}"
    if node.options.get("on_item_error") == "continue":
        yield "items may fail"


def shown(template: Template) -> str:
    """Return a condition as people write it, without `${ }`."""
    if template.is_constant:
        return "true" if template.render({}) is True else "false"
    return " ".join(template.expressions[0].source.split())
