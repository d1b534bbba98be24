"""Origins: every setting with its value, and where that came from.

Rule. No value of a secret is told, nor what stands in an address as a password. What looks
      like one by its name, in tables that are free for all, is not told either.

Not here: reading settings, and what is wrong with them (plait.assembly.sources).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from pydantic import BaseModel

from plait.assembly.reference import is_duration
from plait.assembly.settings import PREFIX
from plait.assembly.sources import FILE_NAME, SECRET_PREFIX, VAULT_KEY, Configured, has_key
from plait.assembly.standard_variables import standard_settings
from plait.model.duration import format_ms
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

MASK: Final = "***"
DEFAULT: Final = "default"
FILE: Final = "file"
ENVIRONMENT: Final = "environment"
COMMAND_LINE: Final = "command line"

# What is called so in the tables below, or as a parameter of an address, is not shown.
_SECRET_WORDS: Final = re.compile(
    r"secret|password|passwd|passphrase|api_?key|"
    r"(^|[._-])(token|key|pass|pwd|credential|authorization|signature|sig)s?($|[._-])",
    re.IGNORECASE,
)
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What stands in them, packages and whoever wrote `[env]` name as they like.
_FREE_TABLES: Final = ("env", "connectors", "middleware", "authentication", "caches")
_SECRETS: Final = ("secrets", "vault.keys")
# Up to the last @: a password may hold what an address would not.
_PASSWORD: Final = re.compile(r"(?<=://)([^/?#@:\s]*):\S*@")
_PARAMETER: Final = re.compile(r"((?:^|[?&;\s])([^=?&#;\s]+)=)[^&#;\s]*")

_Keys: TypeAlias = tuple[str, ...]


@record
class Shown:
    """One setting.

    Attributes:
        key: `gateway.port`.
        value: As it counts, JSON; of a secret `***`.
        source: `default`, `file`, `environment`, `command line`.
        place: `plait.toml:12`, or the name of the variable; empty: there is none.
    """

    key: str
    value: JsonValue
    source: str
    place: str

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        place = self.place or None
        return {
            "key": self.key,
            "value": self.value,
            "source": self.source,
            "place": place,
        }


def all_settings(
    configured: Configured,
    environ: Mapping[str, str],
    *,
    file: Path | None,
    folder: Path,
    overrides: Mapping[str, Any],
) -> list[Shown]:
    """Return every setting, in the order of the settings' page.

    Args:
        configured: What `read_settings` made of the rest.
    """
    path = file or folder / FILE_NAME
    text = path.read_text("utf-8") if path.is_file() else ""
    name = path.name if file is None else str(file)
    origins = _Origins(name, lines_of(text), environ, overrides)
    found = [
        Shown(".".join(keys), _told(keys, value), *origins.of(keys))
        for keys, value in _leaves(configured.settings, ())
        if ".".join(keys[:-2]) not in _SECRETS  # files of secrets: told below, as secrets
    ]
    for table, names in (
        ("secrets", configured.secrets),
        ("vault.keys", configured.vault_keys),
    ):
        for one in sorted(names):
            keys = (*table.split("."), one)
            found.append(Shown(".".join(keys), MASK, *origins.of_secret(table, one)))
    return found


def lines_of(text: str) -> dict[_Keys, int]:
    """Return on which line each value of a TOML text stands, from 1 on.

    >>> lines_of('a = 1\\n[b]\\nc = [\\n 1,\\n]\\nd.e = {f = 2}\\n')
    {('a',): 1, ('b', 'c'): 3, ('b', 'd', 'e', 'f'): 6}
    """
    found: dict[_Keys, int] = {}
    table: _Keys = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = next(iter(_paths(parsed)), ())
        else:
            found |= {(*table, *path): number for path in _paths(parsed)}
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the line that it begins on.

    A line that is none by itself goes on: only a whole statement is TOML.
    """
    held, first = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        held, first = (f"{held}\n{line}", first) if held else (line, number)
        try:
            is_something = bool(tomllib.loads(held))
        except tomllib.TOMLDecodeError:
            continue
        if is_something:
            yield first, held
        held = ""


def _paths(value: Any) -> Iterator[_Keys]:
    """Yield the paths to all values that are no tables, or empty ones."""
    if not isinstance(value, dict):
        yield ()
        return
    for key, inner in value.items():
        if inner == {}:
            yield (key,)
        else:
            yield from ((key, *rest) for rest in _paths(inner))


def _leaves(model: BaseModel, keys: _Keys) -> Iterator[tuple[_Keys, Any]]:
    for name, about in type(model).model_fields.items():
        value = getattr(model, name)
        if is_duration(about) and isinstance(value, int):
            yield (*keys, name), format_ms(value)
        else:
            yield from _inside((*keys, name), value)


def _inside(keys: _Keys, value: Any) -> Iterator[tuple[_Keys, Any]]:
    if isinstance(value, BaseModel):
        yield from _leaves(value, keys)
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _inside((*keys, str(name)), inner)
    else:
        yield keys, value


def _told(keys: _Keys, value: Any) -> JsonValue:
    if keys[0] in _FREE_TABLES and any(map(_is_secret, keys[1:])):
        return MASK
    if isinstance(value, list | tuple):
        return [_told(keys, one) for one in value]
    if isinstance(value, dict):
        return {str(name): _told((*keys, str(name)), one) for name, one in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return _masked(str(value))


def _masked(text: str) -> str:
    """Return a text without the passwords of addresses and settings that stand in it.

    >>> _masked("redis://:pa/ss@h/0?sslpassword=x&db=1")
    'redis://:***@h/0?sslpassword=***&db=1'
    """

    def parameter(found: re.Match[str]) -> str:
        return found[1] + MASK if _is_secret(unquote(found[2])) else found[0]

    return _PARAMETER.sub(parameter, _PASSWORD.sub(rf"\1:{MASK}@", text))


def _is_secret(name: str) -> bool:
    """Tell whether what is called so is a secret, by the words of the name.

    >>> [name for name in ("clientSecret", "api-key", "keyboard") if _is_secret(name)]
    ['clientSecret', 'api-key']
    """
    return _SECRET_WORDS.search(_HUMP.sub("_", name)) is not None


class _Origins:
    """Says where values came from; the first that has one wins."""

    def __init__(
        self,
        file: str,
        lines: Mapping[_Keys, int],
        environ: Mapping[str, str],
        overrides: Mapping[str, Any],
    ) -> None:
        self._file = file
        self._lines = lines
        self._environ = environ
        self._variables = {name.lower(): name for name in environ}
        self._overrides = overrides
        self._standard = standard_settings(environ)

    def of(self, keys: _Keys) -> tuple[str, str]:
        """Return source and place."""
        if has_key(self._overrides, keys):
            return COMMAND_LINE, ""
        variable = self._variable(keys)
        if variable is not None:
            return ENVIRONMENT, variable
        line = self._line(keys)
        if line is not None:
            return FILE, f"{self._file}:{line}"
        if keys[0] == "telemetry" and keys[1] in self._standard:
            return ENVIRONMENT, self._standard[keys[1]][0]
        return DEFAULT, ""

    def of_secret(self, table: str, name: str) -> tuple[str, str]:
        """Return source and place of a secret, or of a key of the vault."""
        variable = f"{SECRET_PREFIX}{name}" if table == "secrets" else f"{VAULT_KEY}_{name}"
        found = self._variables.get(variable.lower())
        if found is None and (table, name) == ("vault.keys", "key"):
            found = self._variables.get(VAULT_KEY.lower())
        if found is not None:
            return ENVIRONMENT, found
        line = self._line((*table.split("."), name))
        return FILE, f"{self._file}:{line}"

    def _variable(self, keys: _Keys) -> str | None:
        one = self._variables.get(f"{PREFIX}{'_'.join(keys[:2])}".lower())
        if one is not None:
            return one
        table = self._variables.get(f"{PREFIX}{keys[0]}".lower())
        told = None if table is None else self._environ[table]
        return table if told and has_key(json.loads(told), keys[1:]) else None

    def _line(self, keys: _Keys) -> int | None:
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._lines:
                return self._lines[keys[:length]]
        # A table that is given below, key by key.
        inner = (at for path, at in self._lines.items() if path[: len(keys)] == keys)
        return min(inner, default=None)
