"""The manifest for KubeRay: its schema accepts it, it survives what it says, and it is closed. Nothing is launched."""

import importlib.metadata
import json
import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.cluster.test_cluster_yaml import MOUNT, ROOT, marks

JOB, STORAGE, IMAGE = "clusters/kuberay_rayjob.yaml", "clusters/kuberay_storage.yaml", "clusters/Dockerfile"
SCHEMA = json.loads((ROOT / "tests/cluster/kuberay_rayjob.schema.json").read_text(encoding="utf-8"))
RAY = importlib.metadata.version("ray")


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


@pytest.fixture
def job() -> Any:
    return documents(JOB)[0]


@pytest.fixture
def head(job: Any) -> Any:
    return job["spec"]["rayClusterSpec"]["headGroupSpec"]


@pytest.fixture
def pods(job: Any, head: Any) -> dict[str, Any]:
    """The templates of submitter, head and workers, each of one container."""
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    found = {
        "submitter": job["spec"]["submitterPodTemplate"],
        "head": head["template"],
        "workers": workers["template"],
    }
    assert all(
        len(pod["spec"]["containers"]) == 1 and "initContainers" not in pod["spec"] for pod in found.values()
    )
    return found


@pytest.fixture
def containers(pods: dict[str, Any]) -> list[Any]:
    return [pod["spec"]["containers"][0] for pod in pods.values()]


def test_kuberay_accepts_it_and_would_drop_a_misspelled_key(job: Any, head: Any) -> None:
    assert list(Draft202012Validator(SCHEMA).iter_errors(job)) == []
    head["template"]["spec"]["containers"][0]["authOption"] = {}
    assert ["authOption" in error.message for error in Draft202012Validator(SCHEMA).iter_errors(job)] == [
        True
    ]


def test_it_asks_for_a_token_under_an_operator_that_knows_none_too(job: Any, containers: list[Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert all({"name": "RAY_AUTH_MODE", "value": "token"} in container["env"] for container in containers)


def test_nothing_of_it_is_public(head: Any, pods: dict[str, Any], containers: list[Any]) -> None:
    assert head["serviceType"] == "ClusterIP"
    assert not {"headService", "enableIngress"} & head.keys()
    assert [document["kind"] for document in documents(JOB)] == ["RayJob", "NetworkPolicy"]
    assert not any("hostNetwork" in pod["spec"] for pod in pods.values())
    assert not any("ports" in container for container in containers)


def test_its_own_pods_reach_it_and_the_operator_its_dashboard(pods: dict[str, Any]) -> None:
    policy = documents(JOB)[1]["spec"]
    own = policy["podSelector"]
    assert all(own["matchLabels"].items() <= pod["metadata"]["labels"].items() for pod in pods.values())
    assert policy["policyTypes"] == ["Ingress"]
    ours, operators = policy["ingress"]
    assert ours == {"from": [{"podSelector": own}]}
    assert [source["podSelector"]["matchLabels"] for source in operators["from"]] == [
        {"app.kubernetes.io/name": "kuberay-operator"}
    ]
    assert [port["port"] for port in operators["ports"]] == [8265]


def test_no_trial_runs_on_the_head_whose_driver_has_time_to_save(head: Any) -> None:
    assert head["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    (container,) = head["template"]["spec"]["containers"]
    assert {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": "60"} in container["env"]


def test_it_has_the_versions_that_were_tested(job: Any, containers: list[Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == RAY
    assert {container["image"] for container in containers} == {"FILL_IN_IMAGE"}
    recipe = (ROOT / IMAGE).read_text(encoding="utf-8")
    assert re.findall(r"ray\[[a-z,]+\]==([0-9.]+)", recipe) == [RAY]
    assert "--constraint /src/constraints.txt" in recipe
    assert re.search(r"^ARG PYTHON=3\.11\.\d+\nFROM python:\$\{PYTHON\}-slim-\w+$", recipe, re.MULTILINE)
    assert re.findall(r"^USER (\S+)$", recipe, re.MULTILINE)[-1:] == ["1000"], "it runs as root"
    assert "wget" in recipe, "for KubeRay's probes"


def test_a_lost_head_or_cluster_is_replaced_and_the_command_resumes(job: Any) -> None:
    spec = job["spec"]
    assert spec["submissionMode"] == "K8sJobMode", "it submits again to a head that was replaced"
    assert spec["submitterConfig"]["backoffLimit"] >= 3
    assert spec["backoffLimit"] >= 1
    assert not {"clusterSelector", "jobId"} & spec.keys(), "it could get no other cluster"
    assert re.search(r"pdsearch run \S+ --address auto", spec["entrypoint"])


def test_what_has_nothing_to_do_ends_and_the_results_stay(job: Any) -> None:
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert spec["shutdownAfterJobFinishes"]
    assert spec["activeDeadlineSeconds"] > 0
    assert cluster["enableInTreeAutoscaling"]
    assert [group["minReplicas"] for group in cluster["workerGroupSpecs"]] == [0]
    (claim,) = documents(STORAGE)
    assert claim["kind"] == "PersistentVolumeClaim", (
        "of a file of its own: who deletes the job keeps the results"
    )
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_head_and_workers_see_the_storage(job: Any, pods: dict[str, Any]) -> None:
    assert f"--set storage={MOUNT}/" in job["spec"]["entrypoint"]
    (claim,) = documents(STORAGE)
    for name in ("head", "workers"):
        spec = pods[name]["spec"]
        claims = {
            v["name"]: v["persistentVolumeClaim"] for v in spec["volumes"] if "persistentVolumeClaim" in v
        }
        (mount,) = (m["name"] for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == MOUNT)
        assert claims[mount] == {"claimName": claim["metadata"]["name"]}


def test_pods_have_no_rights_that_they_do_not_need(pods: dict[str, Any], containers: list[Any]) -> None:
    assert all(pod["spec"]["securityContext"]["runAsNonRoot"] for pod in pods.values())
    # The head's autoscaler asks Kubernetes for nodes; nobody else has to.
    silent = [name for name, pod in pods.items() if pod["spec"].get("automountServiceAccountToken") is False]
    assert silent == ["submitter", "workers"]
    for container in containers:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert all(
            {"cpu", "memory"} <= container["resources"][kind].keys() for kind in ("requests", "limits")
        )


def test_what_a_person_fills_in_is_marked() -> None:
    assert marks(JOB) == ["FILL_IN_IMAGE", "FILL_IN_OPERATOR_NAMESPACE"]
    assert marks(STORAGE) == ["FILL_IN_STORAGE_CLASS"]
