"""Is the `input` schema itself valid? Checked against the 2020-12 meta-schema."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from plait.compile.findings import Findings
from plait.compile.input_schema import outside_references

_META = jsonschema_rs.validator_for(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}
)


def check_input_schema(schema: Any, findings: Findings) -> None:
    """Report what is wrong with `schema`; nothing is ever fetched for it."""
    if schema is None:
        return
    for reference in outside_references(schema):
        text = f"the input schema refers to '{reference}', which would have to be fetched"
        findings.error("P013", text, "copy it under `$defs`", ("input",))
    for error in _META.iter_errors(schema):
        _report(error, findings)
    if findings.found.has_errors:
        return
    try:
        # What the meta-schema cannot say: a pattern is no regular expression, a reference
        # leads nowhere.
        jsonschema_rs.Draft202012Validator(schema, offline=True)
    except jsonschema_rs.ValidationError as error:
        _report(error, findings)


def _report(error: jsonschema_rs.ValidationError, findings: Findings) -> None:
    path = ("input", *error.instance_path)
    findings.error("P013", f"the input schema is invalid: {error.message}", "", path)
