"""Where settings come from, and which wins: OpenTelemetry's own variables, `plait.toml`,
then the environment (PLAIT_…), then the command line; the later wins, key by key.

Rule. A mistake names the key as it was written, where it was written, and the nearest
      known one. The value stays unsaid: it may be a secret in the wrong place.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from plait.assembly.settings import PREFIX, SecretFile, Settings
from plait.assembly.standard_variables import standard_settings
from plait.model.diagnostic import did_you_mean
from plait.model.errors import Advice, PlaitError
from plait.model.record import record

FILE_NAME: Final = "plait.toml"
SECRET_PREFIX: Final = "PLAIT_SECRET_"
VAULT_KEY: Final = "PLAIT_VAULT_KEY"
_BUILT_IN: Final = ("http", "python")


class SettingsInvalid(PlaitError):
    """Settings cannot be used. `problems` says everything that is wrong, a line each."""

    code: ClassVar[str] = "settings.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@record
class Configured:
    """Settings with the secrets read, ready for plait.assembly.compose.

    Attributes:
        vault_keys: What encrypts the vault, by name. No secrets: no document reads them.
    """

    settings: Settings
    secrets: Mapping[str, str]
    vault_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_settings(
    environ: Mapping[str, str],
    *,
    file: Path | None = None,
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    connectors: Callable[[], Iterable[str]] = tuple,
) -> Configured:
    """Return the settings of this run.

    Args:
        environ: The environment variables.
        file: The settings file; None: `plait.toml` in `folder`, if there is one.
        overrides: What the command line says, as nested mappings: `{"gateway": {…}}`.
        connectors: Returns the step types that take a table in `[connectors]`. Asked only
            when there is one: it may have to import other packages.

    Raises:
        SettingsInvalid: Something in them is wrong; everything wrong is in it.
    """
    path = file or folder / FILE_NAME
    written = _read_toml(path) if file is not None or path.is_file() else {}
    problems = list(_unknown_variables(environ))
    own = dict(_usable_variables(environ, problems))
    problems.extend(_garbled_secrets(environ))
    origins = _Origins(path.name if file is None else str(file), written, own)
    try:
        given = overrides or {}
        settings = _layered(written, own, given, _standard(environ), connectors)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems.extend(origins.explain(one) for one in details)
    if problems:
        raise SettingsInvalid(problems)
    return Configured(
        settings,
        _read_secrets(settings, environ, path.parent),
        _read_keys(settings, environ, path.parent),
    )


def _layered(
    written: Mapping[str, Any],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    standard: Mapping[str, Any],
    connectors: Callable[[], Iterable[str]],
) -> Settings:
    class Layered(Settings):
        @field_validator("connectors")
        @classmethod
        def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
            _check_connectors(value, connectors)
            return value

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """The first wins; mappings are merged key by key."""
            return (
                _Given(settings_cls, overrides),
                _Environment(settings_cls, environ, written),
                _Given(settings_cls, written),
                _Given(settings_cls, standard),
            )

    return Layered()


def _standard(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what counts where nothing else is said."""
    told = standard_settings(environ)
    return {"telemetry": {key: text for key, (_, text) in told.items()}}


def _check_connectors(
    tables: Mapping[str, Any], connectors: Callable[[], Iterable[str]]
) -> None:
    known = list(connectors()) if tables else []
    unknown = [name for name in tables if name not in known]
    for name in _BUILT_IN:
        if name in unknown:
            raise ValueError(f"'{name}' has its own table, [{name}]")
    if unknown:
        hint = did_you_mean(unknown[0], known)
        names = ", ".join(f"'{name}'" for name in unknown)
        text = f"no installed package brings a connector called {names}"
        raise ValueError(text + _bracketed(hint))


class _Given(PydanticBaseSettingsSource):
    """Values that are there already."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = dict(values)

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all values come at once."""
        del field
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values."""
        return self._values


class _Environment(EnvSettingsSource):
    """PLAIT_… variables out of a mapping.

    A name in `env` or `resolve` cannot show its case in a variable: it is that of the same
    name in the file, else lower.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        environ: Mapping[str, str],
        written: Mapping[str, Any],
    ) -> None:
        self._environ = environ
        self._written = written
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str]:
        return {name.lower(): text for name, text in self._environ.items()}

    def __call__(self) -> dict[str, Any]:
        """Return what the variables say."""
        values = super().__call__()
        known = self._written.get("env")
        if isinstance(known, dict) and "env" in values:
            as_written = {name.lower(): name for name in known}
            values["env"] = {as_written.get(k, k): v for k, v in values["env"].items()}
        return values


def _is_setting(name: str) -> bool:
    is_secret = name.startswith(SECRET_PREFIX) or _vault_key(name) is not None
    return name.startswith(PREFIX) and not is_secret


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each PLAIT_… variable that means nothing: a spelling mistake."""
    sections = [name.upper() for name in Settings.model_fields]
    for name in sorted(filter(_is_setting, environ)):
        word = name.removeprefix(PREFIX).partition("_")[0]
        if word not in sections:
            hint = did_you_mean(word, sections)
            yield f"environment: no setting is called {name}" + _bracketed(hint)


def _usable_variables(
    environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield the settings among the variables; tell what is wrong with the others.

    What is refused here would stop pydantic-settings at the first mistake.
    """
    for name, text in environ.items():
        if not _is_setting(name):
            continue
        is_table = name.removeprefix(PREFIX).lower() in Settings.model_fields
        problem = _fault(text, is_table)
        if problem:
            problems.append(f"environment: {name}: {problem}")
        # A table set to nothing is not set; a key's value may well be an empty text.
        elif text or not is_table:
            yield name, text


def _garbled_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    for name, text in environ.items():
        is_secret = name.startswith(SECRET_PREFIX) or _vault_key(name) is not None
        if is_secret and not _is_unicode(text):
            yield f"environment: {name}: is not UTF-8"


def _is_unicode(text: str) -> bool:
    """Tell whether text holds no byte that Python could only keep as half a character."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _fault(text: str, is_table: bool) -> str:
    """Return why a variable's text cannot be used; empty if it can."""
    if not _is_unicode(text):
        return "is not UTF-8"
    try:
        value = json.loads(text)
    except RecursionError:
        return "is nested too deep"
    except ValueError:
        value = None
    if is_table and text and not isinstance(value, dict):
        keys = "PLAIT_GATEWAY_PORT=9000"
        return f"is no JSON object (a variable for one key: {keys})"
    return ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsInvalid([f"{path}: is not UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid([f"{path}: is not TOML: {error}"]) from None


# -- mistakes --------------------------------------------------------------------------


class _Origins:
    """Says where a value stands that pydantic complains of."""

    def __init__(
        self, file: str, written: Mapping[str, Any], environ: Mapping[str, str]
    ) -> None:
        self._file = file
        self._written = written
        self._environ = environ

    def explain(self, details: ErrorDetails) -> str:
        """Return one line: where, which key, what is wrong, and a hint."""
        keys = [str(key) for key in details["loc"]]
        name = ".".join(keys)
        if details["type"] == "extra_forbidden":
            hint = did_you_mean(keys[-1], _known_keys(keys[:-1]))
            text = f"{self._where(keys)}: unknown key '{name}'"
        else:
            message = details["msg"].removeprefix("Value error, ")
            text, hint = f"{self._where(keys)}: {name}: {_lowered(message)}", ""
        if keys[0] == "secrets":
            hint = 'write name = {file = "…"}, or set PLAIT_SECRET_NAME'
        return text + _bracketed(hint)

    def _where(self, keys: list[str]) -> str:
        for length in (len(keys), len(keys) - 1, 1):
            variable = PREFIX + "_".join(keys[:length]).upper()
            if variable in self._environ:
                return f"environment: {variable}"
        return self._file if has_key(self._written, keys[:2]) else "command line"


def has_key(given: Any, keys: Iterable[str]) -> bool:
    """Tell whether nested mappings have what these keys lead to, one inside the other.

    >>> has_key({"store": {"url": ""}}, ["store", "url"])
    True
    >>> has_key({"store": 1}, ["store", "url"])
    False
    """
    for key in keys:
        if not isinstance(given, Mapping) or key not in given:
            return False
        given = given[key]
    return True


def _known_keys(path: list[str]) -> Iterable[str]:
    model: Any = Settings
    for key in path:
        field = getattr(model, "model_fields", {}).get(key)
        model = field.annotation if field is not None else None
    return list(getattr(model, "model_fields", {}))


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:] if message.startswith("Input") else message


def _bracketed(hint: str) -> str:
    return f" ({hint})" if hint else ""


# -- secrets ---------------------------------------------------------------------------


def _read_secrets(
    settings: Settings, environ: Mapping[str, str], folder: Path
) -> dict[str, str]:
    """Return the secrets by name; the environment wins over files."""
    problems: list[str] = []
    found = dict(_read_files("secrets", settings.secrets, folder, problems))
    if problems:
        raise SettingsInvalid(problems)
    for variable, text in environ.items():
        name = variable.removeprefix(SECRET_PREFIX)
        if name and name != variable:
            found[name.lower()] = text
    return found


def _read_keys(
    settings: Settings, environ: Mapping[str, str], folder: Path
) -> dict[str, str]:
    """Return the keys of the vault by name; the environment wins over files."""
    problems: list[str] = []
    found = dict(_read_files("vault.keys", settings.vault.keys, folder, problems))
    if problems:
        raise SettingsInvalid(problems)
    named = ((_vault_key(variable), text) for variable, text in environ.items())
    return found | {name: text for name, text in named if name and text}


def _vault_key(variable: str) -> str | None:
    """Return the name of the vault's key that a variable holds; None: it holds none.

    >>> _vault_key("PLAIT_VAULT_KEY"), _vault_key("PLAIT_VAULT_KEY_2026")
    ('key', '2026')
    """
    if variable == VAULT_KEY:
        return "key"
    name = variable.removeprefix(f"{VAULT_KEY}_")
    return name.lower() if name != variable else None


def _read_files(
    section: str, files: Mapping[str, SecretFile], folder: Path, problems: list[str]
) -> Iterator[tuple[str, str]]:
    for name, secret in files.items():
        path = folder / secret.file
        try:
            yield name, path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except OSError as error:
            problems.append(f"{section}.{name}: {path} cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            problems.append(f"{section}.{name}: {path} is not UTF-8")
