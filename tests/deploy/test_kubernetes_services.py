"""deploy/kubernetes-services: three more pods, confined as the first, and how they meet.

No cluster is asked. The gateway's pod alone is in tests/deploy/test_kubernetes.py, the four
processes together in tests/deploy/test_compose_services.py.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from plait.assembly.settings import Settings
from plait.assembly.sources import read_settings
from tests.conformance.journal.servers import free_port
from tests.deploy.image import DEPLOY, Image
from tests.deploy.running import in_image, started
from tests.deploy.test_kubernetes import CONTAINER, KEYS, POD
from tests.deploy.test_kubernetes import one as resource
from tests.deploy.yaml_files import documents

FOLDER = DEPLOY / "kubernetes-services"
ROLES = ("engine", "runtime", "agent")
(KUSTOMIZATION,) = documents(FOLDER / "kustomization.yaml")
(SETTINGS,) = documents(FOLDER / "configmap.yaml")
TOML: str = SETTINGS["data"]["plait.toml"]
# By what the items of a list are the same ones; a list of other items is replaced whole.
MERGED_BY = {
    "containers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}


def both(role: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Deployment and the Service of a role."""
    deployment, service = documents(FOLDER / f"{role}.yaml")
    assert (deployment["kind"], service["kind"]) == ("Deployment", "Service")
    return deployment, service


def patched(below: Any, patch: Any, key: str = "") -> Any:
    """Return what a strategic merge makes of a value, as kustomize does it."""
    if isinstance(below, dict) and isinstance(patch, dict):
        changed = {name: patched(below.get(name), one, name) for name, one in patch.items()}
        return {**below, **changed}
    if isinstance(below, list) and key in MERGED_BY:
        items = {one[MERGED_BY[key]]: one for one in below}
        for one in patch:
            name = one[MERGED_BY[key]]
            items[name] = patched(items.get(name), one)
        return list(items.values())
    return patch


def pod_of(role: str) -> dict[str, Any]:
    pod: dict[str, Any] = both(role)[0]["spec"]["template"]["spec"]
    return pod


def test_every_file_is_listed() -> None:
    used = {one for one in KUSTOMIZATION["resources"] if one != "../kubernetes"}
    patched = {one["path"] for one in KUSTOMIZATION["patches"]}
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert used | patched == files
    for name in patched:
        (patch,) = documents(FOLDER / name)
        (below,) = [
            one
            for path in (DEPLOY / "kubernetes").glob("*.yaml")
            for one in documents(path)
            if one["kind"] == patch["kind"]
        ]
        assert patch["metadata"]["name"] == below["metadata"]["name"]


def test_the_gateway_is_what_it_was_and_has_a_role_and_the_token_besides() -> None:
    (patch,) = documents(FOLDER / "gateway.yaml")
    spec = patched(resource("Deployment"), patch)["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    alike = set(CONTAINER) - {"args", "volumeMounts"}
    assert {key: container[key] for key in alike} == {key: CONTAINER[key] for key in alike}
    assert container["args"] == [*CONTAINER["args"], "--role=gateway"]
    mounted = [mount["name"] for mount in container["volumeMounts"]]
    assert mounted == [volume["name"] for volume in pod["volumes"]]
    assert set(mounted) - {mount["name"] for mount in CONTAINER["volumeMounts"]} == {
        "token"
    }
    assert set(pod) == set(POD)


@pytest.mark.parametrize("role", ROLES)
def test_no_key_is_one_that_the_api_does_not_know(role: str) -> None:
    deployment, service = both(role)
    container = pod_of(role)["containers"][0]
    parts = {
        "Deployment": deployment["spec"],
        "Service": service["spec"],
        "pod": pod_of(role),
        "container": container,
        "probe": container["startupProbe"] | container["readinessProbe"],
        "meta": deployment["metadata"],
    }
    for kind, part in parts.items():
        assert set(part) - set(KEYS[kind].split()) == set(), kind


@pytest.mark.parametrize("role", ROLES)
def test_a_service_is_as_confined_as_the_gateway_and_drains_as_it_does(role: str) -> None:
    pod = pod_of(role)
    alike = set(POD) - {"containers", "volumes", "topologySpreadConstraints"}
    assert {key: pod[key] for key in alike} == {key: POD[key] for key in alike}
    container = pod["containers"][0]
    for key in ("image", "lifecycle", "resources", "securityContext"):
        assert container[key] == CONTAINER[key]
    for name in ("startup", "liveness", "readiness"):
        own, gateways = container[f"{name}Probe"], CONTAINER[f"{name}Probe"]
        assert own["httpGet"] == {**gateways["httpGet"], "port": "metrics"}
    for variable in container["env"]:
        if "value" not in variable:
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "plait"


def test_the_three_differ_in_their_role_their_port_and_their_number() -> None:
    texts = set()
    for role in ROLES:
        text = (FOLDER / f"{role}.yaml").read_text()
        port = getattr(Settings().services, role).rpartition(":")[2]
        plain = text.replace(role, "ROLE").replace(port, "PORT")
        plain = re.sub(
            r" *# The keys of the vault.*\n( *envFrom:\n(?: {12,}.*\n)+)", "", plain
        )
        number = r"replicas: \d|# How many there are says the HorizontalPodAutoscaler\."
        texts.add(re.sub(number, "replicas: N", plain))
    assert len(texts) == 1


def test_who_opens_credentials_or_takes_them_has_the_keys_of_the_vault() -> None:
    # The gateway's pod is below, and the agent needs none.
    told = {role: pod_of(role)["containers"][0].get("envFrom") for role in ROLES}
    assert told == {
        "engine": CONTAINER["envFrom"],
        "runtime": CONTAINER["envFrom"],
        "agent": None,
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_name_of_a_service_has_the_addresses_of_all_its_pods(role: str) -> None:
    # Behind one address, the gateway's connection leads to one pod, for all calls.
    service = both(role)[1]["spec"]
    assert service["clusterIP"] == "None"
    container = pod_of(role)["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    # And nobody leads one port to another.
    for port in service["ports"]:
        assert port["port"] == ports[port["targetPort"]]


@pytest.mark.parametrize("role", ["engine", "runtime"])
def test_engines_and_runtimes_are_scaled_and_kept_as_the_gateway_is(role: str) -> None:
    deployment, name = both(role)[0], f"plait-{role}"
    found = {
        each["kind"]: each
        for each in documents(FOLDER / "scaling.yaml")
        if each["metadata"]["name"] == name
    }
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        gateways = resource(kind)
        assert found[kind]["apiVersion"] == gateways["apiVersion"]
        assert found[kind]["metadata"]["labels"] == labels
        told = str(found[kind]["spec"]).replace(name, "plait")
        assert told == str(gateways["spec"])
    assert "replicas" not in deployment["spec"], "each deploy would undo the autoscaler"
    asked = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert asked["name"] == deployment["metadata"]["name"]


@pytest.mark.parametrize("role", ROLES)
def test_what_the_gateway_calls_is_there_and_let_in(role: str, tmp_path: Any) -> None:
    (tmp_path / "plait.toml").write_text(TOML)
    settings = read_settings({}, folder=tmp_path).settings
    deployment, service = both(role)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    address = getattr(settings.services, role)
    assert address == f"{service['metadata']['name']}:{ports['grpc']}"
    assert settings.telemetry.metrics_listen == f"0.0.0.0:{ports['metrics']}"
    container = pod_of(role)["containers"][0]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["PLAIT_SERVICES_LISTEN"] == f"0.0.0.0:{ports['grpc']}"
    assert f"PLAIT_SECRET_{settings.telemetry.metrics_token.upper()}" in env
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert named == ports
    (policy,) = documents(FOLDER / "networkpolicy.yaml")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    calls, scrapes = policy["spec"]["ingress"]
    assert calls["from"][0]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "plait"
    }
    assert [one["ports"] for one in (calls, scrapes)] == [
        [{"port": "grpc"}],
        [{"port": "metrics"}],
    ]


@pytest.mark.parametrize("role", [*ROLES, "gateway"])
def test_each_has_the_token_that_all_share(role: str) -> None:
    if role == "gateway":
        (patch,) = documents(FOLDER / "gateway.yaml")
        pod = patch["spec"]["template"]["spec"]
    else:
        pod = pod_of(role)
    container = pod["containers"][0]
    assert container["args"][-1] == f"--role={role}"
    (mounted,) = [one for one in container["volumeMounts"] if one["name"] == "token"]
    (volume,) = [one for one in pod["volumes"] if one["name"] == "token"]
    (item,) = volume["secret"]["items"]
    assert f'token_file = "{mounted["mountPath"]}/{item["path"]}"' in TOML
    assert "readOnly" in mounted


@pytest.mark.slow
async def test_a_pod_starts_answers_its_probes_and_drains(image: Image) -> None:
    folder = image.root / "data" / "etc-services"
    folder.mkdir()
    (folder / "token").write_text("of-the-services\n")
    door, own = free_port(), free_port()
    text = TOML.replace("/run/plait/services-token", str(folder / "token"))
    (folder / "plait.toml").write_text(text.replace(":9464", f":{door}"))
    container = pod_of("agent")["containers"][0]
    arguments = [one.replace("/etc/plait", str(folder)) for one in container["args"]]
    env = {
        "PLAIT_SERVICES_LISTEN": f"0.0.0.0:{own}",
        "PLAIT_SECRET_METRICS": "shown",
        "PLAIT_STORE_URL": str(image.root / "data" / "services.db"),
    }
    with started(image, *arguments, env=env) as server:
        server.port = door
        for name in ("startup", "liveness", "readiness"):
            await server.until(container[f"{name}Probe"]["httpGet"]["path"], 200)
        assert server.status("/metrics") == 401
        hook = container["lifecycle"]["preStop"]["exec"]["command"]
        assert in_image(image, hook[0], "0").returncode == 0
        assert server.stopped() == 0
