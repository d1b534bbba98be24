"""The published JSON Schema (2020-12), generated from the models."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from plait.document.alert import AlertModel
from plait.document.catalog import Catalog
from plait.document.states import State, Transition
from plait.document.workflow import WorkflowModel
from plait.model.json import JsonObject

SCHEMA_ID: Final = "urn:plait:schema:workflow:1"
ALERT_SCHEMA_ID: Final = "urn:plait:schema:alert:1"


def alert_schema() -> JsonObject:
    """Return the JSON Schema of an alert document."""
    schema = AlertModel.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ALERT_SCHEMA_ID,
        **schema,
        "title": "Plait alert",
    }


def workflow_schema(catalog: Catalog) -> JsonObject:
    """Return the JSON Schema of a workflow document with the step types of `catalog`."""
    models: list[type[BaseModel]] = [
        WorkflowModel,
        State,
        Transition,
        *catalog.models.values(),
    ]
    _, defs = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Any] = defs["$defs"]
    workflow = definitions.pop(WorkflowModel.__name__)
    definitions["Step"] = {
        "oneOf": [{"$ref": f"#/$defs/{m.__name__}"} for m in catalog.models.values()],
        "discriminator": {"propertyName": "type"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **workflow,
        "title": "Plait workflow",
        "$defs": dict(sorted(definitions.items())),
    }
