"""docs/reference/settings.md, made from the settings themselves.

python -m plait.assembly.reference > docs/reference/settings.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from pydantic.fields import FieldInfo

from plait.assembly.setting_types import read_duration
from plait.assembly.settings import PREFIX, Section, Settings
from plait.document.described import description_of
from plait.model.duration import format_ms

_HEAD: Final = """\
# Settings

<!-- Made by `python -m plait.assembly.reference`; a test compares. -->

Settings come from `plait.toml` (in the directory where the command runs, or named by
`--config`), from the environment, and from the command line. The later wins, key by key.
A key or a variable that nobody knows is an error, and so is a value that does not fit; all
mistakes are told at once, and the command ends with exit code 2.

```toml
# plait.toml
[resolve]
users = "127.0.0.1:8001"            # where the host `users` really is

[env]
region = "eu"                       # templates read it as ${env.region}

[secrets]
token = {file = "secrets/token"}    # requests read it as ${secrets.token}

[egress]
allow = ["billing", "*.corp.example", "10.1.0.0/16"]

[gateway]
port = 9000
request_timeout = "10s"
```

A duration is text with its unit: `"800ms"`, `"10s"`, `"5m"`, `"1h30m"`, or ISO 8601.

A variable is called `PLAIT_`, the section, `_`, the key: `PLAIT_GATEWAY_PORT=9000`,
`PLAIT_EGRESS_ALLOW_PRIVATE=true`, `PLAIT_RESOLVE_USERS=127.0.0.1:8001`. Lists are words
between commas. A whole table can be JSON, `PLAIT_RESOLVE='{"user-service": "10.0.0.7"}'`;
set to nothing, it is not set. A name in `[env]` is lower case when it comes from a
variable, unless the file has the same name in another case.

A secret never stands in `plait.toml`. It comes from a file of its own, or from a variable
`PLAIT_SECRET_NAME`, which requests read as `${secrets.name}`; the variable wins. A path is
relative to the directory of `plait.toml`.

OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and others: see
[observability](../guides/observability.md)) count where neither says anything.

`plait config show` lists every setting with its value and where that came from: a line of
`plait.toml`, a variable, the command line, or the default. `--changed` leaves out the
defaults; secrets are shown as `***`.
"""
_TAIL: Final = """\
## Connectors of other packages

A package that brings a step type gets the table `[connectors.TYPE]` as its options; see
[plug-ins](../guides/plugins.md).
"""


def page() -> str:
    """Return the page."""
    mappings: list[str] = []
    sections: list[str] = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Section):
            sections.append("\n".join(_section(name, field.default)))
        else:
            mappings.append(f"- `[{name}]`: {_joined(description_of(Settings, name))}")
    tables = "## Tables of names\n\n" + "\n".join(mappings) + "\n"
    return "\n".join([_HEAD, tables, *sections, _TAIL])


def _section(name: str, section: Section) -> Iterator[str]:
    yield f"## [{name}]\n"
    about = _joined(type(section).__doc__)
    yield f"{about}\n"
    yield "| key | default | variable | |"
    yield "|---|---|---|---|"
    for key, field in type(section).model_fields.items():
        variable = f"{PREFIX}{name}_{key}".upper()
        default = _default(field)
        about = _joined(description_of(type(section), key))
        yield f"| `{key}` | {default} | `{variable}` | {about} |"
    yield ""


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if is_duration(field):
        return f'`"{format_ms(value)}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def is_duration(field: FieldInfo) -> bool:
    """Tell whether a setting is a duration: milliseconds, written with a unit."""
    return any(getattr(one, "func", None) is read_duration for one in field.metadata)


def _joined(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    sys.stdout.write(page())
