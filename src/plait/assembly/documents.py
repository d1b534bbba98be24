"""Documents: from paths to compiled workflows, with everything that is wrong on the way.

Rule. One bad document never hides another: every file is read and judged by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from plait.compile import Alert, Compiled, CompileErrors, compile_alert, compile_text
from plait.document import Catalog
from plait.document.alert import is_alert
from plait.document.limits import DEFAULT_LIMITS, SourceLimits
from plait.model.caller import DEFAULT_TENANT
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.place import Span
from plait.model.record import record
from plait.plan import Plan

ENDINGS: Final = (".yaml", ".yml", ".json")
# Far above what a document may have (its own limit then says so), far below harm.
READ_BYTES_MAX: Final = 16 * 1024 * 1024

UNREADABLE: Final = "F001"

_START: Final = Span(1, 1, 1, 1)


@record
class LoadedFile:
    """One file.

    Attributes:
        name: Its path, as the user would write it.
        compiled: The workflow in it; None when something is wrong with it.
        alert: The alert in it, where it is none of a workflow.
        diagnostics: What is wrong; beside `compiled`, only warnings.
    """

    name: str
    compiled: Compiled | None
    diagnostics: tuple[Diagnostic, ...]
    alert: Alert | None = None

    @property
    def has_errors(self) -> bool:
        """True when it cannot be run, or watched."""
        return self.compiled is None and self.alert is None

    def findings(self) -> list[str]:
        """Return a line per diagnostic: `file:line:col: code message (hint)`."""
        return [diagnostic.render(self.name) for diagnostic in self.diagnostics]


def load_documents(
    paths: Iterable[str], catalog: Catalog, limits: SourceLimits = DEFAULT_LIMITS
) -> list[LoadedFile]:
    """Return every document that `paths` lead to, once, in the order of their names.

    Args:
        paths: Files, and directories, in which every .yaml, .yml and .json file counts,
            at any depth; hidden ones are left out.
    """
    loaded: dict[str, LoadedFile] = {}
    known: set[str] = set()
    for path in paths:
        unreadable: list[OSError] = []
        for name in document_files(path, unreadable.append):
            if os.path.abspath(name) not in known:
                known.add(os.path.abspath(name))
                # One that is named may be a pipe; in a folder it would be waited for.
                is_readable = name == path or Path(name).is_file()
                text = "cannot be read: it is no regular file"
                loaded[name] = (
                    load_document(name, catalog, limits)
                    if is_readable
                    else _unusable(name, UNREADABLE, text)
                )
        for error in unreadable:
            folder = os.path.normpath(str(error.filename))
            text = f"cannot be read: {error.strerror}"
            loaded[folder] = _unusable(folder, UNREADABLE, text)
        if os.path.isdir(path) and not unreadable and not any(document_files(path)):
            text = "the directory holds no .yaml, .yml or .json file"
            loaded[path] = _unusable(path, "F002", text)
    return list(loaded.values())


def document_files(
    path: str, on_error: Callable[[OSError], object] | None = None
) -> Iterator[str]:
    """Yield the documents at `path`: itself, or if it is a directory, those in it.

    Args:
        on_error: Hears of every directory in it that cannot be read.
    """
    # Not `Path.is_dir`: it raises where a folder above may not be entered.
    if not os.path.isdir(path):
        yield path
        return
    for folder, folders, names in os.walk(path, onerror=on_error):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield os.path.normpath(os.path.join(folder, name))


def load_document(
    name: str, catalog: Catalog, limits: SourceLimits = DEFAULT_LIMITS
) -> LoadedFile:
    """Return the document in the file `name`; what is wrong with it is in it."""
    try:
        with open(name, "rb") as file:
            data = file.read(READ_BYTES_MAX)
    except OSError as error:
        return _unusable(name, UNREADABLE, f"cannot be read: {error.strerror}")
    except ValueError as error:
        return _unusable(name, UNREADABLE, f"cannot be read: {error}")
    try:
        if is_alert(data):
            return LoadedFile(name, None, (), compile_alert(data, name=name, limits=limits))
        compiled = compile_text(data, name=name, catalog=catalog, limits=limits)
    except CompileErrors as error:
        return LoadedFile(name, None, error.diagnostics)
    return LoadedFile(name, compiled, compiled.warnings)


class Neighbours:
    """The workflows of one folder by name, read when the first is asked for.

    They are the default tenant's, as all that is run from files.
    """

    def __init__(self, folder: str, catalog: Catalog, limits: SourceLimits) -> None:
        self._folder = folder
        self._catalog = catalog
        self._limits = limits
        self._plans: dict[str, Plan] | None = None

    def __call__(self, tenant: str, name: str) -> Plan | None:
        """Return the plan of a tenant's workflow; of two with that name, the first."""
        if tenant != DEFAULT_TENANT:
            return None
        if self._plans is None:
            self._plans = {}
            for file in load_documents([self._folder], self._catalog, self._limits):
                if file.compiled is not None:
                    plan = file.compiled.plan
                    self._plans.setdefault(plan.name, plan)
        return self._plans.get(name)


def has_warnings(files: Iterable[LoadedFile]) -> bool:
    """Tell whether any diagnostic of `files` is a warning."""
    return any(
        diagnostic.severity is Severity.WARNING
        for file in files
        for diagnostic in file.diagnostics
    )


def _unusable(name: str, code: str, message: str) -> LoadedFile:
    return LoadedFile(name, None, (Diagnostic(code, message, "", _START),))
