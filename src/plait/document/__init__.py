"""Text → typed workflow document with source spans, and the published JSON Schema."""

from plait.document.catalog import Catalog
from plait.document.found import DocumentErrors
from plait.document.parse import parse_document
from plait.document.step import Step
from plait.document.tree import Document
from plait.document.workflow import Endpoint, is_workflow_name

__all__ = [
    "Catalog",
    "Document",
    "DocumentErrors",
    "Endpoint",
    "Step",
    "is_workflow_name",
    "parse_document",
]
