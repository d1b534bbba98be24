"""DBOS's sample: a workflow of three steps, as its documentation writes them."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
from dbos import DBOS, SetWorkflowID

from benchmarks.durable.load import Wish, drive, tell, wish

wanted = wish()
upstream = f"http://127.0.0.1:{wanted.upstream}"
sessions: list[aiohttp.ClientSession] = []


@DBOS.step()
async def get(number: int) -> int:
    """Call the upstream."""
    async with sessions[0].get(f"/{number}") as reply:
        found: int = (await reply.json())["n"]
        return found


@DBOS.step()
async def nothing(number: int) -> int:
    """Do nothing."""
    return number


@DBOS.workflow()
async def w3(number: int) -> int:
    """Three calls, each with the result of the one before."""
    found: int = await get(await get(await get(number)))
    return found


@DBOS.workflow()
async def w3n(number: int) -> int:
    """Three steps that do nothing."""
    found: int = await nothing(await nothing(await nothing(number)))
    return found


async def run(wanted: Wish) -> dict[str, Any]:
    """Return the figures of one sample."""
    workflow = w3 if wanted.workflow == "w3" else w3n

    async def one(number: int) -> None:
        with SetWorkflowID(f"{os.getpid()}-{number}"):
            await workflow(number)

    async with aiohttp.ClientSession(upstream) as session:
        sessions.append(session)
        return await drive(wanted, one)


def main() -> None:
    """Take one sample."""
    database = wanted.database or f"sqlite:///{wanted.folder / 'dbos.sqlite'}"
    DBOS(
        config={
            "name": "bench",
            "system_database_url": database,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    figures = asyncio.run(run(wanted))
    DBOS.destroy()
    tell(figures)


if __name__ == "__main__":
    main()
