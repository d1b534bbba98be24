"""The agent: drafts workflows in conversation, and executes none.

It knows operations (OpenAPI documents, deployed workflows), compiles what it drafts with
the real compiler, and mends what the diagnostics say. It makes no calls but those to a
language model, and these only through plait.ports.language_model.

Not here: deploying what was drafted (plait.operations), and reaching a model over HTTP
(plait.connectors).
"""

from plait.agent.drafter import Drafter, EmbeddedDrafter, Made, NotMade, Progress, Task
from plait.agent.knowledge import Knowledge, KnownWorkflow
from plait.agent.openapi import OpenapiUnusable, Operation, read_openapi
from plait.agent.service import AgentLimits, DraftingAgent, Library

__all__ = [
    "AgentLimits",
    "Drafter",
    "DraftingAgent",
    "EmbeddedDrafter",
    "Knowledge",
    "KnownWorkflow",
    "Library",
    "Made",
    "NotMade",
    "OpenapiUnusable",
    "Operation",
    "Progress",
    "Task",
    "read_openapi",
]
