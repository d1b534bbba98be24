"""The compiler: from the text of a workflow to its plan.

Every scope is compiled in three passes: templates, then names and edges, then nodes. All
findings of all passes are collected before anything is refused.

Not here: reading and shapes (plait.document), what a read may name
(plait.compile.names), circles (plait.compile.order).
"""

from __future__ import annotations

from dataclasses import replace

from plait.compile.endless import check_endings
from plait.compile.endpoint import compile_endpoint
from plait.compile.findings import Findings
from plait.compile.input_schema import InputShape
from plait.compile.input_validity import check_input_schema
from plait.compile.lane import compile_place
from plait.compile.mode import check_credentials, check_mode
from plait.compile.names import NameChecker, whole_view
from plait.compile.nodes import NodeBuilder
from plait.compile.pause import collector_paused
from plait.compile.scopes import ScopeCompiler
from plait.compile.states import check_states, root_view, set_output
from plait.compile.triggers import compile_webhooks
from plait.document import Catalog, Document, DocumentErrors, parse_document
from plait.document.source import SourceErrors, SourceLimits, read_as_meant
from plait.model.diagnostic import Diagnostic
from plait.model.record import record
from plait.plan import Plan
from plait.plan.codec import hash_plan

CompileErrors = DocumentErrors


@record
class Compiled:
    """A plan, the document it came from, and the warnings on the way."""

    plan: Plan
    document: Document
    warnings: tuple[Diagnostic, ...]


def compile_text(
    data: bytes, *, name: str, catalog: Catalog, limits: SourceLimits | None = None
) -> Compiled:
    """Return the plan of the document that `data` holds.

    Args:
        data: YAML or JSON, UTF-8.
        name: The file's name; its ending decides between YAML and JSON.
        catalog: Which step types exist.
        limits: Of the text; None: the defaults.

    Raises:
        CompileErrors: Something is wrong; every finding is in it, in document order.
    """
    with collector_paused():
        try:
            source = read_as_meant(data, name=name, limits=limits or SourceLimits())
        except SourceErrors as error:
            raise CompileErrors(error.diagnostics) from None
        return compile_document(parse_document(source, catalog))


def compile_document(document: Document) -> Compiled:
    """Return the plan of `document`.

    Raises:
        CompileErrors: Its shape, names, order or expressions are wrong; what was found
            of all of these is in it.
    """
    findings = Findings(document)
    schema = document.model.input
    # What an invalid schema says of its keys would only add to the noise.
    is_valid = check_input_schema(schema, findings)
    names = NameChecker(findings, InputShape(schema if is_valid else None))
    compiler = ScopeCompiler(findings, names, document.model.defaults)
    around = root_view(document)
    draft, _ = compiler.compile(document.root, around)
    check_endings(draft, findings)
    set_output(document, draft, findings)
    check_states(document, draft, findings)
    check_mode(document, findings)
    view = replace(around, steps=whole_view(document.root).steps)
    endpoint = compile_endpoint(document, findings, names, view)
    place = compile_place(document, findings, names)
    webhooks = compile_webhooks(document, findings)
    check_credentials(document, names.credentials, findings)
    ordered = findings.found.in_order()
    if findings.found.has_errors:
        raise CompileErrors(ordered)
    model = document.model
    plan = Plan(
        name=model.name,
        version="" if model.version is None else str(model.version),
        description=model.description or "",
        mode=model.mode,
        scope=NodeBuilder(document, names.headers).scope(draft),
        input_schema=schema,
        timeout_ms=model.timeout,
        endpoint=endpoint,
        on_failure=model.on_failure,
        roots=tuple(sorted(names.roots)),
        lane=place.lane,
        priority=place.priority,
        priority_from=place.priority_from,
        webhooks=webhooks,
    )
    return Compiled(hash_plan(plan), document, ordered)
