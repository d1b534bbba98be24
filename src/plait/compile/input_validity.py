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
    for reference in outside_references(schema):
        text = f"the input schema refers to '{reference}', which would have to be fetched"
        findings.error("P013", text, "copy it under `$defs`", ("input",))
    for error in _META.iter_errors(schema) if schema is not None else ():
        path = ("input", *error.instance_path)
        findings.error("P013", f"the input schema is invalid: {error.message}", "", path)
