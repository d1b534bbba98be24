"""Is the `input` schema itself valid? Checked against the 2020-12 meta-schema."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from plait.compile.findings import Findings
from plait.compile.input_schema import outside_references

_META = jsonschema_rs.validator_for(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}
)


def check_input_schema(schema: Any, findings: Findings) -> bool:
    """Tell whether `schema` is valid; report what is not. Nothing is fetched for it."""
    if schema is None:
        return True
    outside = outside_references(schema)
    for reference in outside:
        text = f"the input schema refers to '{reference}', which would have to be fetched"
        findings.error("P013", text, "copy it under `$defs`", ("input",))
    errors = list(_META.iter_errors(schema))
    if not errors and not outside:
        errors = _beyond_the_meta_schema(schema)
    for error in errors:
        _report(error, findings)
    return not errors and not outside


def _beyond_the_meta_schema(schema: Any) -> list[jsonschema_rs.ValidationError]:
    """What the meta-schema cannot say: a pattern is no regular expression, a reference
    leads nowhere.
    """
    try:
        jsonschema_rs.Draft202012Validator(schema, offline=True)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


def _report(error: jsonschema_rs.ValidationError, findings: Findings) -> None:
    path = ("input", *error.instance_path)
    findings.error("P013", f"the input schema is invalid: {error.message}", "", path)
