"""`plait validate`: every finding of every document."""

from __future__ import annotations

from typing import Annotated

import typer

from plait.assembly.deployed import with_endpoint_findings
from plait.assembly.documents import LoadedFile, has_warnings
from plait.cli.options import ConfigOption
from plait.cli.output import EXIT_INVALID, json_text, say, write
from plait.cli.plans import files_of
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonObject


def command(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FILE|DIR", help="Documents, and directories of them."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as a JSON array.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A warning fails as an error does.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Check documents and report everything wrong.

    Nothing is run and nothing is called. Findings go to standard output, one per line, as
    `file:line:col: code message (hint)`; a summary goes to standard error. Exit code 0: no
    errors. 2: errors, or with --strict warnings.

    Examples:

    - `plait validate profile.yaml`

    - `plait validate workflows/ --strict`
    """
    files = [with_endpoint_findings(file) for file in files_of(paths, config)]
    if as_json:
        findings = [
            finding_json(file.name, found) for file in files for found in file.diagnostics
        ]
        write(json_text(findings, is_pretty=True) + "\n")
    else:
        write("".join(f"{line}\n" for file in files for line in file.findings()))
    say(summary(files))
    if any(file.has_errors for file in files) or (strict and has_warnings(files)):
        raise typer.Exit(EXIT_INVALID)


def summary(files: list[LoadedFile]) -> str:
    """Return the last line: `3 documents: 2 fine, 1 with errors`."""
    count = len(files)
    broken = sum(file.has_errors for file in files)
    warned = sum(bool(file.diagnostics) and not file.has_errors for file in files)
    parts = [f"{count - broken - warned} fine"]
    parts += [f"{warned} with warnings"] if warned else []
    parts += [f"{broken} with errors"] if broken else []
    return f"{count} document{'s' if count != 1 else ''}: {', '.join(parts)}"


def finding_json(name: str, found: Diagnostic) -> JsonObject:
    """Return one finding as an object."""
    return {"file": name, **found.as_json()}
