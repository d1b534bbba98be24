"""`plait deploy`: what documents say becomes what is served, all of it or nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from plait.assembly.deployed import with_endpoint_findings
from plait.assembly.documents import LoadedFile
from plait.cli.beside import Beside, stray_triggers, triggers_beside, triggers_path
from plait.cli.options import ConfigOption, JsonOption
from plait.cli.output import EXIT_INVALID, say, stop, write, write_json
from plait.cli.plans import files_of
from plait.cli.recorded import recorded
from plait.cli.records import TenantOption, short, with_deployments
from plait.cli.stores import StoreOption
from plait.model.caller import DEFAULT_TENANT, Caller
from plait.model.json import JsonObject
from plait.operations.deploying import (
    DefinitionInvalid,
    Step,
    StoredDeployments,
    difference_of,
)
from plait.ports.platform import Wanted

_DIFF_LINES_MAX: Final = 60
_CHANGES: Final = ("added", "changed", "unchanged", "removed")


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one workflow.

    Attributes:
        file: Where its document is; empty: it was removed.
        difference: Of what changed: `{changes, text}`.
    """

    step: Step
    file: str
    difference: JsonObject

    def as_json(self) -> JsonObject:
        step = self.step
        return {
            "name": step.name,
            "change": step.change,
            "version": step.version,
            "replaced": step.replaced,
            "file": self.file or None,
            "endpoint": step.reply["endpoint"],
            **self.difference,
        }


PruneOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Remove what is deployed and not among these documents. Its versions are "
        "kept, and executions under way go on.",
    ),
]


@recorded("deployment.deploy", "paths")
def command(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FILE|DIR", help="Documents, and directories of them."),
    ],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would change, and change nothing."),
    ] = False,
    prune: PruneOption = False,
    description: Annotated[
        str, typer.Option(metavar="TEXT", help="What to say of these deployments.")
    ] = "",
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve workflows from a store, version by version.

    Every document becomes the active version of the workflow that it names. All switch at
    one moment, or, when anything is wrong with one of them, none does. A `plait serve` on
    the same store follows within a second; executions under way finish on the version that
    they began with. Documents that are deployed already as they stand change nothing.
    Triggers may stand beside a document, `pay.yaml`, as a JSON list in `pay.yaml.triggers`;
    such a file that is beside no document is an error.
    Exit code 0: done. 2: something is wrong with a document; nothing was deployed.

    Examples:

    - `plait deploy workflows/ --dry-run`

    - `plait deploy workflows/ --prune`
    """
    files = _good(paths, config)
    wanted = [_wanted(file, description) for file in files]
    by_name = {one.name: file.name for one, file in zip(wanted, files, strict=True)}

    async def work(
        deployments: StoredDeployments, caller: Caller
    ) -> tuple[list[_Done], list[str]]:
        try:
            steps = await deployments.deploy_all(
                caller, wanted, prunes=prune, is_trial=dry_run
            )
        except DefinitionInvalid as error:
            _tell_invalid(error, by_name)
        texts = {one.name: one.definition for one in wanted}
        done = []
        for step in steps:
            name, text = step.name, texts.get(step.name, "")
            difference = await _difference(deployments, caller, step, text)
            done.append(_Done(step, by_name.get(name, ""), difference))
        return done, await _others(deployments, caller, {step.name for step in steps})

    done, others = with_deployments(
        store, config, tenant, work, is_new=not dry_run, is_trial=dry_run
    )
    if as_json:
        write_json(_json(done, others, is_trial=dry_run))
    else:
        write("".join(_text(one, shows_text=dry_run) for one in done))
    _say_summary(done, others, is_trial=dry_run)


def _json(done: Sequence[_Done], others: Sequence[str], *, is_trial: bool) -> JsonObject:
    return {
        "is_dry_run": is_trial,
        "deployments": [one.as_json() for one in done],
        "others": [*others],
    }


def _good(paths: Sequence[str], config: Path | None) -> list[LoadedFile]:
    """Return the documents at `paths`; ends with EXIT_INVALID when one is not good."""
    files = [with_endpoint_findings(file) for file in files_of(paths, config)]
    for file in files:
        for line in file.findings():
            say(line)
    broken = sum(file.has_errors for file in files)
    if broken:
        stop(f"{broken} of {len(files)} documents have errors; nothing was deployed")
    files = _without_alerts(files)
    first: dict[str, str] = {}
    for file in files:
        name = _name(file)
        if name in first:
            stop(
                f"{first[name]} and {file.name} are both called '{name}': rename one; "
                "nothing was deployed"
            )
        first[name] = file.name
    folders = [path for path in paths if os.path.isdir(path)]
    stray = [*stray_triggers(folders, (file.name for file in files))]
    if stray:
        stop(*stray, "nothing was deployed")
    return files


def _without_alerts(files: Sequence[LoadedFile]) -> list[LoadedFile]:
    """Leave alerts out, and say so; ends with EXIT_INVALID when nothing is left."""
    workflows = [file for file in files if file.alert is None]
    for file in files:
        if file.alert is not None:
            say(f"{file.name}: an alert is not deployed; `plait serve` is given its file")
    if files and not workflows:
        stop("there is no workflow among these documents; nothing was deployed")
    return workflows


def _name(file: LoadedFile) -> str:
    assert file.compiled is not None
    return file.compiled.plan.name


def _wanted(file: LoadedFile, description: str) -> Wanted:
    try:
        definition = Path(file.name).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:  # it was changed meanwhile
        stop(f"{file.name}: cannot be read: {error}; nothing was deployed")
    beside, name = _triggers(Path(file.name)), _name(file)
    return Wanted(name, definition, beside.triggers, description, triggers_text=beside.text)


def _triggers(document: Path) -> Beside:
    try:
        return triggers_beside(document)
    except (OSError, ValueError) as error:
        path = triggers_path(document)
        stop(f"{path}: cannot be read: {error}; nothing was deployed")


def _tell_invalid(error: DefinitionInvalid, by_name: dict[str, str]) -> None:
    """End with the findings of what the compiler accepts and no gateway could serve."""
    name = by_name.get(error.name, error.name)
    lines = [found.render(name) for found in error.diagnostics]
    stop(*lines, "nothing was deployed", code=EXIT_INVALID)


async def _difference(
    deployments: StoredDeployments, caller: Caller, step: Step, text: str
) -> JsonObject:
    if step.change != "changed" or step.replaced in (None, step.version):
        return {}
    old = await deployments.definition(caller, step.name, str(step.replaced))
    names = (f"{step.name} {short(one)}" for one in (step.replaced, step.version))
    return difference_of(old, text, *names)


async def _others(
    deployments: StoredDeployments, caller: Caller, names: set[str]
) -> list[str]:
    """Return the names of what else is active."""
    return [name for name in await deployments.active_names(caller) if name not in names]


def _text(one: _Done, *, shows_text: bool) -> str:
    step = one.step
    version = short(step.version)
    if step.change == "changed" and step.replaced != step.version:
        version = f"{short(step.replaced)} → {version}"
    if step.change == "removed":
        version = short(step.replaced)
    where = f"  {one.file}" if one.file else ""
    line = f"{step.change:9}  {step.name}  {version}{where}\n"
    return line + (_indented(str(one.difference.get("text", ""))) if shows_text else "")


def _indented(text: str) -> str:
    lines = text.splitlines()
    shown = lines[:_DIFF_LINES_MAX]
    if len(lines) > len(shown):
        shown.append(f"… {len(lines) - len(shown)} more lines")
    return "".join(f"    {line}\n" for line in shown)


def _say_summary(done: Sequence[_Done], others: Sequence[str], *, is_trial: bool) -> None:
    counted = Counter(one.step.change for one in done)
    parts = [f"{counted[word]} {word}" for word in _CHANGES if counted[word]]
    would = "; a dry run: nothing was deployed" if is_trial else ""
    say(f"{', '.join(parts)}{would}")
    if others:
        names = ", ".join(others[:8]) + (" …" if len(others) > 8 else "")
        say(f"not among these documents, and still deployed: {names} (--prune removes)")
