"""The platform's services in another process, as if they were in this one."""

from plait.services.remote.agent import RemoteAgent
from plait.services.remote.deployments import RemoteDeployments
from plait.services.remote.engine import RemoteEngine
from plait.services.remote.executions import RemoteExecutions
from plait.services.remote.link import Link, LinkTimes
from plait.services.remote.runs import RemoteDriver, RemoteRuns
from plait.services.remote.triggers import RemoteTriggers

__all__ = [
    "Link",
    "LinkTimes",
    "RemoteAgent",
    "RemoteDeployments",
    "RemoteDriver",
    "RemoteEngine",
    "RemoteExecutions",
    "RemoteRuns",
    "RemoteTriggers",
]
