"""A bare FastAPI route with the control plane's own models, as people write it."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query

from benchmarks.control.same import PAGE, PATH
from plait.gateway.control.models import ExecutionPage, Filters

app = FastAPI()


@app.get(PATH)
async def list_executions(filters: Annotated[Filters, Query()]) -> ExecutionPage:
    """Return the page."""
    del filters
    return ExecutionPage.model_validate(PAGE)
