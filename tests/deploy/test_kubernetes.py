"""deploy/kubernetes: what a cluster would refuse, what would never match, and its pod run.

No cluster is asked: which keys there are is written here, by the API's reference.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from plait.model.duration import parse_duration_ms
from tests.conformance.journal.servers import postgres, postgres_address, redis
from tests.deploy.image import DEPLOY, DOCKERFILE, Image, instructions
from tests.deploy.running import in_image, started
from tests.deploy.yaml_files import documents

FOLDER = DEPLOY / "kubernetes"
NAME = {"app.kubernetes.io/name": "plait"}
# What the API knows, so that a misspelled key is found: it would be dropped in silence.
KEYS: Mapping[str, str] = {
    "meta": "name labels annotations",
    "Deployment": "selector strategy template replicas",
    "template": "metadata spec",
    "pod": "serviceAccountName automountServiceAccountToken enableServiceLinks "
    "terminationGracePeriodSeconds securityContext topologySpreadConstraints containers "
    "volumes",
    "container": "name image args env envFrom ports startupProbe livenessProbe "
    "readinessProbe lifecycle resources securityContext volumeMounts",
    "probe": "httpGet periodSeconds failureThreshold timeoutSeconds",
    "Service": "selector ports clusterIP",
    "PodDisruptionBudget": "maxUnavailable selector",
    "HorizontalPodAutoscaler": "scaleTargetRef minReplicas maxReplicas metrics behavior",
    "NetworkPolicy": "podSelector policyTypes ingress",
}
VERSIONS = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "Service": "v1",
    "ServiceAccount": "v1",
}


def resources() -> Iterator[dict[str, Any]]:
    """Yield what the kustomization lists."""
    (told,) = documents(FOLDER / "kustomization.yaml")
    for name in told["resources"]:
        yield from documents(FOLDER / name)


def one(kind: str) -> dict[str, Any]:
    """Return the only resource of a kind."""
    (found,) = (each for each in resources() if each["kind"] == kind)
    return found


POD: dict[str, Any] = one("Deployment")["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]


def test_every_file_is_listed() -> None:
    (told,) = documents(FOLDER / "kustomization.yaml")
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(told["resources"]) == files


def test_every_resource_is_of_a_version_that_clusters_have() -> None:
    assert {each["kind"]: each["apiVersion"] for each in resources()} == VERSIONS


def test_no_key_is_one_that_the_api_does_not_know() -> None:
    parts: list[tuple[str, dict[str, Any]]] = [
        ("pod", POD),
        ("container", CONTAINER),
        ("template", one("Deployment")["spec"]["template"]),
        *(("probe", CONTAINER[f"{name}Probe"]) for name in ("startup", "liveness")),
        ("probe", CONTAINER["readinessProbe"]),
        *(("meta", each["metadata"]) for each in resources()),
        *((each["kind"], each["spec"]) for each in resources() if "spec" in each),
    ]
    for kind, part in parts:
        assert set(part) - set(KEYS[kind].split()) == set(), kind


def test_all_that_selects_pods_selects_these() -> None:
    deployment = one("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert labels == NAME
    spread = POD["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]
    selectors = [
        deployment["selector"]["matchLabels"],
        one("Service")["spec"]["selector"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        spread,
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert selector


def test_no_pod_is_told_of_services_by_variables_that_are_no_settings() -> None:
    # Of a Service `plait` by PLAIT_PORT=tcp://…, by which every process of it ended.
    specs = [each["spec"] for each in resources() if "spec" in each]
    pods = [spec["template"]["spec"] for spec in specs if "template" in spec]
    assert pods
    assert [pod.get("enableServiceLinks") for pod in pods] == [False] * len(pods)


def test_what_is_named_is_there() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"http": 8080}
    assert one("Service")["spec"]["ports"][0]["targetPort"] in ports
    assert one("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] in ports
    for name in ("startup", "liveness", "readiness"):
        assert CONTAINER[f"{name}Probe"]["httpGet"]["port"] in ports
    mounted = {mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert mounted == {volume["name"] for volume in POD["volumes"]}
    assert POD["volumes"][0]["configMap"]["name"] == one("ConfigMap")["metadata"]["name"]
    assert POD["serviceAccountName"] == one("ServiceAccount")["metadata"]["name"]


def test_the_autoscaler_scales_the_deployment_which_says_no_number_itself() -> None:
    target, deployment = one("HorizontalPodAutoscaler")["spec"], one("Deployment")
    asked = target["scaleTargetRef"]
    found = deployment["apiVersion"], deployment["kind"], deployment["metadata"]["name"]
    assert (asked["apiVersion"], asked["kind"], asked["name"]) == found
    assert "replicas" not in deployment["spec"], "each deploy would undo the autoscaler"
    # A share of what is asked for: without a request there is none.
    assert target["metrics"][0]["resource"]["name"] in CONTAINER["resources"]["requests"]
    # With one pod the budget would let it go, and nobody would answer.
    unavailable = one("PodDisruptionBudget")["spec"]["maxUnavailable"]
    assert unavailable < target["minReplicas"] < target["maxReplicas"]


def test_the_grace_period_is_longer_than_leaving_and_draining() -> None:
    settings = tomllib.loads(one("ConfigMap")["data"]["plait.toml"])
    drain_s = parse_duration_ms(settings["gateway"]["drain_timeout"]) / 1000
    leaving_s = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    closing_s = 5
    assert leaving_s + drain_s + closing_s <= POD["terminationGracePeriodSeconds"]


def test_the_pod_may_do_no_more_than_it_needs() -> None:
    users = [each.rest for each in instructions(DOCKERFILE.read_text())]
    assert f"{POD['securityContext']['runAsUser']}:10001" in users
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in CONTAINER["resources"]["limits"]


def test_the_keys_of_the_vault_come_from_a_secret_that_may_be_left_out() -> None:
    (source,) = CONTAINER["envFrom"]
    assert source == {"secretRef": {"name": "plait-vault", "optional": True}}


def test_secrets_come_from_a_secret_and_stand_in_no_file() -> None:
    for variable in CONTAINER["env"]:
        assert set(variable) == {"name", "valueFrom"}
        assert variable["valueFrom"]["secretKeyRef"]["name"] == "plait"
    for path in FOLDER.iterdir():
        assert not re.search(r"://\w*:\w+@", path.read_text())
        assert "kind: Secret" not in path.read_text()


@pytest.mark.slow
async def test_the_pod_starts_answers_its_probes_and_drains(image: Image) -> None:
    folder = image.root / "data" / "etc"
    folder.mkdir(exist_ok=True)
    for name, text in one("ConfigMap")["data"].items():
        # Two pods of the tests may run on one machine.
        port_free = text.replace("port = 8080\n", "").replace("0.0.0.0", "127.0.0.1")
        (folder / name).write_text(port_free)
    mounted = CONTAINER["volumeMounts"][0]["mountPath"]
    arguments = [text.replace(mounted, str(folder)) for text in CONTAINER["args"]]
    with postgres() as database, redis() as cache:
        connection = await asyncpg.connect(postgres_address(database))
        await connection.execute("CREATE DATABASE plait")
        await connection.close()
        told = {
            "store-url": f"postgresql://postgres@127.0.0.1:{database.port}/plait",
            "redis-url": f"redis://127.0.0.1:{cache.port}/0",
        }
        env = {
            one["name"]: told[one["valueFrom"]["secretKeyRef"]["key"]]
            for one in CONTAINER["env"]
        }
        with started(image, *arguments, env=env) as server:
            for name in ("startup", "liveness", "readiness"):
                path = CONTAINER[f"{name}Probe"]["httpGet"]["path"]
                assert server.status(path) == 200
            hook = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
            assert in_image(image, hook[0], "0").returncode == 0
            assert server.stopped() == 0


@pytest.mark.slow
async def test_a_pod_whose_store_is_gone_is_alive_and_not_ready(image: Image) -> None:
    with postgres() as database:
        url = f"{postgres_address(database)}?durability=unchecked"
        with started(image, "serve", env={"PLAIT_STORE_URL": url}) as server:
            database.kill()
            readiness = CONTAINER["readinessProbe"]["httpGet"]["path"]
            await server.until(readiness, 503)
            assert server.status(CONTAINER["livenessProbe"]["httpGet"]["path"]) == 200
