"""The chart, rendered by Go's template language as Helm does it, and held against the schemas of Kubernetes."""

import copy
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

CHART = Path(__file__).parent.parent.parent / "deploy" / "helm"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
EVERYTHING = copy.deepcopy(VALUES)
EVERYTHING["ingress"]["enabled"] = EVERYTHING["autoscaling"]["enabled"] = True
LEAST = copy.deepcopy(VALUES)
LEAST["networkPolicy"]["enabled"] = False
OLDEST, NEWEST = "1.27.0", "1.34.0"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="go-template has no library for this machine"
)


def rendered(values: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """All objects of the chart. The library ends its process where a template is wrong, so it has one of its own."""
    given = folder / "values.yaml"
    given.write_text(yaml.safe_dump({"Values": values, "Release": {"Name": "hiring", "Namespace": "hr"}}))
    objects = []
    for template in sorted((CHART / "templates").glob("*.yaml")):
        code = f"import go_template; go_template.render_template({str(template)!r}, {str(given)!r}, '')"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert said.returncode == 0, f"{template.name}: {said.stderr.splitlines()[0]}"
        objects += [one for one in yaml.safe_load_all(said.stdout) if one]
    return objects


@pytest.fixture(params=[VALUES, EVERYTHING, LEAST], ids=["as it comes", "everything", "least"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    return rendered(request.param, tmp_path)


@pytest.fixture
def everything(tmp_path: Path) -> list[dict[str, Any]]:
    return rendered(EVERYTHING, tmp_path)


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, deployment in of_kind(objects, "Deployment").items():
        yield name, deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_valid(objects: list[dict[str, Any]], version: str) -> None:
    for one in objects:
        if not one["apiVersion"].startswith("keda.sh/"):  # which is not Kubernetes' own
            validate(one, version, strict=True)


def test_a_mistake_would_be_found(everything: list[dict[str, Any]]) -> None:
    deployment = of_kind(everything, "Deployment")["hiring-worker"]
    deployment["spec"]["template"]["spec"]["containers"][0]["arg"] = ["work"]
    with pytest.raises(Exception, match="arg"):
        validate(deployment, NEWEST, strict=True)


def test_pods_run_under_the_restricted_profile(objects: list[dict[str, Any]]) -> None:
    for _, pod in pods(objects):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        own = container["securityContext"]
        assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_secrets_come_from_the_cluster_and_stand_nowhere_in_the_chart(objects: list[dict[str, Any]]) -> None:
    assert not of_kind(objects, "Secret")
    for _, pod in pods(objects):
        [container] = pod["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "ats-router"}}]
        assert "env" not in container


def test_receivers_are_probed_where_they_answer(objects: list[dict[str, Any]]) -> None:
    [container] = dict(pods(objects))["hiring-receiver"]["containers"]
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}


def test_each_role_may_lose_one_pod_at_a_time(objects: list[dict[str, Any]]) -> None:
    budgets = of_kind(objects, "PodDisruptionBudget")
    deployments = of_kind(objects, "Deployment")
    assert budgets.keys() == deployments.keys() == {"hiring-receiver", "hiring-worker"}
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == deployments[name]["spec"]["selector"]


def test_nobody_reaches_a_worker_and_only_the_proxy_and_keda_a_receiver(everything: list[dict[str, Any]]) -> None:
    policies = of_kind(everything, "NetworkPolicy")
    assert policies["hiring-worker"]["spec"]["ingress"] == []
    [rule] = policies["hiring-receiver"]["spec"]["ingress"]
    names = [one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in rule["from"]]
    assert names == ["ingress-nginx", "keda"]
    ports = {port["port"] for rule in policies["hiring-receiver"]["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 6379, 26379}
    ports = {port["port"] for rule in policies["hiring-worker"]["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 6379, 26379}


def test_from_outside_only_webhooks_are_reachable(everything: list[dict[str, Any]]) -> None:
    [rule] = of_kind(everything, "Ingress")["hiring"]["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/webhooks/"]


def test_workers_are_scaled_by_how_long_work_waits(everything: list[dict[str, Any]]) -> None:
    scaled = of_kind(everything, "ScaledObject")["hiring-worker"]["spec"]
    assert "replicas" not in of_kind(everything, "Deployment")["hiring-worker"]["spec"]
    [trigger] = scaled["triggers"]
    assert trigger["metadata"] == {
        "url": "http://hiring-receiver.hr.svc:8080/backlog",
        "valueLocation": "oldest_due_s",
        "targetValue": "10",
    }
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, 10)
