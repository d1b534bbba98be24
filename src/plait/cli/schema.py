"""`plait schema`: the JSON Schema of workflow documents."""

from __future__ import annotations

from typing import Annotated

import typer

from plait.assembly import compose
from plait.cli.options import connectors
from plait.cli.output import json_text, write
from plait.document.schema import alert_schema, workflow_schema
from plait.model.json import JsonObject


def command(
    alert: Annotated[bool, typer.Option("--alert", help="Of alert documents.")] = False,
) -> None:
    """Print the JSON Schema of workflow documents.

    Editors complete and check documents with it. It covers every step type that is
    installed here.

    Examples:

    - `plait schema > workflow.schema.json`, and as the first line of a document
      `# yaml-language-server: $schema=workflow.schema.json`
    """
    if alert:
        write(schema_text(alert_schema()))
        return
    write(schema_text(workflow_schema(compose.catalog(connectors()))))


def schema_text(schema: JsonObject) -> str:
    """Return the text of the published file."""
    return json_text(schema, is_pretty=True) + "\n"
