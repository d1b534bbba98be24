"""Deployments: versions of workflows in a store, and which of them are served."""

from plait.operations.deploying.active import Active, ActiveDeployments
from plait.operations.deploying.deployments import (
    Step,
    StoredDeployments,
    difference_of,
)
from plait.operations.deploying.errors import (
    DefinitionInvalid,
    DeploymentConflict,
    DeploymentRefused,
    EndpointTaken,
    NothingBefore,
    UnknownDeployment,
    UnknownVersion,
)
from plait.operations.deploying.plans import Compiles

__all__ = [
    "Active",
    "ActiveDeployments",
    "Compiles",
    "DefinitionInvalid",
    "DeploymentConflict",
    "DeploymentRefused",
    "EndpointTaken",
    "NothingBefore",
    "Step",
    "StoredDeployments",
    "UnknownDeployment",
    "UnknownVersion",
    "difference_of",
]
